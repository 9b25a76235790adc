"""A data version's file, opened beside what answers: to find what it holds of somebody, and never for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.names import literal
from dpstats.errors import FileError

HELD = "dp_held.main"
"""The schema, as an SQL name, in which an opened file's tables are."""


@contextmanager
def opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that has the file, read-only, as `HELD`.

    What DuckDB says inside the `with` ends here, since it may hold values. Nothing is spilled: people's rows would be
    left where the process runs, if it was killed.

    Raises:
      FileError: the file cannot be read as a data version, or not as the statements inside ask it to be, or not in the
        memory at hand.
    """
    try:
        with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET temp_directory = ''")
            connection.execute(f"ATTACH {literal(file)} AS dp_held (READ_ONLY)")
            yield connection
    except duckdb.OutOfMemoryException:
        what = "needs more memory to be looked through than there is: make room, then do it again"
        raise FileError(str(file), what) from None
    except duckdb.Error:
        raise FileError(str(file), "cannot be read as a data version: load the dataset again") from None
