"""Where the rows of a table come from: a source file, the data version before, or both; read into `dp_rows`, cleaned.

No error text holds a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dpstats.catalog.dataset import Column, DatasetFile, Table
from dpstats.catalog.types import ColumnType
from dpstats.engine.cells import cast, clean, clean_id, given, is_readable
from dpstats.engine.in_place import Notes, notes_in
from dpstats.engine.links import TABLE as LINKED
from dpstats.engine.load_report import NOBODYS, READ, Tally, given_cells
from dpstats.engine.making import Making
from dpstats.engine.meta import read_meta
from dpstats.engine.names import literal, quoted
from dpstats.engine.source import Source, SourceColumn, file_error
from dpstats.engine.tables import open_table
from dpstats.errors import FileError
from dpstats.plan.sources import BLOCK_RANK, RANK


@dataclass(frozen=True)
class Feed:
    """Where a table's rows come from: a file, with the column to read for each declared one, the base, or both."""

    source: Source | None
    found: Mapping[str, SourceColumn]
    from_base: bool


class Feeder:
    """Reads the tables of a dataset. `base`: the data version before, open as `dp_base`; None: nothing is carried."""

    def __init__(self, made: Making, dataset: DatasetFile) -> None:
        self._made, self._dataset = made, dataset
        self.base: Path | None = None
        self.base_notes: Mapping[str, Notes] = {}
        self._base_columns: dict[str, dict[str, str]] = {}

    def open(self, base: Path) -> None:
        """Opens an earlier data version.

        Raises:
          FileError: it cannot be opened as one.
        """
        if not base.is_file() or self._made.run(f"ATTACH {literal(base)} AS dp_base (READ_ONLY)"):
            raise FileError(str(base), "cannot be opened as a data version: give a source for every table")
        read_meta(self._made.connection, base, "dp_base.main")
        sql = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'dp_base'"
        for table, column, data_type in self._made.connection.execute(sql).fetchall():
            self._base_columns.setdefault(table, {})[column] = data_type
        self.base, self.base_notes = base, notes_in(self._made.connection, "dp_base.main")

    @property
    def has_links(self) -> bool:
        """Whether the base has links between ids; one without a row is of people who were all erased."""
        return LINKED in self._base_columns

    def feed(self, name: str, path: Path | None, *, append: bool) -> Feed:
        """Where the table's rows are to come from; the file is opened and its columns found, no row is read.

        Raises:
          FileError: there is nothing to carry over, or the file is not one of these columns.
        """
        declared = self._dataset.tables[name].columns
        in_file = self._base_columns.get(name, {})
        stored = {column: kind for column, kind in in_file.items() if column not in (RANK, BLOCK_RANK)}
        in_base = stored == {column: spec.type.sql for column, spec in declared.items()}
        in_base = in_base and (name in self.base_notes) is self._dataset.tables[name].in_place
        if append and path is not None and self._dataset.tables[name].in_place:
            raise FileError(
                self._dataset.dataset, "is read in place, so it is loaded whole: leave out `--append`", key=name
            )
        if not in_base and (path is None or append):
            raise self._nothing_to_carry(name, append=path is not None)
        if path is None:
            return Feed(None, {}, from_base=True)
        source = open_table(self._made.connection, path)
        found = source.find(declared)
        for column, spec in declared.items():
            if not is_readable(found[column].type):
                raise _wrong_type(source, column, found[column], spec)
        return Feed(source, found, from_base=append)

    def read_source(self, source: Source, found: Mapping[str, SourceColumn], table: Table, tally: Tally) -> None:
        """The rows of a source file that are somebody's, into `dp_rows`.

        Raises:
          FileError: it is unreadable, has no rows, or a column of another type; or it cannot be written.
        """
        cells = {
            column: self._cell(table, column)(found[column].alias, found[column].type, spec.type)
            for column, spec in table.columns.items()
        }
        named = ", ".join(f"{cell} AS {quoted(column)}" for column, cell in cells.items())
        sql = f"INSERT INTO dp_rows FROM (SELECT {named} FROM {source.sql}){self._of_somebody(table)}"
        trouble = self._made.run(sql, {"dp_file": source.pattern})
        if trouble:
            raise file_error(source.path, trouble)
        ((of_somebody,),) = self._made.connection.fetchall()
        filled = self._check_cells(source, found, table)
        unit = "" if table.public else self._dataset.privacy_unit
        counts = given_cells(
            {name: found[name].alias for name in cells}, unit, f"{cells[unit]} IS NOT NULL" if unit else ""
        )
        read, *there = self._made.one_row(f"{counts} FROM {source.sql}", {"dp_file": source.pattern})
        tally.rows |= {READ: read, NOBODYS: read - of_somebody}
        tally.emptied |= {name: were - kept for name, were, kept in zip(cells, there, filled, strict=True)}

    def _check_cells(self, source: Source, found: Mapping[str, SourceColumn], table: Table) -> tuple[int, ...]:
        """Refuses a file without rows, one with a column of another type, and one whose rows are nobody's.

        Returns:
          How many cells of each column hold something.
        """
        counts = ", ".join(f"count({quoted(column)})" for column in table.columns)
        filled = self._made.one_row(f"SELECT {counts} FROM dp_rows")
        for column, kept in zip(table.columns, filled, strict=True):
            if not kept:
                self._check_column(source, column, found[column], table.columns[column])
        if not table.public and not self._made.one_row("SELECT count(*) FROM dp_rows")[0]:
            what = "is empty in every row: it must say whose row it is"
            raise FileError(str(source.path), what, key=f"column {self._dataset.privacy_unit}")
        return filled

    def _check_column(self, source: Source, column: str, found: SourceColumn, spec: Column) -> None:
        cell, cell_type = found.alias, found.type
        counts = f"count(*), count({given(cell, cell_type)}), count({cast(cell, cell_type, spec.type)})"
        rows, filled, fitting = self._made.one_row(f"SELECT {counts} FROM {source.sql}", {"dp_file": source.pattern})
        if not rows:
            raise FileError(str(source.path), "has no rows")
        if filled and not fitting:
            raise _wrong_type(source, column, found, spec)

    def read_base(self, name: str, table: Table) -> int:
        """The base's rows of a table, into `dp_rows`; how many they are.

        Raises:
          FileError: the base cannot be read.
        """
        columns = ", ".join(map(quoted, table.columns))
        sql = f"INSERT INTO dp_rows SELECT {columns} FROM dp_base.main.{quoted(name)}{self._of_somebody(table)}"
        if self._made.run(sql):
            raise FileError(str(self.base), "cannot be read: it is damaged, or memory and disk are full")
        ((count,),) = self._made.connection.fetchall()
        return int(count)

    def _cell(self, table: Table, column: str) -> Callable[[str, str, ColumnType], str]:
        return clean_id if not table.public and column == self._dataset.privacy_unit else clean

    def _of_somebody(self, table: Table) -> str:
        return "" if table.public else f" WHERE {quoted(self._dataset.privacy_unit)} IS NOT NULL"

    def _nothing_to_carry(self, name: str, *, append: bool) -> FileError:
        why = "its columns have changed since the last load" if name in self._base_columns else "it has no data yet"
        instead = "load it without `--append`" if append else f"add `--source {name}=PATH`"
        return FileError(self._dataset.dataset, f"{why}: {instead}", key=name)


def _wrong_type(source: Source, column: str, found: SourceColumn, spec: Column) -> FileError:
    kind = found.type.partition("(")[0]
    return FileError(str(source.path), f"the file has {kind}, dataset.yaml says {spec.type}", key=f"column {column}")
