"""Values of partitions that a copy would take for dates or numbers, and Spark's cells would not: they are refused.

DuckDB reads `2017-1-2` and `+7`; a cell made of a partition has one spelling of each, so that Spark looks for no
pattern (`lake_cells.py`). Such a value would be NULL in place, without a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import duckdb

from dpstats.catalog.dataset import Table
from dpstats.catalog.types import ColumnType
from dpstats.engine.cells import clean
from dpstats.engine.folders import Folder
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.place import Place
from dpstats.errors import FileError

EmptyOf = Callable[[str, str, str], Sequence[str]]


def check_spellings(place: Place, table: Table, cells: Mapping[str, str], empty_of: EmptyOf) -> None:
    """Refuses a partition of which Spark makes NULL, and a copy would not.

    Args:
      cells: Spark's SQL for each declared column. empty_of: of a JSON list of texts, those of which a cell is NULL, by
        the partition's name and that SQL.

    Raises:
      FileError: there is one. No text holds its value.
    """
    for column, made in cells.items():
        name, kind = place.found[column].name, table.columns[column].type
        texts = _values(place.source.folder, name)
        if texts and _fits(empty_of(json.dumps(texts), name, made), kind):
            what = f"has a partition that Spark does not take for {kind}: spell it as usual (2017-01-02, 7)"
            raise FileError(str(place.source.path), f"{what}, or load the table as a copy", key=f"column {column}")


def _values(folder: Folder, name: str) -> list[str]:
    """The values of a partition, as text; none if it is no partition."""
    if name not in folder.partitions:
        return []
    place = folder.partitions.index(name)
    return sorted({value for values in folder.values if (value := values[place]) is not None})


def _fits(texts: Sequence[str], kind: ColumnType) -> bool:
    """Whether a copy would have a value for one of these texts."""
    cell = clean("dp_text", "VARCHAR", kind)
    with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sql = f"SELECT count({cell}) FROM (SELECT unnest($dp_texts::VARCHAR[]) AS dp_text)"
        ((count,),) = connection.execute(sql, {"dp_texts": list(texts)}).fetchall()
    return bool(count)
