"""Retention: what is past its time is erased by the routine of a deletion, on a timetable, whether or not there is any.

Every load leaves out what is past its time as well, so an old file brings nothing back. The ledger is as it was: what
was published stays charged.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from dpstats.access import Action, check, operator
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.erasure import Held
from dpstats.engine.retention import past_in
from dpstats.ledger.files import file_lock
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.corrections import Corrections
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.each import done_to_each
from dpstats.workspace.epochs import Timetable


class Retaining:
    """The sweeps of a workspace; one runs at a time."""

    def __init__(
        self,
        store: Store,
        library: Library,
        datasets: Datasets,
        corrections: Corrections,
        timetable: Timetable,
        lock: Path,
    ) -> None:
        self._library, self._datasets = library, datasets
        self._corrections, self._timetable, self._lock = corrections, timetable, lock

    def sweep(self, identity: Identity, name: str | None = None) -> tuple[dict[str, Any], ...]:
        """Erases what is past its time from one dataset, or from every one that says how long anything is needed.

        Returns:
          The evidence of each, for stewards alone, as of a deletion: rows that were past their time or had cells that
          were, before and after; files removed; a scan of the folder's bytes, before (its positive control) and after.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. FileError: some data cannot be made anew; the
            others are.
        """
        check(identity, Action.STEWARD)
        chosen = self._library.datasets(identity) if name is None else [self._library.dataset(identity, name)]
        with file_lock(self._lock):
            swept = [each for each in chosen if self._datasets.current(each) and has_retention(each)]
            return done_to_each(swept, partial(self._swept, identity))

    def sweep_if_due(self, identity: Identity, now: datetime) -> tuple[dict[str, Any], ...]:
        """Sweeps every dataset whose data were not made anew since the timetable's last moment."""
        check(identity, Action.STEWARD)
        due = [each for each in self._retained() if self._is_due(each, now)]
        if not due:
            return ()
        with file_lock(self._lock):
            still_due = [each for each in due if self._is_due(each, now)]
            return done_to_each(still_due, partial(self._swept, identity))

    def overdue(self, dataset: DatasetFile, now: datetime) -> bool:
        """Whether data that say how long they are needed were not looked over for longer than the timetable allows."""
        made = self._datasets.current(dataset) if has_retention(dataset) else None
        return made is not None and now - made.created_at > self._timetable.max_age

    def _swept(self, identity: Identity, dataset: DatasetFile) -> dict[str, Any]:
        ages = self._datasets.ages(dataset)
        self._corrections.forget(self._past_corrections(dataset, ages.now))

        def look(current: DatasetFile, file: Path) -> Held:
            return past_in(current, file, ages)

        return self._datasets.rebuild(identity, dataset.dataset, look)

    def _past_corrections(self, dataset: DatasetFile, now: datetime) -> Iterator[int]:
        """Corrections of cells that are all past their time by now: none is younger than what it corrects."""
        for each in self._corrections.standing(dataset.lineage, dataset.dataset):
            table = dataset.tables.get(each.said.table) if each.said else None
            lives = [table.columns[name].retention for name in each.said.put] if table and each.said else []
            if lives and all(life is not None and now - each.since > life for life in lives):
                yield each.number

    def _is_due(self, dataset: DatasetFile, now: datetime) -> bool:
        made = self._datasets.current(dataset)
        return made is not None and self._timetable.due(made.created_at, now)

    def _retained(self) -> Iterator[DatasetFile]:
        yield from (each for each in self._library.datasets(operator("retention")) if has_retention(each))


def has_retention(dataset: DatasetFile) -> bool:
    """Whether any cell about people is said to be needed for a while only."""
    columns = (spec for table in dataset.personal_tables.values() for spec in table.columns.values())
    return any(spec.retention is not None for spec in columns)
