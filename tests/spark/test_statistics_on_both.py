"""Every statistic on both engines over the nastiest rows: the same where nothing is chosen, else within its bounds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from both import Both, exactly
from exact_changes import check_moved
from made_version import KEY, version_of
from neighbours import shop_rows, without
from shop import DATASET, planned
from test_neighbours import Q, public

from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.noise import add_noise
from dpstats.errors import QueryRefused
from dpstats.plan.plan import Plan

SHOP = parse_dataset(DATASET.replace("tables:", 'engine: {spark: "local[2]"}\ntables:', 1), "dataset.yaml")
REFUSED = {"two zeros", "what may overflow"}
"""They turn a double into text, and move dates by a million years."""
WIDE = {"max_groups": 1_000, "max_rows": 100_000}
CHOSEN = ("by a public column and a month", "several quantiles", "private keys")
"""Queries whose bounds drop rows and groups here, of which a unit's removal is tried too."""
FAR = {"5874897-12-31", "5877642-06-25 (BC)", "294246-12-31 23:59:59", "290309-12-22 (BC) 00:00:00"}
"""Days that are nothing on Spark."""
OVERFLOWING = (
    "SELECT GREATEST(v.big, v.n) AS k, COUNT(DISTINCT v.uid) AS u, SUM(LEAST(GREATEST(v.big * 2 // v.n, -9), 9)) AS s, "
    "AVG(ABS(v.big) + v.n) AS a, SUM(LEAST(GREATEST(v.wild * v.wild * 1e300, -5), 5)) AS w FROM visits v "
    "WHERE v.word LIKE '%' OR v.wild / v.paid > 3 OR v.day + INTERVAL 9999 YEAR > v.seen OR -v.big < v.big GROUP BY 1"
)


def _planned(sql: str, parts: dict[str, Any]) -> Plan:
    return planned(sql, shop=SHOP, public=public, **parts)


def _wide(sql: str, parts: dict[str, Any]) -> Plan:
    """The same question, with bounds under which a hash chooses nothing."""
    if "max_norm" in parts.get("contribution", {}):
        return _planned(sql, parts)
    return _planned(sql, parts | {"contribution": WIDE})


ROWS = {
    table: [tuple(None if cell in FAR else cell for cell in row) for row in rows]
    for table, rows in shop_rows(random.Random(21), 25).items()
}
BUSIEST = max(range(25), key=lambda unit: sum(row[0] == unit for row in ROWS["visits"]))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    opened = Both(version_of(ROWS, SHOP, tmp_path_factory.mktemp("all")), KEY)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def less(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The same but for the unit that has most visits."""
    opened = Both(version_of(without(ROWS, BUSIEST), SHOP, tmp_path_factory.mktemp("less")), KEY)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", [name for name in Q if name not in REFUSED])
def test_where_nothing_is_chosen_both_say_the_same(both: Both, name: str) -> None:
    sql, parts = Q[name]
    if name == "distinct values":
        parts = parts | {"bounds": {"w": [0, 99], "x": [0, 99], "z": [0, 99]}}
    if name == "private keys":
        parts = parts | {"bounds": parts["bounds"] | {"d": [0, 99]}}
    duck, spark = both.answers(_wide(sql, parts))
    assert any(any(map(any, cells)) for cells in duck.values())
    assert spark == duck


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_spark_would_say_otherwise_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        _planned(*Q[name])
    (reason,) = refused.value.reasons
    assert "Spark" in reason.what
    assert reason.instead


@pytest.mark.parametrize("name", CHOSEN)
def test_where_a_hash_chooses_a_unit_moves_spark_s_answer_by_no_more_than_is_priced(
    both: Both, less: Both, name: str
) -> None:
    plan = _planned(*Q[name])
    more, fewer = exactly(plan, both.spark), exactly(plan, less.spark)
    nothing = tuple((0,) * draw.cells for draw in plan.draws)
    pairs = [
        list(zip(more.get(group, nothing), fewer.get(group, nothing), strict=True)) for group in more.keys() | fewer
    ]
    assert check_moved(plan, pairs)


def test_what_overflows_is_null_and_fails_nobody(both: Both) -> None:
    parts: dict[str, Any] = {
        "keys": {"k": {"values": [0, 1, 10, 50, 2**63 - 1]}},
        "bounds": {"s": [-10, 10], "a": [0, 1000], "w": [-9, 9]},
        "contribution": WIDE,
    }
    duck, spark = both.answers(_planned(OVERFLOWING, parts))
    assert spark == duck


def test_the_same_question_has_the_same_answer_on_spark_and_takes_noise_once(both: Both) -> None:
    plan = _planned(*Q["by a public column and a month"])
    assert exactly(plan, both.spark) == exactly(plan, both.spark)
    exact = both.spark.run(plan)
    add_noise(plan, exact)
    with pytest.raises(ValueError, match="opened before"):
        add_noise(plan, exact)


@pytest.mark.parametrize("since", ["0001-01-01", "0044-03-15", "1582-10-10", "2017-01-08"])
def test_a_parameter_is_the_same_day_on_both_whatever_its_year(both: Both, since: str) -> None:
    parameters = {"since": {"type": "date", "min": "0001-01-01", "max": "9999-12-31", "default": since}}
    sql = "SELECT COUNT(*) AS n, COUNT(*) FILTER (WHERE day = $since) AS then FROM visits WHERE day >= $since"
    on_duckdb, on_spark = both.answers(
        _planned(sql, {"parameters": parameters, "bounds": {"n": [0, 99], "then": [0, 99]}})
    )
    assert on_duckdb == on_spark
    assert any(map(any, on_duckdb[()]))
