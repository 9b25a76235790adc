"""The same query at other prices."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from market import MARKET, PURE, analysed, planned

from dpstats.plan.answer import measures
from dpstats.plan.costs import TIMES, other_costs
from dpstats.plan.plan import Plan
from dpstats.privacy.loss import AMOUNT_STEPS

SQL = "SELECT item, COUNT(DISTINCT uid) AS u, SUM(paid) AS s, AVG(paid) AS a FROM sales GROUP BY item"
PARTS: dict[str, Any] = {
    "keys": {"item": {"values": ["a", "b", "c"]}},
    "bounds": {"s": [0, 50]},
    "contribution": {"max_groups": 2},
}
COSTS: list[dict[str, Any]] = [
    {"cost": {"epsilon": 2}},
    {"cost": {"epsilon": 2}, "market": PURE},
    {"cost": {"rho": 0.1}, "weights": {"s": 3}},
    {"cost": {"accuracy": {"u": 10}}},
    {"cost": {"rho": 0.1}, "keys": {"item": {"private": True}}},
]


def others(**parts: Any) -> tuple[Plan, list[Plan]]:
    made = planned(SQL, **(PARTS | parts))
    return made, list(other_costs(analysed(SQL, **(PARTS | parts)), made))


@pytest.mark.parametrize("parts", COSTS)
def test_each_cost_is_a_multiple_of_the_query_s_own_which_is_among_them(parts: dict[str, Any]) -> None:
    own, found = others(**parts)
    assert [plan.loss.amount / own.loss.amount for plan in found] == pytest.approx([float(t) for t in TIMES], rel=1e-6)
    assert (found[2].loss, found[2].draws, found[2].threshold) == (own.loss, own.draws, own.threshold)


@pytest.mark.parametrize("parts", COSTS)
def test_what_costs_more_is_surer_of_every_measure(parts: dict[str, Any]) -> None:
    _, found = others(**parts)
    widths = [[measures(plan)[name]["half_width_95"] for name in ("u", "s")] for plan in found]
    for less, more in itertools.pairwise(widths):
        assert all(dear < cheap for cheap, dear in zip(less, more, strict=True))


@pytest.mark.parametrize("times", range(len(TIMES)))
def test_the_error_told_for_a_cost_is_that_of_the_query_at_that_cost(times: int) -> None:
    _, found = others(cost={"rho": 0.1})
    rho = float(TIMES[times]) * 0.1
    assert measures(found[times]) == measures(planned(SQL, **(PARTS | {"cost": {"rho": rho}})))


def test_no_cost_is_told_that_a_query_may_not_have() -> None:
    _, found = others(cost={"rho": 4})
    assert [plan.loss.amount / AMOUNT_STEPS for plan in found] == pytest.approx([1, 2, 4, 8])


def test_more_noise_raises_the_threshold_at_the_same_delta() -> None:
    _, found = others(cost={"rho": 0.1}, keys={"item": {"private": True}})
    at = [plan.threshold.at for plan in found if plan.threshold is not None]
    assert at == sorted(at, reverse=True)
    assert len(set(at)) == len(TIMES)
    assert all(plan.loss.delta_decimal <= MARKET.delta_thresholds / 100 for plan in found)


def test_quantiles_and_the_selection_of_groups_are_priced_anew_too() -> None:
    sql = "SELECT item, MEDIAN(paid) AS m, COUNT(DISTINCT uid) AS u FROM sales GROUP BY item ORDER BY u DESC LIMIT 2"
    parts = PARTS | {"bounds": {}, "cost": {"rho": 0.4}}
    own = planned(sql, **parts)
    found = list(other_costs(analysed(sql, **parts), own))
    assert [plan.loss.amount / own.loss.amount for plan in found] == pytest.approx([float(t) for t in TIMES], rel=1e-6)
    errors = [measures(plan)["m"]["rank_error_95"] for plan in found]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == len(TIMES)
