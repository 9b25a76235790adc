"""A query reads the partitions that it asks for, and no file of another; their values are those of a copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from both import ADDRESS
from deltalake import write_deltalake
from lakes import loaded, opened, rows_of, written
from logged_tables import shop_of
from made_version import KEY

from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import parse_query
from dpstats.engine.noise import _open_groups
from dpstats.engine.place import place_of
from dpstats.engine.spark.engine import SparkEngine
from dpstats.engine.spark.lake import SparkLake
from dpstats.engine.tables import open_table
from dpstats.errors import FileError
from dpstats.plan.analysis import analyse
from dpstats.plan.build import build
from dpstats.plan.caps import nothing_counted

VISITS = "uid: {type: bigint}, day: {type: date}, shop: {type: integer}, town: {type: varchar}"
DATASET, COPY = shop_of(VISITS)
QUERY = """
query: visits
dataset: shop
sql: SELECT COUNT(*) AS n FROM visits WHERE {asked}
parameters: {{{parameters}}}
bounds: {{n: [0, 9]}}
cost: {{rho: 0.5}}
"""
PARAMETERS = {
    "since": "{type: date, min: 2017-01-01, max: 2018-01-01, default: 2017-01-04}",
    "shop": "{type: integer, min: 0, max: 2, default: 1}",
    "town": "{type: enum, values: [t0, t1], default: t1}",
}
ROWS = """
    SELECT i AS uid, DATE '2017-01-01' + (i % 4)::INTEGER AS day, (i % 3)::INTEGER AS shop, 't' || (i % 2) AS town
    FROM range(240) AS t(i)"""


def _counted(engine: SparkEngine, asked: str) -> int:
    """What a query counts, before noise; it does not look whether files are as they were noted."""
    parameters = ", ".join(f"{name}: {spec}" for name, spec in PARAMETERS.items() if f"${name}" in asked)
    query = parse_query(QUERY.format(asked=asked, parameters=parameters), "q.yaml")
    plan = build(analyse(query, DATASET), bind_parameters(query, {}), lambda *_: (), nothing_counted)
    _, vectors = _open_groups(plan, engine._answer(plan))
    return sum(map(sum, vectors))


def _kept(folder: Path, part: str) -> None:
    """Nothing is readable but what lies in partitions of that name."""
    for file in folder.rglob("*.parquet"):
        if part not in file.parts:
            file.write_bytes(b"no Parquet")


@pytest.mark.parametrize("kind", ["folders", "Delta"])
def test_files_of_partitions_that_are_not_asked_for_are_not_read(tmp_path: Path, kind: str) -> None:
    by, lake = ["day", "shop", "town"], tmp_path / "lake"
    if kind == "Delta":
        with duckdb.connect() as connection:
            write_deltalake(lake, connection.sql(ROWS).to_arrow_table(), partition_by=by)
    else:
        written(ROWS, lake, ", ".join(by))
    loaded(DATASET, {"visits": lake}, tmp_path / "made.duckdb")
    with opened(tmp_path / "made.duckdb") as engine:
        assert engine.changed(["visits"]) == ()
        assert _counted(engine, "shop >= 0") == 240
        _kept(lake, "day=2017-01-04")
        assert _counted(engine, "day >= $since") == 60
        with pytest.raises(Exception, match="FAILED_READ_FILE"):
            _counted(engine, "shop >= 0")
        _kept(lake, "shop=1")
        assert _counted(engine, "shop = $shop AND day > DATE '2017-01-03'") == 20
        _kept(lake, "town=t1")
        assert _counted(engine, "town = $town AND shop IN (1, 7) AND day BETWEEN $since AND DATE '2018-01-01'") == 20


def test_partitions_have_the_values_that_a_copy_has(tmp_path: Path) -> None:
    days = ["2017-01-03", "0044-03-15", "0000-01-01", "9999-12-31", "10000-01-01", "2017-02-30", "monday", None]
    shops = ["1", "007", "-5", "5-3", "-", "2147483647", "2147483648", "12345678901234567890", None]
    for number, (day, shop) in enumerate((day, shop) for day in days for shop in shops):
        part = "__HIVE_DEFAULT_PARTITION__"
        folder = tmp_path / "lake" / f"day={day or part}" / f"shop={shop or part}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"uid": [number], "town": ["a"]}), folder / "rows.parquet")
    loaded(DATASET, {"visits": tmp_path / "lake"}, tmp_path / "place.duckdb")
    loaded(COPY, {"visits": tmp_path / "lake"}, tmp_path / "copy.duckdb")
    columns = ["uid", "day", "shop"]
    there = rows_of(tmp_path / "place.duckdb", columns)
    assert there == rows_of(tmp_path / "copy.duckdb", columns)
    assert {day for _, day, _ in there} == {"2017-01-03", "0044-03-15", "9999-12-31", None}


def test_partitions_of_nineteen_digits_have_their_values(tmp_path: Path) -> None:
    shops = [2**63 - 1, -(2**63), 10**18, -(10**18), 2**62, None]
    with_long = shop_of(VISITS.replace("shop: {type: integer}", "shop: {type: bigint}"))
    rows = pa.table({"uid": range(6), "day": ["2017-01-03"] * 6, "shop": shops, "town": ["a"] * 6})
    lake = tmp_path / "lake"
    pq.write_to_dataset(rows.set_column(2, "shop", rows["shop"].cast("string")), lake, ["shop", "day"])
    for number, text in enumerate([str(2**63), str(-(2**63) - 1), "0" * 20 + "7", "-" + "0" * 19 + str(2**62)], 10):
        folder = lake / f"shop={text}" / "day=2017-01-03"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"uid": [number], "town": ["a"]}), folder / "rows.parquet")
    for name, dataset in zip(("place", "copy"), with_long, strict=True):
        loaded(dataset, {"visits": lake}, tmp_path / f"{name}.duckdb")
    there = rows_of(tmp_path / "place.duckdb", ["uid", "shop"])
    assert there == rows_of(tmp_path / "copy.duckdb", ["uid", "shop"])
    assert sorted(there) == sorted([
        *((str(uid), shop if shop is None else str(shop)) for uid, shop in enumerate(shops)),
        ("10", None), ("11", None), ("12", "7"), ("13", str(-(2**62))),
    ], key=str)  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [("day", "2017-1-1"), ("day", "%202017-01-01"), ("shop", "+7")])
def test_a_partition_that_a_copy_alone_would_have_a_value_of_is_refused(
    tmp_path: Path, column: str, value: str
) -> None:
    values = {"day": "2017-01-03", "shop": "1"} | {column: value}
    folder = tmp_path / "lake" / f"day={values['day']}" / f"shop={values['shop']}"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"uid": [1], "town": ["a"]}), folder / "rows.parquet")
    with pytest.raises(FileError, match=f"column {column}.*does not take for") as caught:
        loaded(DATASET, {"visits": tmp_path / "lake"}, tmp_path / "place.duckdb")
    assert value not in str(caught.value)


def test_files_of_which_spark_finds_not_all_rows_are_refused(tmp_path: Path) -> None:
    lake = written(ROWS, tmp_path / "lake", "day, shop, town")
    with duckdb.connect() as connection:
        source = open_table(connection, lake)
        place = place_of("visits", source, source.find(DATASET.tables["visits"].columns))
    look = SparkLake(ADDRESS, KEY, 1024, 2)
    assert len(look(DATASET, place).ids) == 240
    with pytest.raises(FileError, match="rows that Spark does not find"):
        look(DATASET, replace(place, pins=place.pins[1:]))
