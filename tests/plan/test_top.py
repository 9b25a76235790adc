"""ORDER BY measure DESC LIMIT k: who is selected, what it costs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from market import KEY, MARKET, PURE, opened, planned, reasons
from scipy import stats

from dpstats.engine.duck import _answer
from dpstats.engine.noise import add_noise
from dpstats.plan.answer import measures, rows
from dpstats.plan.plan import Plan

LETTERS = list("abcdefgh")
KEYS = {"keys": {"item": {"values": LETTERS}}}
SQL = "SELECT item, COUNT(*) AS n, SUM(paid) AS s, AVG(n) AS a FROM sales GROUP BY item ORDER BY {} DESC LIMIT {}"
PARTS: dict[str, Any] = KEYS | {
    "bounds": {"n": [0, 4], "s": [-20, 50]},
    "contribution": {"max_groups": 5, "max_rows": 2},
}


def top(by: str = "n", k: int = 3, **parts: Any) -> Plan:
    return planned(SQL.format(by, k), **(PARTS | parts))


def sales(sizes: dict[str, int]) -> list[dict[str, Any]]:
    """So many units in each group, a row each; ids are not shared."""
    wanted = [item for item, size in sizes.items() for _ in range(size)]
    return [{"uid": unit, "item": item, "n": 1, "paid": 1.0} for unit, item in enumerate(wanted)]


def released(plan: Plan, given: list[dict[str, Any]]) -> list[str]:
    with opened(given) as connection:
        return [row["item"] for row in rows(plan, add_noise(plan, _answer(connection, plan, KEY)))]


@pytest.mark.parametrize("market", [MARKET, PURE], ids=["zcdp", "pure"])
def test_the_largest_groups_come_alone_and_sorted_by_key(market: Any) -> None:
    sizes = dict.fromkeys(LETTERS, 5) | {"g": 3000, "b": 2000, "d": 2500}
    for by in ("n", "2", "COUNT(*)"):
        assert released(top(by, market=market, cost={"epsilon": 8}), sales(sizes)) == ["b", "d", "g"]


def test_the_smallest_of_near_groups_is_sometimes_selected() -> None:
    """The selection is noisy: of two equal groups each is chosen about half of the time."""
    plan, given = top(k=1), sales({"a": 40, "b": 40})
    with opened(given) as connection:
        chosen = [rows(plan, add_noise(plan, _answer(connection, plan, KEY)))[0]["item"] for _ in range(60)]
    assert {"a", "b"} <= set(chosen)
    assert stats.binomtest(chosen.count("a"), chosen.count("a") + chosen.count("b")).pvalue > 1e-9


def test_a_selection_is_paid_besides_the_winners_measures() -> None:
    plan = top(k=3, cost={"rho": 0.04})
    assert plan.top is not None
    assert plan.top.mechanism is not None
    assert (plan.top.mechanism.sensitivity.per_cell, plan.top.mechanism.sensitivity.cells) == (4, 3)
    assert [draw.mechanism.sensitivity.cells for draw in plan.draws] == [3, 3, 3, 3]
    event = plan.events[len(plan.draws)]
    assert event["draw"] == "top 3 by n"
    assert plan.loss.amount == 40_000_000_000
    spent = 3 * (4 / float(str(event["scale"]))) ** 2 / 8
    assert spent == pytest.approx(0.04 / 4, rel=1e-9)  # a selection weighs as much as the measure that orders


def test_a_unit_that_touches_few_groups_pays_for_those_alone() -> None:
    plan = top(k=7, contribution={"max_groups": 2, "max_rows": 2})
    assert {draw.mechanism.sensitivity.cells for draw in plan.draws} == {2}


@pytest.mark.parametrize(
    ("by", "parts", "range_"),
    [
        ("n", {}, 4),
        ("s", {}, 70_000_000),
        ("s", {"bounds": {"n": [0, 4], "s": [0, 50]}}, 50_000_000),
        ("s", {"bounds": {"n": [0, 4], "s": [-50, 0]}}, 50_000_000),
        ("n", {"contribution": {"max_norm": 3}}, 3000),
        ("s", {"contribution": {"max_norm": 30}, "bounds": {"s": [0, 50]}}, 30_000_000),
        ("s", {"contribution": {"max_norm": 30}, "bounds": {}}, 60_000_000),
    ],
)
def test_the_range_is_what_one_unit_moves_two_groups_apart(by: str, parts: dict[str, Any], range_: int) -> None:
    plan = planned(SQL.format(by, 3).replace(", AVG(n) AS a", ""), **(PARTS | parts))
    assert plan.top is not None
    assert plan.top.mechanism is not None
    grid = plan.draws[plan.top.draw].grid
    assert plan.top.mechanism.sensitivity.per_cell * grid == pytest.approx(range_ * (10**-6 if by == "s" else grid))


def test_where_all_groups_fit_nothing_is_selected_or_paid() -> None:
    plan = top(k=8)
    assert plan.top is None
    assert plan.loss == planned(SQL.format("n", 9), **PARTS).loss
    assert len(plan.events) == len(plan.draws)
    assert plan.hash != top(k=7).hash


def test_among_keys_found_in_the_data_the_largest_noisy_values_stay_for_free() -> None:
    parts = {"keys": {"item": {"private": True}}}
    plan, all_of_them = top(k=2, **parts), planned(SQL.format("n", 2).split(" ORDER")[0], **(PARTS | parts))
    assert plan.loss == all_of_them.loss
    assert plan.top is not None
    assert plan.top.mechanism is None
    sizes = dict.fromkeys(LETTERS, 300) | {"h": 3000, "c": 2000}
    assert released(plan, sales(sizes)) == ["c", "h"]
    assert "the 2 groups with the largest noisy n" in measures(plan)["s"]["bounding"]


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        ("ORDER BY n DESC", "ORDER BY without LIMIT"),
        ("LIMIT 3", "LIMIT without ORDER BY"),
        ("ORDER BY n LIMIT 3", "the largest first"),
        ("ORDER BY n ASC LIMIT 3", "the largest first"),
        ("ORDER BY n DESC, s DESC LIMIT 3", "by one measure"),
        ("ORDER BY item DESC LIMIT 3", "not a COUNT or a SUM"),
        ("ORDER BY a DESC LIMIT 3", "not a COUNT or a SUM"),
        ("ORDER BY SUM(n) DESC LIMIT 3", "not a COUNT or a SUM"),
        ("ORDER BY 9 DESC LIMIT 3", "not a COUNT or a SUM"),
        ("ORDER BY n DESC LIMIT 0", "without LIMIT"),
        ("ORDER BY n DESC LIMIT 2.5", "without LIMIT"),
        ("ORDER BY n DESC LIMIT " + "9" * 5000, "without LIMIT"),
        ("ORDER BY n DESC LIMIT 5 PERCENT", "without LIMIT"),
        ("ORDER BY n DESC LIMIT 3 OFFSET 1", "OFFSET"),
    ],
)
def test_any_other_order_is_refused(tail: str, why: str) -> None:
    assert why in reasons(SQL.split(" ORDER", maxsplit=1)[0] + " " + tail, **PARTS)


def test_a_selection_that_would_take_long_is_refused() -> None:
    keys = {"n": {"values": list(range(30_000))}}
    sql = "SELECT n, COUNT(*) AS c FROM sales GROUP BY n ORDER BY c DESC LIMIT 100"
    assert "the 100 largest of 30000 groups" in reasons(
        sql, keys=keys, bounds={"c": [0, 3]}, contribution={"max_groups": 2}
    )


def test_bounds_within_a_step_order_groups_all_the_same() -> None:
    sql = "SELECT item, SUM(n) AS s FROM sales GROUP BY item ORDER BY s DESC LIMIT 2"
    plan = planned(sql, **KEYS, bounds={"s": [0, 0.5]}, contribution={"max_groups": 2})
    assert plan.top is not None
    assert plan.top.mechanism is not None
    assert plan.top.mechanism.sensitivity.per_cell == 1


def test_a_limit_without_groups_is_refused() -> None:
    found = reasons("SELECT COUNT(*) AS n FROM sales ORDER BY n DESC LIMIT 3", bounds={"n": [0, 3]})
    assert "LIMIT without groups" in found


def test_distinct_values_order_nothing() -> None:
    sql = "SELECT item, COUNT(DISTINCT n) AS d FROM sales GROUP BY item ORDER BY d DESC LIMIT 2"
    found = reasons(sql, **KEYS, bounds={"d": [0, 3]}, contribution={"max_groups": 2})
    assert "not a COUNT or a SUM" in found
