"""Carrying a deletion out: kept out first, a person is erased from every dataset of the same people, with evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from dpstats.access import operator, sees
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.engine.erasure import held
from dpstats.engine.links import ids_of
from dpstats.errors import Conflict
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.request_log import Kept
from dpstats.rights.suppression import Suppressions
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.people import People
from dpstats.workspace.rights_told import OPT_OUT_OFFERED, TOLD_AFTER_ERASURE, kept_elsewhere


class Erasing:
    """The deletions of a workspace."""

    def __init__(self, library: Library, datasets: Datasets, suppressions: Suppressions, people: People) -> None:
        self._library, self._datasets, self._suppressions, self._people = library, datasets, suppressions, people

    def reached(self, identity: Identity, lineage: str) -> list[DatasetFile]:
        """Every dataset of the same people.

        Raises:
          Conflict: the caller may not see them all, and an erasure leaves none out.
        """
        found = [each for each in self._library.datasets(operator(identity.name)) if each.lineage == lineage]
        if not all(sees(identity, each.dataset) for each in found):
            raise Conflict(
                "an erasure takes a person out of all data of the same people, and you may not see all of them: a "
                "steward of all datasets must execute it"
            )
        return found

    def is_begun(self, kept: Kept) -> bool:
        """Whether a deletion of a request's person was begun: whatever is read of the person now is to go, or gone."""
        return self._suppressions.since(kept.asked.lineage, str(kept.person)) is not None

    def check_held(self, kept: Kept, reached: Sequence[DatasetFile]) -> None:
        """Refuses to delete who was deleted before, where nothing came back since: from an old backup, by consent.

        Raises:
          Conflict: so it is. FileError: the data cannot be read.
        """
        person = str(kept.person)
        since = self._suppressions.since(kept.asked.lineage, person)
        if since is None:
            return
        ids = self._ids(reached, person)
        if not any(self._holds(dataset, ids) for dataset in reached):
            raise Conflict(
                f"the person was deleted on {since:%Y-%m-%d}, and nothing is held since: deny it as no_match"
            )

    def carried_out(self, identity: Identity, kept: Kept, now: datetime) -> dict[str, Any]:
        """Suppression first, so that whatever comes next leaves the person out; then every dataset of its people."""
        lineage, person = kept.asked.lineage, str(kept.person)
        self._suppressions.add(lineage, person, request=kept.request_id, now=now)
        # Links go with the rows. Each load suppresses and forgets the ids whose links it leaves out, before it enters
        # what is without them: so after a crash an id is suppressed already, or its link is still there to be read.
        reached = self.reached(identity, lineage)
        ids = self._ids(reached, person)
        for dataset in reached:
            self._people.linked_out(dataset, ids - {person})
        evidence: dict[str, Any] = {}
        # Looked up again after each: a load that began before the suppression may have brought a dataset meanwhile.
        while left := [each for each in self.reached(identity, lineage) if each.dataset not in evidence]:
            dataset = left[0]
            evidence[dataset.dataset] = self._datasets.erase(identity, dataset.dataset, is_of(ids, dataset))
            for each in ids:  # again: an answer may have been made of rows that were there until now
                self._people.forget(dataset, each)
        exceptions = kept.standing.exceptions
        told = [*TOLD_AFTER_ERASURE, *(kept_elsewhere(what, code) for what, code in exceptions.items())]
        told += [OPT_OUT_OFFERED] if exceptions else []
        return {"erased": list(evidence.values()), "exceptions": dict(exceptions), "told": told}

    def _ids(self, reached: Iterable[DatasetFile], person: str) -> frozenset[str]:
        """Every id of a person: its own, and those that a dataset of its people links to it, over however many steps.

        Raises:
          FileError: the data cannot be read.
        """
        ids, found = frozenset[str](), frozenset({person})
        while found:
            ids |= found
            found = frozenset(each for dataset in reached for each in self._linked(dataset, ids))
        return ids

    def _linked(self, dataset: DatasetFile, ids: Collection[str]) -> Iterator[str]:
        """The ids that a dataset links to these, without these in its own spelling: elsewhere that may be another."""
        if not dataset.links:
            return
        is_known = is_of(ids, dataset)
        with self._datasets.current_file(dataset) as file:
            found = ids_of(dataset, file, is_known) if file is not None else frozenset()
        yield from (each for each in found if not is_known(each))

    def _holds(self, dataset: DatasetFile, ids: Collection[str]) -> bool:
        """Whether there is anything to delete: rows, whatever of them may be told, or what is kept beside the data."""
        with self._datasets.current_file(dataset) as file:
            if file is not None and any(held(dataset, file, is_of(ids, dataset)).rows.values()):
                return True
        return any(self._people.holds(dataset, each) for each in ids)


def is_of(ids: Iterable[str], dataset: DatasetFile) -> Callable[[str], bool]:
    """Says of an id of the dataset whether it is one of a person's, which are spelled as another dataset's may be."""
    spelled = {id_text(dataset.unit_type, each) for each in ids}
    return lambda text: id_text(dataset.unit_type, text) in spelled
