"""The bundled queries on the real data with one household less: no exact answer moves by more than is priced for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest
from bundle import KEY, Bundle, Everybody
from exact_changes import check_moved, pairs_of

from dpstats.engine.duck import DuckEngine, open_engine
from dpstats.engine.load import load
from dpstats.engine.noise import _open_groups

PICKED = {
    "the one with the most rows": "ORDER BY count(*) DESC, household_id",
    "the one with the largest spend": "ORDER BY sum(sales_value) DESC, household_id",
    "one with few rows": "HAVING count(*) > 3 ORDER BY count(*), household_id",
    "any": "ORDER BY hash(household_id)",
}


@pytest.fixture(params=PICKED)
def neighbour(
    request: pytest.FixtureRequest,
    bundle: Bundle,
    plain: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Path],
    tmp_path: Path,
) -> Iterator[DuckEngine]:
    """An engine over everyone but one household, in all tables that hold personal data."""
    picked = f"SELECT household_id FROM transactions GROUP BY household_id {PICKED[request.param]} LIMIT 1"
    ((household,),) = plain.execute(picked).fetchall()
    left = dict(sources)
    for name, table in bundle.dataset.tables.items():
        if not table.public:
            left[name] = tmp_path / f"{name}.parquet"
            others = f"SELECT * FROM {name} WHERE household_id IS DISTINCT FROM {household}"
            plain.execute(f"COPY ({others}) TO '{left[name]}' (FORMAT parquet)")
    file = tmp_path / "data.duckdb"
    load(bundle.dataset, left, target=file, key=KEY, roll=Everybody(bundle.dataset))
    engine = open_engine(file, key=KEY)
    yield engine
    engine.close()


def test_one_household_moves_no_bundled_answer_by_more_than_its_price_says(
    bundle: Bundle, neighbour: DuckEngine
) -> None:
    moved = 0
    for name in bundle.queries:
        plan = bundle.plan(name)
        more, less = (_open_groups(plan, engine.run(plan)) for engine in (bundle.engine, neighbour))
        moved += check_moved(plan, pairs_of(plan, more, less))
    assert moved >= 5  # a household that said nothing of itself is in no answer about incomes
