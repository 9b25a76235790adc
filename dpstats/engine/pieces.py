"""The rows that a data version holds of one person, for that person alone.

This is the one place from which rows leave as they are. Only a verified request to know comes here, and a deletion of
which something must be kept; nothing that is read here ever stands beside a noisy answer, in a log or in an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.at_owner import rows_at_owner
from dpstats.engine.links import LeftOut, whole_person
from dpstats.engine.names import quoted
from dpstats.engine.opened import HELD, opened
from dpstats.errors import FileError


@dataclass(frozen=True)
class Pieces:
    """A table's rows of one person, as text; `withheld`: columns that are held and may not be sent out.

    `unread`: they are at the table's owner, and cannot be read there now: that there are no rows says nothing.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    withheld: tuple[str, ...]
    unread: bool = False

    def __repr__(self) -> str:
        return f"Pieces({', '.join(self.columns)})"


def pieces(dataset: DatasetFile, file: Path, is_person: LeftOut) -> Mapping[str, Pieces]:
    """What a data version holds of a person, by table; and what the owners' files hold now of tables in place.

    Args:
      is_person: says of an id, as text, whether it is the person's.

    Raises:
      FileError: the file cannot be read as a data version of the dataset.
    """
    is_person = whole_person(dataset, file, is_person)
    with opened(file) as connection:
        copies = [name for name, table in dataset.personal_tables.items() if not table.in_place]
        found = {name: _of_table(connection, dataset, name, is_person) for name in copies}
    for name in dataset.tables_in_place:
        found[name] = _at_owner(dataset, file, name, is_person)
    return found


def _at_owner(dataset: DatasetFile, file: Path, table: str, is_person: LeftOut) -> Pieces:
    shown, withheld = _columns(dataset, table)
    with suppress(FileError):  # its words name the owner's folder
        return Pieces(shown, rows_at_owner(dataset, file, table, shown, is_person), withheld)
    return Pieces(shown, (), withheld, unread=True)


def cells(
    dataset: DatasetFile, file: Path, is_person: LeftOut, columns: Collection[str]
) -> Mapping[str, tuple[tuple[str, str | None], ...]]:
    """What a data version holds of a person in columns, as `table.column`: each row's unit, and its cell.

    Those of columns of one table are of the same rows, in the same order: of all that have anything in one of them.

    Raises:
      FileError: as `pieces`.
    """
    found: dict[str, tuple[tuple[str, str | None], ...]] = {}
    is_person = whole_person(dataset, file, is_person)
    with opened(file) as connection:
        for table in dataset.personal_tables:
            names = [name for name in dataset.tables[table].columns if f"{table}.{name}" in columns]
            rows = _rows(connection, dataset, table, is_person, [dataset.privacy_unit, *names]) if names else ()
            rows = tuple(row for row in rows if any(cell is not None for cell in row[1:]))
            for place, name in enumerate(names, start=1):
                found[f"{table}.{name}"] = tuple((str(row[0]), row[place]) for row in rows)
    return found


def _of_table(connection: duckdb.DuckDBPyConnection, dataset: DatasetFile, name: str, is_person: LeftOut) -> Pieces:
    shown, withheld = _columns(dataset, name)
    return Pieces(shown, _rows(connection, dataset, name, is_person, shown), withheld)


def _columns(dataset: DatasetFile, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A table's columns that may be sent out, and those that may not."""
    declared = dataset.tables[name].columns
    return (
        tuple(column for column, spec in declared.items() if not spec.never_disclose),
        tuple(column for column, spec in declared.items() if spec.never_disclose),
    )


def _rows(
    connection: duckdb.DuckDBPyConnection,
    dataset: DatasetFile,
    name: str,
    is_person: LeftOut,
    columns: Sequence[str],
) -> tuple[tuple[str | None, ...], ...]:
    """These columns of a person's rows in a table, as text, in an order that the rows alone decide."""
    unit = f"CAST({quoted(dataset.privacy_unit)} AS VARCHAR)"
    source = f"{HELD}.{quoted(name)}"
    units = connection.execute(f"SELECT DISTINCT {unit} FROM {source}").fetchall()
    theirs = [text for (text,) in units if is_person(text)]
    if not columns or not theirs:
        return ()
    cast = ", ".join(f"CAST({quoted(column)} AS VARCHAR)" for column in columns)
    sql = f"SELECT {cast} FROM {source} WHERE {unit} IN (SELECT unnest($theirs))"
    rows = connection.execute(sql, {"theirs": theirs}).fetchall()
    return tuple(sorted(rows, key=lambda row: tuple(cell or "" for cell in row)))
