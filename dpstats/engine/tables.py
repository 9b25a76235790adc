"""A table's source, whatever it is: one file, a folder of Parquet, or a table whose log says which files count."""

from __future__ import annotations

from pathlib import Path

import duckdb

from dpstats.engine.delta import delta_snapshot, is_delta
from dpstats.engine.logged import open_snapshot
from dpstats.engine.source import Source, open_source


def open_table(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """What is at `path` now: as `source.open_source`, or a table of Delta Lake or Iceberg at its present version.

    Raises:
      FileError: it cannot be read, or its files hold what is not the table.
    """
    if is_delta(path):
        return open_snapshot(connection, path, delta_snapshot(path))
    return open_source(connection, path)
