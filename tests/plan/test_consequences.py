"""What bounds do beyond the noise, in words."""

from __future__ import annotations

from typing import Any

import pytest
from market import MARKET, PURE, analysed, planned

from dpstats.plan.consequences import consequences

KEYS = {"item": {"values": ["a", "b", "c", "d"]}}
SQL = "SELECT item, COUNT(DISTINCT uid) AS u, COUNT(*) AS n, SUM(paid) AS s, AVG(paid) AS a FROM sales GROUP BY item"
BOUNDS = {"n": [0, 9], "s": [-10, 1000]}


def told(sql: str = SQL, **parts: Any) -> str:
    return "\n".join(consequences(analysed(sql, **parts), planned(sql, **parts)))


def test_dropped_groups_and_rows_and_clipped_totals_are_told_measure_by_measure() -> None:
    lines = told(keys=KEYS, bounds=BOUNDS, contribution={"max_groups": 3, "max_rows": 7}).splitlines()
    assert lines[0].startswith("max_groups 3: a unit counts in at most 3 of the 4 groups, chosen by a keyed hash; what")
    assert lines[1:] == [
        "u: a unit counts once in a group, so nothing is clipped.",
        "n: a unit with more than 9 rows in a group counts as 9; the rest is missing.",
        "s: a unit's total in one group counts as 1,000 USD if it is above that; the rest is missing.",
        "s: a unit's total in one group counts as -10 USD if it is below that.",
        "a: of a unit with more than 7 rows in a group, so many are kept, chosen by a keyed hash: units with many rows "
        "weigh less than their rows would.",
        "a: a row's value outside [-100, 100] is moved to the nearer end.",
    ]


def test_nothing_is_said_to_be_dropped_that_is_not() -> None:
    assert "no group of it is dropped" in told(keys=KEYS, bounds=BOUNDS, contribution={"max_groups": 4})
    facts = told("SELECT band, COUNT(DISTINCT uid) AS u FROM people GROUP BY band")
    assert "Every key is a fact about the unit" in facts
    assert (
        told("SELECT COUNT(DISTINCT uid) AS u FROM sales") == "u: a unit counts once in a group, so nothing is clipped."
    )
    assert "kept" not in told("SELECT AVG(age) AS a FROM people")


@pytest.mark.parametrize(
    ("market", "few", "each", "rows"), [(MARKET, "4 groups", "", "6 rows"), (PURE, "2 groups", "as 0.5", "3 rows")]
)
def test_a_norm_is_told_by_what_it_leaves_whole(market: Any, few: str, each: str, rows: str) -> None:
    text = told(keys=KEYS, market=market, contribution={"max_norm": {"u": 2, "n": 12, "s": 200, "a": 8}})
    assert "No group and no row of a unit is dropped" in text
    assert (few in text) != (market is MARKET)  # in L2, a norm of 2 holds all four groups
    assert each in text
    assert f"n: max_norm 12 rows: a unit with 12 rows in one group, or {rows} in each of 4, counts in full" in text
    assert "so many are kept" not in text


def test_bounds_beside_a_norm_are_told_too() -> None:
    text = told("SELECT SUM(paid) AS s FROM sales", bounds={"s": [0, 50]}, contribution={"max_norm": {"s": 50}})
    assert "s: a unit's total in one group counts as 50 USD if it is above that" in text
    assert "a unit with 50 USD, so clipped, in one group, counts in full" in text


def test_a_threshold_tells_how_large_a_group_must_be_to_be_seen() -> None:
    parts: dict[str, Any] = {"keys": {"item": {"private": True}}, "contribution": {"max_groups": 2}}
    sql = "SELECT item, SUM(paid) AS s FROM sales GROUP BY item"
    plan = planned(sql, bounds={"s": [0, 9]}, **parts)
    text = told(sql, bounds={"s": [0, 9]}, **parts)
    assert plan.threshold is not None
    assert f"at least {plan.threshold.at}" in text
    assert "at most 2 of the groups that are found" in text
    assert "counts once" not in text  # the units that decide are not a measure


def test_distinct_values_beyond_the_bound_are_told() -> None:
    text = told("SELECT COUNT(DISTINCT item) AS d FROM sales", bounds={"d": [0, 5]})
    assert "d: of a unit with more than 5 values in a group, so many are kept" in text


def test_a_low_bound_that_no_total_can_pass_is_not_told() -> None:
    sql = "SELECT band, SUM(age) AS s FROM people GROUP BY band"
    assert "below" not in told(sql, bounds={"s": [0, 80]})
    assert "counts as 10 if it is below that" in told(sql, bounds={"s": [10, 80]})


def test_a_measure_without_a_target_is_told_what_it_gets() -> None:
    parts: dict[str, Any] = {"keys": KEYS, "bounds": BOUNDS, "contribution": {"max_groups": 3}}
    text = told(**parts, cost={"accuracy": {"u": 20}})
    assert "n, s, a: no accuracy is asked for" in text
    solved = told(**parts, cost={"accuracy": {"a": {"half_width": 5, "rows": 1200}}})
    assert "a: the cost buys ± 5 USD for a group of 1,200 rows, which the file states" in solved
    assert "no accuracy" not in told(**parts)


def test_quantiles_of_the_same_rows_are_told_together() -> None:
    text = told("SELECT MEDIAN(paid) AS m, QUANTILE_CONT(paid, 0.9) AS most FROM sales", contribution={"max_rows": 5})
    assert "m, most: of a unit with more than 5 rows in a group, so many are kept" in text
    assert "candidate values, or lies between two of them" in text


def test_a_selection_of_the_largest_groups_is_told() -> None:
    sql = "SELECT item, COUNT(DISTINCT uid) AS u FROM sales GROUP BY item ORDER BY u DESC LIMIT 2"
    text = told(sql, keys=KEYS, contribution={"max_groups": 3})
    assert "Only the 2 groups with the largest u are shown, chosen with noise of its own." in text
