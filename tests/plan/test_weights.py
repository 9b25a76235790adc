"""Stated weights: how a query's cost is shared among its measures, to the last step, and whatever the data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from market import PURE, planned, reasons

from dpstats.plan.plan import Plan
from dpstats.privacy.mechanism import price

SQL = "SELECT flag, COUNT(*) AS c, SUM(paid) AS s, AVG(paid) AS a, COUNT(DISTINCT uid) AS u FROM sales GROUP BY flag"
GIVEN: dict[str, Any] = {"bounds": {"c": [0, 5], "s": [0, 9]}, "contribution": {"max_groups": 2}, "cost": {"rho": 0.5}}


def asked(**parts: Any) -> Plan:
    return planned(SQL, **(GIVEN | parts))


def shares(plan: Plan) -> dict[str, int]:
    """What each draw costs, in steps of 1e-12."""
    return {draw.name: price(draw.mechanism).amount for draw in plan.draws}


def test_without_weights_every_statistic_costs_the_same() -> None:
    plain = shares(asked())
    assert plain == pytest.approx({"c": 125e9, "s": 125e9, "a.sum": 62.5e9, "a.rows": 62.5e9, "u": 125e9}, abs=3)


def test_weights_share_the_cost_in_their_proportion() -> None:
    weighed = shares(asked(weights={"c": 4, "a": 2, "u": 0.5}))  # s has 1
    assert weighed == pytest.approx(
        {"c": 4 / 15 * 1e12, "s": 1 / 15 * 1e12, "a.sum": 1 / 15 * 1e12, "a.rows": 1 / 15 * 1e12, "u": 0.5 / 15 * 1e12},
        abs=3,
    )


def test_weights_are_relative() -> None:
    assert shares(asked(weights={"c": 1, "s": 2, "a": 3, "u": 4})) == shares(
        asked(weights={"c": 100, "s": 200, "a": 300, "u": 400})
    )


def test_a_heavier_measure_has_the_smaller_error() -> None:
    light, heavy = asked(weights={"c": 1}), asked(weights={"c": 9})
    assert heavy.draws[0].mechanism.scale < light.draws[0].mechanism.scale
    assert heavy.draws[1].mechanism.scale > light.draws[1].mechanism.scale


def test_a_draw_that_several_measures_use_has_the_weight_of_the_weightiest() -> None:
    sql = "SELECT COUNT(*) AS c, SUM(paid) AS s, SUM(paid) / COUNT(*) AS each FROM sales"
    given_parts = GIVEN | {"weights": {"each": 3, "s": 5}}
    found = shares(planned(sql, **given_parts))
    assert found["c"] == pytest.approx(3 / 8 * 0.5e12, abs=3)
    assert found["s"] == pytest.approx(5 / 8 * 0.5e12, abs=3)


def test_the_count_that_decides_about_private_keys_has_a_share_too() -> None:
    parts = GIVEN | {"keys": {"item": {"private": True}}, "weights": {"c": 3}, "bounds": {"c": [0, 5]}}
    found = shares(planned("SELECT item, COUNT(*) AS c FROM sales GROUP BY item", **parts))
    assert found == pytest.approx({"c": 0.375e12, "units": 0.125e12}, abs=3)


@given(st.fixed_dictionaries({name: st.decimals("0.01", "1000", places=2).map(float) for name in "csau"}))
@settings(max_examples=40, deadline=None)
def test_no_weights_cost_more_than_what_was_asked(weights: dict[str, float]) -> None:
    for parts, most in ((GIVEN, 0.5e12), (GIVEN | {"market": PURE, "cost": {"epsilon": 1}}, 1e12)):
        plan = planned(SQL, **(parts | {"weights": weights}))
        assert most - 2 * len(plan.draws) <= plan.loss.amount <= most


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"weights": {"nobody": 2}}, "weights: nobody is not a measure"),
        ({"weights": {"flag": 2}}, "weights: flag is not a measure"),
        ({"weights": {"c": 1e15, "s": 1}}, "the cost is too small to share among 5 draws of noise"),
        ({"weights": {"c": 2}, "cost": {"accuracy": {"c": 20}}}, "weights beside cost: {accuracy: ..}"),
    ],
)
def test_weights_that_mean_nothing_are_refused(parts: dict[str, Any], reason: str) -> None:
    assert reason in reasons(SQL, **(GIVEN | parts))


def test_weights_are_part_of_what_a_steward_approves() -> None:
    assert asked(weights={"c": 2}).query_version != asked().query_version
