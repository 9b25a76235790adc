"""Definitions of datasets: what one may say besides those that are recorded, and how it becomes the one in force.

A budget belongs to people, so a definition is looked at against their lineage's terms before anything is loaded for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.new_uses import new_uses
from dpstats.errors import Conflict, FileError, NotFound, SecondStewardNeeded
from dpstats.ledger.proposals import lineage_draft
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library, dataset_of
from dpstats.workspace.dataset_terms import opening as opened_by


class Definitions:
    """The definitions of a workspace's datasets."""

    def __init__(self, store: Store, library: Library) -> None:
        self._registry, self._ledger, self._proposals = store.registry, store.ledger, store.proposals
        self._library = library

    def check(self, dataset: DatasetFile) -> None:
        """Looks at a definition beside those that are recorded.

        Raises:
          Conflict: the deployment may not hold it, its dataset is of another lineage, or it has a new use of old data.
        """
        self._check_lineage(dataset)
        self._check_uses(dataset)

    def check_terms(self, identity: Identity, dataset: DatasetFile) -> None:
        """Looks at a known lineage's terms, and grants it nothing; a new one is not opened.

        Raises:
          Conflict: the definition contradicts them.
        """
        with suppress(NotFound):
            self._ledger.terms(dataset.lineage)
            self._open_lineage(identity, dataset)

    def sign_off(self, identity: Identity, dataset: DatasetFile) -> None:
        """Refuses what its lineage's terms refuse before anything is loaded: a load suppresses whom it finds linked.

        A known lineage is looked at, and granted nothing; a new one that takes a second steward is proposed.

        Raises:
          Conflict: the definition contradicts its lineage's terms.
          SecondStewardNeeded: the lineage is new, and is proposed to another steward.
        """
        if self._proposals.policy().new_lineages or self._ledger.has_lineage(dataset.lineage):
            self._open_lineage(identity, dataset)

    def enter(self, identity: Identity, dataset: DatasetFile, text: str) -> None:
        """Opens the lineage, if it is new, and makes `text`, of which the dataset was read, the definition in force.

        Raises:
          Conflict, SecondStewardNeeded: as `sign_off`.
        """
        self._open_lineage(identity, dataset)
        self._registry.register_dataset(dataset.dataset, text, dataset.lineage)

    def _check_lineage(self, dataset: DatasetFile) -> None:
        self._library.check_held(dataset)
        for record in self._registry.datasets():
            if record.name == dataset.dataset and record.lineage != dataset.lineage:
                raise Conflict(
                    f"dataset {dataset.dataset} is of lineage {record.lineage}, and a budget follows its people: "
                    f"write lineage: {record.lineage}"
                )

    def _check_uses(self, dataset: DatasetFile) -> None:
        """Refuses a new use of data that are there already, if the file does not say what holds for them."""
        if not self._registry.data_versions(dataset.dataset):
            return
        found = new_uses(self._of(dataset.dataset), dataset)
        if found:
            raise Conflict(
                f"{'; '.join(found)}, and people did not know of that when their data were collected (11 CCR 7002): "
                "give the purpose `needs_consent_since: DAY`, or `compatible` if they could expect it"
            )

    def _of(self, name: str) -> Iterator[DatasetFile]:
        """Every definition that a dataset has had, but for those that cannot be read any more."""
        for record in self._registry.definitions(name):
            with suppress(FileError):
                yield dataset_of(record.definition, name)

    def _open_lineage(self, identity: Identity, dataset: DatasetFile) -> None:
        opening = opened_by(dataset, identity.name)
        try:
            self._ledger.open_as(opening)
        except SecondStewardNeeded as needed:
            proposed = self._proposals.propose(lineage_draft(dataset.dataset, opening), identity)
            raise SecondStewardNeeded(needed.what, proposed.proposal_id) from None
