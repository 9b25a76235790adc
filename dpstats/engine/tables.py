"""A table's source, whatever it is: one file, a folder of Parquet, or a table whose log says which files count."""

from __future__ import annotations

from pathlib import Path

import duckdb

from dpstats.engine.delta import delta_snapshot, is_delta
from dpstats.engine.iceberg import iceberg_snapshot, is_iceberg
from dpstats.engine.logged import open_snapshot
from dpstats.engine.source import Source, open_source
from dpstats.errors import FileError


def open_table(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """What is at `path` now: as `source.open_source`, or a table of Delta Lake or Iceberg at its present version.

    Raises:
      FileError: it cannot be read, or its files hold what is not the table.
    """
    if is_delta(path) and is_iceberg(path):
        what = "is a table of Delta Lake and of Iceberg at once, which may differ: export its rows"
        raise FileError(str(path), what)
    if is_delta(path):
        return open_snapshot(connection, path, delta_snapshot(path))
    if is_iceberg(path):
        return open_snapshot(connection, path, iceberg_snapshot(path))
    return open_source(connection, path)
