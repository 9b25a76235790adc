"""An owner's files, looked at as they are now and not as they were noted: for one person, or for who was erased.

Of a table with a log that is its present version: earlier ones, which hold deleted rows still, are not looked at.
Nothing that is read here comes near an answer: rows for a person who asks to know, and ids for a steward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.cells import clean, clean_id
from dpstats.engine.in_place import Notes, notes_of
from dpstats.engine.links import LeftOut, ids_of
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.source import Source, SourceColumn, by_cells, file_error, trouble_in
from dpstats.engine.tables import open_table
from dpstats.errors import FileError

Row = tuple[str | None, ...]


@contextmanager
def _opened(dataset: DatasetFile, table: str, notes: Notes) -> Iterator[_AtOwner]:
    with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
        # Nothing is spilled, for rows would be where the process runs.
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET temp_directory = ''")
        source = open_table(connection, Path(notes.given))
        with by_cells(connection):
            yield _AtOwner(connection, dataset, table, source, source.find(dataset.tables[table].columns))


class _AtOwner:
    """One table in place, as its owner has it now."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: DatasetFile,
        table: str,
        source: Source,
        found: Mapping[str, SourceColumn],
    ) -> None:
        self._connection, self._dataset, self._table = connection, dataset, table
        self._source, self._found = source, found

    def ids(self) -> list[str]:
        """The ids that stand in it."""
        unit = self._text(self._dataset.privacy_unit)
        return [text for (text,) in self._asked(f"SELECT DISTINCT {unit} FROM {self._source.sql}") if text is not None]

    def rows(self, columns: Sequence[str], ids: Sequence[str]) -> list[Row]:
        """The rows of these ids, as text."""
        cells, unit = ", ".join(map(self._text, columns)), self._text(self._dataset.privacy_unit)
        theirs = f"{unit} IN (SELECT unnest($dp_ids))"
        return self._asked(f"SELECT {cells} FROM {self._source.sql} WHERE {theirs}", {"dp_ids": list(ids)})

    def _text(self, column: str) -> str:
        found, kind = self._found[column], self._dataset.tables[self._table].columns[column].type
        make = clean_id if column == self._dataset.privacy_unit else clean
        return f"CAST({make(found.alias, found.type, kind)} AS VARCHAR)"

    def _asked(self, sql: str, binds: Mapping[str, object] | None = None) -> list[Row]:
        rows: list[Row] = []

        def ask() -> None:
            rows.extend(self._connection.execute(sql, {"dp_file": self._source.pattern, **(binds or {})}).fetchall())

        trouble = trouble_in(ask)
        if trouble:
            raise file_error(self._source.path, trouble)
        return rows


def rows_at_owner(
    dataset: DatasetFile, file: Path, table: str, columns: Sequence[str], is_person: LeftOut
) -> tuple[Row, ...]:
    """A person's rows of a table in place, as text, in the columns that are named.

    Args:
      file: the data version. is_person: says of an id, as text, whether it is the person's.

    Raises:
      FileError: the owner's files cannot be read now.
    """
    linked, notes = ids_of(dataset, file, is_person), notes_of(file).get(table)
    if notes is None:
        raise FileError(str(file), f"has no notes of table {table}, which is read in place: load it")
    with _opened(dataset, table, notes) as owner:
        theirs = [text for text in owner.ids() if text in linked or is_person(text)]
        found = owner.rows(columns, theirs) if columns and theirs else []
    return tuple(sorted(found, key=lambda row: tuple(cell or "" for cell in row)))


def is_at_owner(dataset: DatasetFile, noted: Mapping[str, Notes], is_person: LeftOut) -> bool:
    """Whether owners' files hold rows of a person now, noted or not; of files that cannot be read now, no."""
    tables = dataset.tables_in_place
    return any(_holds(dataset, table, notes, is_person) for table, notes in noted.items() if table in tables)


def _holds(dataset: DatasetFile, table: str, notes: Notes, is_person: LeftOut) -> bool:
    with suppress(FileError), _opened(dataset, table, notes) as owner:
        return any(map(is_person, owner.ids()))
    return False


@dataclass(frozen=True)
class Erased:
    """By table in place, the ids that its owner's files hold now, and that may not be in the data.

    `unread`: why a table's files cannot be read now, so that nothing is known of it.
    """

    ids: Mapping[str, tuple[str, ...]]
    unread: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Erased({', '.join((*self.ids, *self.unread))})"


def erased_at_owner(dataset: DatasetFile, file: Path, left_out: LeftOut) -> Erased:
    """Who is to be out of the data and is in owners' files; a table that cannot be read holds up no other."""
    ids, unread = dict[str, tuple[str, ...]](), dict[str, str]()
    for table, notes in notes_of(file).items():
        if table in dataset.tables_in_place:
            try:
                with _opened(dataset, table, notes) as owner:
                    ids[table] = tuple(sorted(filter(left_out, owner.ids())))
            except FileError as error:
                unread[table] = str(error)
    return Erased(ids, unread)
