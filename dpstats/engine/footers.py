"""What the footers of a table's Parquet files say, where an engine that reads the files says otherwise or nothing."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import duckdb

from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.source import ROWS, Source, file_error, trouble_in
from dpstats.errors import FileError

_MILLISECONDS = (
    "SELECT DISTINCT name FROM parquet_schema($dp_file) WHERE converted_type = 'TIMESTAMP_MILLIS' ORDER BY 1"
)


def rows_in(source: Source) -> int:
    """How many rows there are in the files.

    Raises:
      FileError: a file cannot be read any more.
    """
    ((rows,),) = _asked(source, ROWS)
    return int(rows)


def in_milliseconds(source: Source, names: Collection[str]) -> tuple[str, ...]:
    """The columns of those names that a Parquet file has in milliseconds, which DuckDB tells from no other times; of
    files that cannot be read, none.
    """
    with suppress(FileError):
        return tuple(name for (name,) in _asked(source, _MILLISECONDS) if name in names)
    return ()


def _asked(source: Source, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
        look = {"dp_file": source.pattern}
        trouble = trouble_in(lambda: found.extend(connection.execute(sql, look).fetchall()))
    if trouble:
        raise file_error(source.path, trouble)
    return found
