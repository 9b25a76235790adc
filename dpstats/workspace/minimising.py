"""Data minimisation: which declared columns no live query reads, and what is not said about the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dpstats.access import Action, check
from dpstats.catalog.dataset import Column, DatasetFile
from dpstats.ledger.tokens import Identity
from dpstats.library import Library


@dataclass(frozen=True)
class Needless:
    """A column of a personal table that could go, or of which it is not said why it is there.

    `unread`: no query that is approved now reads it. `unsaid`: the keys of dataset.yaml that would say what it is, what
    it is for and how long it is needed.
    """

    dataset: str
    table: str
    column: str
    unread: bool
    unsaid: tuple[str, ...]


class Minimising:
    """Looks at declarations and approved queries; at no row."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def report(self, identity: Identity, dataset: str | None = None) -> tuple[Needless, ...]:
        """The columns of one dataset, or of every one, that are not needed or not explained.

        Raises:
          NotFound: no such dataset. Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        library = self._library
        chosen = library.datasets(identity) if dataset is None else [library.dataset(identity, dataset)]
        return tuple(found for each in chosen for found in self._of(each, self._read(identity, each)))

    def _read(self, identity: Identity, dataset: DatasetFile) -> Mapping[str, set[str]]:
        """The columns that live queries read, by table, and what such a table cannot do without: its unit, its time."""
        read: dict[str, set[str]] = {name: set() for name in dataset.tables}
        if dataset.blocks is not None:
            read[dataset.blocks.table].add(dataset.blocks.time)
        for known in self._library.all(identity):
            if known.record.dataset == dataset.dataset and known.approved and known.analysis is not None:
                for table, columns in known.analysis.reads.items():
                    read[table] |= columns
        for name, declared in dataset.personal_tables.items():
            if read[name]:
                read[name] |= {dataset.privacy_unit, *filter(None, [declared.retention_by])}
        return read

    def _of(self, dataset: DatasetFile, read: Mapping[str, set[str]]) -> Iterator[Needless]:
        for name, table in dataset.personal_tables.items():
            for column, spec in table.columns.items():
                unread, unsaid = column not in read[name], _unsaid(spec)
                if unread or unsaid:
                    yield Needless(dataset.dataset, name, column, unread, unsaid)


def _unsaid(column: Column) -> tuple[str, ...]:
    said = {
        "category": column.category,
        "purposes": column.purposes is not None,
        "why": column.why,
        "retention": column.retention,
    }
    return tuple(key for key, value in said.items() if not value)
