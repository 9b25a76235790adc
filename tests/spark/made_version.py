"""Data versions made of rows given here, on the road that every load takes, with their tables for Spark."""

from __future__ import annotations

from pathlib import Path

from shop import Rows, opened

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.load import load
from dpstats.engine.spark.export import export

KEY = bytes(range(32))


def version_of(rows: Rows, shop: DatasetFile, folder: Path) -> Path:
    """The file of a data version of the shop with these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = {}
    with opened(rows, shop=shop) as connection:
        for table in shop.tables:
            sources[table] = folder / f"{table}.parquet"
            connection.execute(f"COPY {table} TO '{sources[table]}' (FORMAT parquet)")
    file = folder / "shop.duckdb"
    load(shop, sources, target=file, key=KEY)
    export(shop, file)
    return file
