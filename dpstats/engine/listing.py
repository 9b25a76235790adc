"""Rows of a Parquet or CSV file as text, for what is not loaded into a data version: consent events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from dpstats.engine.cells import is_readable
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.source import Source, by_cells, file_error, open_source, trouble_in
from dpstats.errors import FileError

ROWS_AT_ONCE = 10_000


def listed(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """The rows of a file, each cell as text, an empty one for no value; columns that are not named are not read.

    Args:
      columns: the file must have these. optional: those that it has not are empty.

    Raises:
      FileError: the file is missing, malformed, or lacks a column. No text holds a cell.
    """
    with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        source = open_source(connection, path)
        sql = f"SELECT {', '.join(_cells(source, columns, optional))} FROM {source.sql}"
        with by_cells(connection):  # till the last row is read: a setting ends what is being read
            trouble = trouble_in(lambda: connection.execute(sql, {"dp_file": source.pattern}))
            if trouble:
                raise file_error(path, trouble)
            while rows := _fetched(connection, path):
                yield from rows


def _fetched(connection: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    trouble = trouble_in(lambda: rows.extend(connection.fetchmany(ROWS_AT_ONCE)))
    if trouble:
        raise file_error(path, trouble)
    return rows


def _cells(source: Source, columns: Sequence[str], optional: Sequence[str]) -> Iterator[str]:
    there = {column.name.strip().casefold() for column in source.columns}
    found = source.find([*columns, *(name for name in optional if name in there)])
    for name in (*columns, *optional):
        column = found.get(name)
        if column is not None and not is_readable(column.type):
            kind = column.type.partition("(")[0]
            raise FileError(str(source.path), f"the file has {kind}, where text is needed", key=f"column {name}")
        yield f"coalesce(CAST({column.alias} AS VARCHAR), '')" if column else "''"
