"""One answer in several passes over units: the same whole numbers as in one, whatever is asked, however it is cut."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from neighbours import shop_rows
from shop import DATASET, KEY, opened, planned
from test_neighbours import PLANS

from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.answers import answered
from dpstats.engine.duck import _answer, _result, open_engine
from dpstats.engine.load import load
from dpstats.engine.noise import _open_groups
from dpstats.engine.passes import ENTRIES_MAX, TableRows, one_deadline, passes_of
from dpstats.errors import Unavailable
from dpstats.plan.plan import Plan

DISTINCT = {"distinct values", "private keys"}
"""The queries that count distinct values, which no sum over units gives."""
COUNTED = "SELECT item, COUNT(*) AS n, SUM(paid) AS s FROM visits GROUP BY item"
BOUNDED: dict[str, Any] = {
    "keys": {"item": {"values": [0, 1, 2, 3]}},
    "bounds": {"n": [0, 3], "s": [0, 9]},
    "contribution": {"max_groups": 2},
}
LITTLE = """
dataset: shop
privacy_unit: uid
budget: {{epsilon: 6.0, delta: 1.0e-6}}
max_rows_per_unit: 1000
tables:
  visits:
    columns: {{uid: {{type: {}}}, item: {{type: bigint}}, paid: {{type: double, bounds: [0, 100]}}}}
"""
SLOW = "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c WHERE hash(a, b, c) = 1"


@pytest.fixture(scope="module")
def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Nasty rows of thirty units, and of nobody, in the order of nothing."""
    return {table: random.Random(5).sample(each, len(each)) for table, each in shop_rows(random.Random(3), 30).items()}


@pytest.fixture(scope="module")
def shop(rows: dict[str, list[tuple[Any, ...]]]) -> duckdb.DuckDBPyConnection:
    return opened(rows)


def in_passes(connection: duckdb.DuckDBPyConnection, plan: Plan, passes: int) -> tuple[int, Any]:
    """How many passes were made, and the exact answer of them all."""
    assert plan.by_unit is not None
    cursor = connection.cursor()
    total = sum(cursor.execute(f"SELECT count(*) FROM {t}").fetchall()[0][0] for t in plan.by_unit.tables)
    each = passes_of(cursor, plan, total // passes, TableRows())
    return len(each), _open_groups(plan, answered(plan, (_result(cursor, plan, KEY, one) for one in each)))


def in_one(connection: duckdb.DuckDBPyConnection, plan: Plan) -> Any:
    return _open_groups(plan, _answer(connection.cursor(), plan, KEY))


@pytest.mark.parametrize("name", [name for name in PLANS if name not in DISTINCT])
def test_passes_add_up_to_the_answer_to_the_last_digit(shop: duckdb.DuckDBPyConnection, name: str) -> None:
    plan = PLANS[name]
    whole = in_one(shop, plan)
    assert any(map(any, whole[1]))
    for passes in (1, 3, 8):
        made, answer = in_passes(shop, plan, passes)
        assert made == passes or 1 < made < passes  # nobody's rows make no cut
        assert answer == whole


@pytest.mark.parametrize("name", sorted(DISTINCT))
def test_distinct_values_of_several_units_are_counted_in_one_pass(name: str) -> None:
    assert PLANS[name].by_unit is None


def loaded(folder: Path, kind: str, ids: Sequence[Any]) -> Path:
    """A data version whose units have ids of that type; the last of them has most of the rows."""
    dataset = parse_dataset(LITTLE.format(kind), "dataset.yaml")
    random_ = random.Random(9)
    visits = [(unit, random_.randint(0, 4), random_.random() * 9) for unit in ids for _ in "abc"]
    visits += [(ids[-1], i % 4, 1.0) for i in range(200)]
    with opened({"visits": visits}, shop=dataset) as connection:
        connection.execute(f"COPY visits TO '{folder / 'visits.parquet'}' (FORMAT parquet)")
    load(dataset, {"visits": folder / "visits.parquet"}, target=folder / "shop.duckdb", key=bytes(32))
    return folder / "shop.duckdb"


KINDS: dict[str, Sequence[Any]] = {
    "bigint": (-(2**63), -1, 0, 1, 2**53 + 1, 2**53 + 2, 2**63 - 1),
    "integer": (-(2**31), -3, 0, 5, 6, 2**31 - 1),
    "varchar": ("", " ", "A", "a", "it's", '"', "$dp_first", "é", "e\u0301", "東京", "🎉", "9", "10"),
    "uuid": [f"{digit * 8}-0000-4000-8000-000000000000" for digit in "0189af"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_answers_alike_however_many_rows_it_bounds_at_a_time(tmp_path: Path, kind: str) -> None:
    file = loaded(tmp_path, kind, KINDS[kind])
    plan = planned(COUNTED, shop=parse_dataset(LITTLE.format(kind), "dataset.yaml"), **BOUNDED)
    found = []
    for rows_a_pass in (10_000, 90, 7, 1):
        engine = open_engine(file, key=bytes(32), rows_a_pass=rows_a_pass)
        found.append(_open_groups(plan, engine.run(plan)))
        engine.close()
    assert any(found[0][1][0])
    assert found == [found[0]] * 4


def test_one_unit_with_most_of_the_rows_makes_no_fewer_passes(tmp_path: Path) -> None:
    plan = planned(COUNTED, **BOUNDED)
    with duckdb.connect(loaded(tmp_path, "bigint", range(5)), read_only=True) as connection:
        assert len(passes_of(connection, plan, 21, TableRows())) == 10


def test_more_groups_than_are_worth_adding_up_are_answered_in_one_pass(shop: duckdb.DuckDBPyConnection) -> None:
    plan = planned(COUNTED, **BOUNDED)
    few, many = (
        replace(plan, keys=(replace(plan.keys[0], values=tuple(range(groups))),))
        for groups in (ENTRIES_MAX // 8, ENTRIES_MAX // 4 + 1)
    )
    assert len(passes_of(shop, few, 1, TableRows())) > 1
    assert len(passes_of(shop, many, 1, TableRows())) == 1


def test_a_column_that_hides_where_rows_lie_is_no_ground_for_passes() -> None:
    hiding = parse_dataset(DATASET.replace("secret:", "RowID:"), "dataset.yaml")
    plan = planned(COUNTED, shop=hiding, **BOUNDED)
    assert plan.by_unit is None


def test_what_fails_in_one_pass_is_the_same_refusal(tmp_path: Path) -> None:
    plan = planned(COUNTED, **BOUNDED)
    failing = replace(plan, sql=plan.sql.replace("count(*)", "count(CASE WHEN u = 3 THEN error('of 3') ELSE 1 END)", 1))
    assert failing.sql != plan.sql
    engine = open_engine(loaded(tmp_path, "bigint", range(5)), key=bytes(32), rows_a_pass=40)
    with pytest.raises(Unavailable) as failed:
        engine.run(failing)
    engine.close()
    assert "of 3" not in repr(failed.value) + str(failed.value)
    assert failed.value.__context__ is None


def test_passes_share_one_deadline_and_none_begins_after_it(tmp_path: Path) -> None:
    plan = planned(COUNTED, **BOUNDED)
    file = loaded(tmp_path, "bigint", range(5))
    engine = open_engine(file, key=bytes(32), rows_a_pass=40)
    engine.run(plan)
    engine._limits = replace(engine._limits, deadline_s=0)  # each pass by itself has as long as before
    with pytest.raises(Unavailable):
        engine.run(plan)
    engine.close()
    with duckdb.connect() as connection, one_deadline(connection, 0.1) as deadline:
        with pytest.raises(duckdb.InterruptException):
            connection.execute(SLOW)
        with pytest.raises(TimeoutError):
            deadline.check()
    with duckdb.connect() as connection:
        with one_deadline(connection, 60) as deadline:
            deadline.check()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
