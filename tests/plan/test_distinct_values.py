"""COUNT(DISTINCT x): at most m values a unit in a group, whichever rows come first and whoever else is there."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from market import (
    MARKET,
    PURE,
    Found,
    Row,
    analysed,
    check_neighbours,
    exact,
    opened,
    planned,
    reasons,
    totals,
    without,
)

from dpstats.catalog.dataset import DatasetFile

ITEMS = {"item": {"values": list("abcde")}}
NAN, INF = float("nan"), float("inf")
MEASURES = {
    "whole": ("COUNT(DISTINCT n)", 3),
    "real": ("COUNT(DISTINCT -wild)", 1),
    "texts": ("COUNT(DISTINCT item || CAST(n AS VARCHAR))", 7),
    "days": ("COUNT(DISTINCT day) FILTER (WHERE flag)", 2),
}
ALL = f"SELECT item, {', '.join(f'{sql} AS {name}' for name, (sql, _) in MEASURES.items())} FROM sales GROUP BY item"
BOUNDS = {name: [0, most] for name, (_, most) in MEASURES.items()}


def values(rows: list[Row], most: int, **parts: Any) -> Found:
    """Distinct n by item, at most so many of a unit."""
    given = {"keys": ITEMS, "bounds": {"m": [0, most]}, "contribution": {"max_groups": 5}} | parts
    return totals(planned("SELECT item, COUNT(DISTINCT n) AS m FROM sales GROUP BY item", **given), rows)


def sold(unit: int, numbers: range | list[int | None], item: str = "a") -> list[Row]:
    return [{"uid": unit, "item": item, "n": n} for n in numbers]


def nasty(random_: random.Random, unit: int) -> Row:
    return {
        "uid": unit,
        "item": random_.choice(["a", "b", "c", "zz", None]),
        "n": random_.choice([*range(-5, 6), 2**63 - 1, None]),
        "wild": random_.choice([0.0, -0.0, 1.5, NAN, INF, None, 1e308]),
        "flag": random_.choice([True, False, None]),
    }


@pytest.mark.parametrize("market", [MARKET, PURE], ids=["gaussian", "laplace"])
@pytest.mark.parametrize("max_groups", [1, 2, 5])
def test_one_unit_moves_a_number_of_values_by_at_most_its_bound(market: DatasetFile, max_groups: int) -> None:
    random_ = random.Random(max_groups)
    rows = [nasty(random_, unit) for unit in range(6) for _ in range(random_.choice((1, 5, 200)))]
    rows += [{"uid": 99, "item": item, "n": n} for item in "abc" for n in range(-50, 51)]
    plan = planned(ALL, market=market, keys=ITEMS, bounds=BOUNDS, contribution={"max_groups": max_groups})
    assert [draw.mechanism.sensitivity.per_cell for draw in plan.draws] == [most for _, most in MEASURES.values()]
    found = exact(opened(rows), plan)
    assert found == exact(opened(random_.sample(rows, len(rows)), threads=4), plan)
    for unit in (99, *range(6)):
        check_neighbours(plan, found, exact(opened(without(rows, unit)), plan))


def test_private_keys_bound_values_alike() -> None:
    random_ = random.Random(1)
    rows = [nasty(random_, unit) for unit in range(6) for _ in range(40)]
    plan = planned(ALL, keys={"item": {"private": True}}, bounds=BOUNDS, contribution={"max_groups": 2})
    found = exact(opened(rows), plan)
    assert found
    for unit in range(6):
        check_neighbours(plan, found, exact(opened(without(rows, unit)), plan))


def test_a_value_that_many_have_counts_once() -> None:
    assert values([*sold(1, range(4)), *sold(2, range(2, 6)), *sold(3, [0, 0, 0])], 4) == {("a",): (6,)}


def test_null_is_no_value_and_minus_zero_is_zero() -> None:
    rows = [{"uid": 1, "item": "a", "wild": x} for x in (0.0, -0.0, None, NAN, INF, 1.0)]
    plan = planned("SELECT COUNT(DISTINCT -wild) AS m FROM sales", bounds={"m": [0, 9]}, contribution={"max_groups": 1})
    assert totals(plan, rows) == {(): (2,)}


def test_a_filter_is_looked_at_before_values_are_chosen() -> None:
    rows = [{"uid": 1, "item": "a", "n": n, "flag": n == 7} for n in range(50)]
    sql = "SELECT COUNT(DISTINCT n) FILTER (WHERE flag) AS m FROM sales"
    plan = planned(sql, bounds={"m": [0, 1]}, contribution={"max_groups": 1})
    assert totals(plan, rows) == {(): (1,)}


def kept(rows: list[Row]) -> set[int]:
    """Which three of the numbers 0 .. 11 unit 1 keeps: those to which a unit with that number alone adds nothing."""
    return {n for n in range(12) if values([*rows, *sold(2, [n])], 3) == {("a",): (3,)}}


def test_which_values_are_kept_depends_on_the_unit_alone() -> None:
    """Neither on the order of its rows, nor on how often it has a value, nor on who else is there."""
    mine = sold(1, range(12))
    chosen = kept(mine)
    assert len(chosen) == 3
    assert kept(mine[::-1]) == chosen
    assert kept(sold(1, [n for n in range(12) for _ in range(1 + 5 * (n % 3))])) == chosen
    others = [*sold(3, [-1] * 50), *sold(4, range(20, 23), "b")]
    with_others = {n for n in range(12) if values([*others, *mine, *sold(2, [n])], 3)[("a",)] == (4,)}
    assert with_others == chosen


def test_two_units_with_the_same_values_choose_each_for_itself() -> None:
    both = [*sold(1, range(-50, 50)), *sold(2, range(-50, 50))]
    assert 3 < values(both, 3)[("a",)][0] <= 6


def test_values_in_groups_that_were_dropped_do_not_count() -> None:
    rows = [row for item in "abcde" for row in sold(1, range(4), item)]
    assert sorted(values(rows, 9, contribution={"max_groups": 2}).values()) == [(4,), (4,)]


def test_every_number_of_values_keeps_its_own_bound_whatever_is_asked_again() -> None:
    sql = "SELECT COUNT(DISTINCT item) AS x, COUNT(DISTINCT n) AS y, COUNT(DISTINCT item) AS z FROM sales"
    given: dict[str, Any] = {"bounds": {"x": [0, 30], "y": [0, 5]}, "contribution": {"max_groups": 1}}
    assert [s.distinct for s in analysed(sql, **given).statistics] == [30, 5]
    rows = [{"uid": 1, "item": str(n), "n": n} for n in range(-40, 40)]
    assert totals(planned(sql, **given), rows) == {(): (30, 5)}


def test_facts_about_people_have_one_value_each() -> None:
    plan = planned("SELECT COUNT(DISTINCT age) AS m FROM people")
    assert plan.draws[0].mechanism.sensitivity.per_cell == 1
    assert totals(plan, [], [{"uid": i, "age": age} for i, age in enumerate((3, 3, None, 7))]) == {(): (2,)}


@pytest.mark.parametrize(
    ("measures", "parts", "reason"),
    [
        ("COUNT(DISTINCT n) AS m", {"bounds": {}}, "no bound on the distinct values"),
        ("COUNT(DISTINCT n) AS m", {"bounds": {"m": [1, 5]}}, "no bound on the distinct values"),
        ("COUNT(DISTINCT n) AS m", {"contribution": {"max_norm": 3}}, "max_norm for a number of distinct values"),
        ("COUNT(DISTINCT n, paid) AS m", {}, "COUNT(DISTINCT ..) of several values"),
        ("COUNT(DISTINCT uid, n) AS m", {"bounds": {}}, "COUNT(DISTINCT ..) of several values"),
        ("COUNT(DISTINCT n) / COUNT(*) AS m", {}, "no bound on the distinct values"),
        ("SUM(DISTINCT n) AS m", {}, "SUM(DISTINCT ..)"),
        ("VAR_POP(DISTINCT n) AS m", {}, "VARIANCEPOP(DISTINCT ..)"),
    ],
)
def test_what_has_no_such_bound_is_refused(measures: str, parts: dict[str, Any], reason: str) -> None:
    given = {"keys": ITEMS, "bounds": {"m": [0, 5]}, "contribution": {"max_groups": 3}} | parts
    assert reason in reasons(f"SELECT item, {measures} FROM sales GROUP BY item", **given)
