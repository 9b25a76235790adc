"""Reference half-widths: what is told beforehand of an interval that depends on its denominator."""

from __future__ import annotations

import math
from typing import Any

import pytest
from market import MARKET, PURE, planned

from dpstats.plan.answer import measures, terms_of
from dpstats.plan.arithmetic import Average
from dpstats.plan.estimating import Estimator
from dpstats.plan.plan import Plan

SQL = "SELECT AVG(paid) AS a, VAR_POP(n) AS v, STDDEV_POP(n) AS d FROM sales"
SHARE = "SELECT COUNT(DISTINCT uid) AS u, SUM(paid) AS s, SUM(paid) / COUNT(DISTINCT uid) AS each FROM sales"
SIZES = ("100", "1000", "10000")


def at(plan: Plan, name: str) -> dict[str, Any]:
    found: dict[str, Any] = measures(plan)[name]["half_width_95_at"]
    return found


def test_a_measure_that_is_told_beforehand_has_no_reference() -> None:
    told = measures(planned(SHARE, bounds={"s": [0, 50]}))
    assert not {"half_width_95_at", "denominator"} & {*told["u"], *told["s"]}
    assert told["each"]["denominator"] == "units"


def test_the_constants_of_a_gaussian_average_are_those_of_fieller() -> None:
    plan = planned(SQL, cost={"rho": 5})
    total, count = (draw.mechanism.scale * float(draw.grid) for draw in plan.draws[:2])
    n, end = 10_000, 100.0
    # Fieller's interval for a true ratio t and large n is close to +- z * hypot(total, t * count) / n, and half a row.
    expected = (1.95996 * math.hypot(total, end * count) + end / 2) / n
    assert at(plan, "a")["10000"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("market", [MARKET, PURE])
def test_no_interval_of_an_average_is_wider_than_told_for_as_many_rows(market: Any) -> None:
    plan = planned(SQL, market=market, cost={"epsilon": 30})
    average = plan.outputs[0].expression
    assert isinstance(average, Average)
    estimator, told = Estimator(average, terms_of(plan)), at(plan, "a")
    for size in (size for size in SIZES if told[size] is not None):
        for mean in (-100, -37, 0, 60, 100):
            total = (mean - average.centre) * int(size)
            found = estimator.estimate({average.total: total, average.count: float(size)})
            assert found.low is not None
            assert found.high is not None
            assert (found.high - found.low) / 2 <= told[size] * (1 + 1e-6)


def test_nothing_is_told_where_the_bounds_tell_as_much() -> None:
    plan = planned(SQL, cost={"rho": 0.0001})
    assert [at(plan, name)["100"] for name in ("a", "v", "d")] == [None] * 3


@pytest.mark.parametrize("name", ["a", "v", "d"])
def test_more_rows_and_more_cost_make_it_narrower(name: str) -> None:
    widths = [at(planned(SQL, cost={"rho": rho}), name) for rho in (1, 4)]
    assert all(told["10000"] < (told["1000"] or math.inf) for told in widths)
    assert widths[1]["10000"] < widths[0]["10000"]


def test_a_ratio_over_a_sum_is_told_for_sums_of_so_many_units_at_their_bound() -> None:
    sql = "SELECT SUM(paid) FILTER (WHERE flag) AS f, SUM(paid) AS s, SUM(paid) FILTER (WHERE flag) / SUM(paid) AS r"
    plan = planned(f"{sql} FROM sales", bounds={"f": [0, 20], "s": [0, 50]})
    assert list(at(plan, "r")) == ["5000", "50000", "500000"]
    assert measures(plan)["r"]["denominator"] == "denominator"


def test_a_weighed_average_is_told_by_rows_too() -> None:
    sql = "SELECT item, AVG(paid) AS a FROM sales GROUP BY item"
    plan = planned(sql, keys={"item": {"values": ["a", "b"]}}, contribution={"max_norm": {"a": 10}}, cost={"rho": 2})
    assert (list(at(plan, "a")), measures(plan)["a"]["denominator"]) == (list(SIZES), "rows")
    assert at(plan, "a")["10000"] < 10


def test_what_has_no_single_denominator_is_left_open() -> None:
    sql = "SELECT AVG(paid) * COUNT(DISTINCT uid) AS m FROM sales"
    assert "half_width_95_at" not in measures(planned(sql))["m"]
