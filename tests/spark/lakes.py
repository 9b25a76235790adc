"""Folders of Parquet that tables are read from in place, and data versions over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from both import ADDRESS, PATIENCE_S
from made_version import KEY

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.consent import Roll
from dpstats.engine.links import LeftOut
from dpstats.engine.load import Loaded, load
from dpstats.engine.retention import Ages
from dpstats.engine.spark.engine import SparkEngine, open_spark
from dpstats.engine.spark.export import export
from dpstats.engine.spark.lake import SparkLake


def written(rows: str, folder: Path, partitioned_by: str = "") -> Path:
    """A folder with the rows of a SELECT, partitioned or in one file."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if partitioned_by:
            connection.execute(f"COPY ({rows}) TO '{folder}' (FORMAT parquet, PARTITION_BY ({partitioned_by}))")
        else:
            folder.mkdir(parents=True)
            connection.execute(f"COPY ({rows}) TO '{folder / 'rows.parquet'}' (FORMAT parquet)")
    return folder


def loaded(
    dataset: DatasetFile,
    sources: Mapping[str, Path],
    file: Path,
    *,
    key: bytes = KEY,
    base: Path | None = None,
    roll: Roll | None = None,
    left_out: LeftOut | None = None,
    ages: Ages | None = None,
) -> Loaded:
    """Makes the data version in `file`."""
    lake = SparkLake(ADDRESS, key, 1024, 2)
    done = load(
        dataset,
        sources,
        target=file,
        key=key,
        base=base,
        today=ages.now.date() if ages else None,
        roll=roll,
        left_out=left_out,
        ages=ages,
        lake=lake,
    )
    export(dataset, file)
    return done


@contextmanager
def opened(file: Path) -> Iterator[SparkEngine]:
    """The data version, open."""
    engine = open_spark(file, address=ADDRESS, key=KEY, memory_limit_mb=1024, deadline_s=PATIENCE_S)
    try:
        yield engine
    finally:
        engine.close()


def rows_of(file: Path, columns: Sequence[str], table: str = "visits") -> Counter[tuple[Any, ...]]:
    """The rows that a query may read, as text, and how often each is there."""
    with opened(file) as engine:
        assert engine.changed([table]) == ()
        cells = ", ".join(f"CAST(`{column}` AS STRING)" for column in columns)
        found = engine._session.sql(f"SELECT {cells} FROM `{table}`").toArrow()
    return Counter(zip(*(column.to_pylist() for column in found.columns), strict=True))
