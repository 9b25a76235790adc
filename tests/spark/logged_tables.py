"""What the tests of tables with a log share: a shop's visits in place and as a copy, and what is read of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from both import ADDRESS

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.engine.place import place_of
from dpstats.engine.tables import open_table
from dpstats.errors import FileError

_SHOP = f"""
dataset: shop
privacy_unit: uid
budget: {{epsilon: 100, delta: 1.0e-6}}
engine: {{spark: '{ADDRESS}'}}
max_rows_per_unit: 1000
tables:
"""
_IN_PLACE = "    in_place: true\n"


def shop_of(columns: str, tables: Sequence[str] = ("visits",)) -> tuple[DatasetFile, DatasetFile]:
    """A dataset whose tables are read in place, and the same with copies of them.

    Args:
      columns: those of each table, in YAML on one line.
    """
    text = _SHOP + "".join(f"  {table}:\n{_IN_PLACE}    columns: {{{columns}}}\n" for table in tables)
    return parse_dataset(text, "dataset.yaml"), parse_dataset(text.replace(_IN_PLACE, ""), "dataset.yaml")


def read(path: Path, *columns: str) -> list[tuple[Any, ...]]:
    """The rows, sorted, as text, if Spark may read the table in place too."""
    with duckdb.connect() as connection:
        source = open_table(connection, path)
        found = source.find(columns)
        place_of("visits", source, found)
        cells = ", ".join(f"CAST({found[column].alias} AS VARCHAR)" for column in columns)
        sql = f"SELECT {cells} FROM {source.sql} ORDER BY ALL"
        return connection.execute(sql, {"dp_file": source.pattern}).fetchall()


def refused(path: Path, *columns: str) -> str:
    """What is said of a table that is not read; it names the path that was given."""
    with pytest.raises(FileError) as error:
        read(path, *columns or ("uid", "town"))
    assert str(error.value).startswith(f"{path}: ")
    return error.value.what
