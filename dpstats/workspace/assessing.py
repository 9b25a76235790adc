"""What a risk assessment needs to know of this deployment, gathered; it reads no row."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import FileError
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library, dataset_of
from dpstats.rights.notices_at_load import NoticesAtLoad
from dpstats.rights.risk import Facts, Revision, assessment_of
from dpstats.workspace.disk_encryption import seen_below
from dpstats.workspace.minimising import Minimising
from dpstats.workspace.publishing import Publishing


class Assessing:
    """The facts of a workspace's datasets."""

    def __init__(
        self,
        home: Path,
        store: Store,
        library: Library,
        publishing: Publishing,
        minimising: Minimising,
        notices: NoticesAtLoad,
    ) -> None:
        self._home, self._registry, self._library = home, store.registry, library
        self._publishing, self._minimising, self._notices = publishing, minimising, notices

    def export(self, identity: Identity, dataset: str | None = None) -> dict[str, Any]:
        """The facts of one dataset, or of every one that the caller sees.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset.
        """
        check(identity, Action.STEWARD)
        chosen = self._library.datasets(identity) if dataset is None else [self._library.dataset(identity, dataset)]
        report = self._publishing.transparency()
        told = {each["dataset"]: each for each in report["datasets"]}
        known = [self._facts(identity, each, told[each.dataset]) for each in chosen if each.dataset in told]
        return assessment_of(report, known, seen_below(self._home), datetime.now(UTC).date())

    def _facts(self, identity: Identity, dataset: DatasetFile, told: dict[str, Any]) -> Facts:
        needless = self._minimising.report(identity, dataset.dataset)
        unread = [f"{each.table}.{each.column}" for each in needless if each.unread]
        loads = tuple(self._notices.of(dataset.dataset))
        return Facts(dataset, told, unread, tuple(self._revisions(dataset.dataset)), loads)

    def _revisions(self, name: str) -> list[Revision]:
        found = []
        for record in self._registry.definitions(name):
            parsed = None
            with suppress(FileError):
                parsed = dataset_of(record.definition, name)
            found.append(Revision(record.registered_at, parsed))
        return found
