"""VAR_POP and STDDEV_POP: right against numpy, their intervals hold, and nothing shows a spread below zero."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from market import MARKET, PURE, Found, Row, check_neighbours, exact, opened, planned, reasons, totals, without

from dpstats.catalog.dataset import DatasetFile
from dpstats.plan.answer import measures, rows, terms_of
from dpstats.plan.arithmetic import Spread
from dpstats.plan.estimating import Estimator
from dpstats.plan.plan import Noisy, Plan
from dpstats.privacy.mechanism import draw

SQL = "SELECT AVG({0}) AS mean, VAR_POP({0}) AS var, STDDEV_POP({0}) AS dev FROM sales"
LOOSE: dict[str, Any] = {"contribution": {"max_groups": 1, "max_rows": 100}}
ITEMS = {"item": {"values": ["a", "b", "c"]}}


def paid(amounts: list[float], units: int, item: str = "a") -> list[Row]:
    return [{"uid": i % units, "item": item, "paid": amount, "wild": amount} for i, amount in enumerate(amounts)]


def amounts(seed: int, count: int, low: float = -100, high: float = 100) -> list[float]:
    random_ = random.Random(seed)
    return [random_.triangular(low - (high - low) / 5, high, low + (high - low) / 3) for _ in range(count)]


def unnoised(plan: Plan, found: Found, group: tuple[Any, ...] = ()) -> dict[str, float]:
    """The measures of one group's exact vectors."""
    exact_draws = {d.index: float(found[group][d.index] * d.grid) for d in plan.draws}
    return {o.name: Estimator(o.expression, terms_of(plan)).estimate(exact_draws).value for o in plan.outputs}


def noised(plan: Plan, found: Found, times: int, group: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    """The rows of so many releases of one group's exact vectors."""
    vectors = tuple(tuple(draw(d.mechanism, [found[group][d.index]] * times)) for d in plan.draws)
    return rows(plan, Noisy((group,) * times, vectors))


@pytest.mark.parametrize(
    "bounds",
    [[-100, 100], [0, 50], [-3, 7.5], [0.001, 0.002], [10**9, 10**9 + 100], [10**12, 10**12 + 5], [-(10**15), 10**15]],
    ids=str,
)
def test_without_noise_it_is_the_spread_of_the_bounded_rows(bounds: list[float]) -> None:
    low, high = (float(end) for end in bounds)
    given = amounts(1, 4000, low, high)
    plan = planned(SQL.format("wild"), bounds={name: [*bounds] for name in ("mean", "var", "dev")}, **LOOSE)
    ours = unnoised(plan, totals(plan, paid(given, 100)))
    bounded = np.clip(given, low, high)
    width = high - low
    step = float(plan.draws[0].grid)
    assert ours["mean"] == pytest.approx(bounded.mean(), abs=step)
    assert ours["var"] == pytest.approx(bounded.var(), abs=width**2 * 1e-6 + step * width)
    assert ours["dev"] == pytest.approx(bounded.std(), abs=width * 1e-5 + step)


@pytest.mark.parametrize("high", [1.0, 3.0, 9.9])
def test_squares_are_rounded_not_cut(high: float) -> None:
    """Cut, they would take half a step off every row's square, always the same way."""
    given = amounts(6, 8000, 0, high)
    plan = planned("SELECT VAR_POP(wild) AS var FROM sales", bounds={"var": [0, high]}, **LOOSE)
    ours = unnoised(plan, totals(plan, paid(given, 100)))
    assert ours["var"] == pytest.approx(np.clip(given, 0, high).var(), abs=3e-8 * high**2)


def test_with_little_noise_and_many_people_it_is_close_to_numpy() -> None:
    given = amounts(2, 20_000)
    plan = planned(SQL.format("paid"), cost={"rho": 10}, contribution={"max_groups": 1, "max_rows": 4})
    bounded = np.clip(given, -100, 100)
    for row in noised(plan, totals(plan, paid(given, 5000)), 20):
        assert row["mean"]["value"] == pytest.approx(bounded.mean(), abs=0.5)
        assert row["var"]["value"] == pytest.approx(bounded.var(), rel=0.02)
        assert row["dev"]["value"] == pytest.approx(bounded.std(), rel=0.01)
        assert row["dev"]["low"] ** 2 == pytest.approx(row["var"]["low"])


@pytest.mark.parametrize("market", [MARKET, PURE], ids=["gaussian", "laplace"])
@pytest.mark.parametrize("contribution", [{"max_groups": 1, "max_rows": 4}, {"max_norm": 4}], ids=str)
@pytest.mark.parametrize("epsilon", [0.3, 2, 20])
def test_an_interval_covers_the_bounded_answer(
    market: DatasetFile, contribution: dict[str, int], epsilon: float
) -> None:
    """At least 95 %; with three draws whose intervals hold together it is rather 98 %: 600 releases raise no alarm."""
    given = amounts(3, 4000)
    plan = planned(SQL.format("paid"), market=market, cost={"epsilon": epsilon}, contribution=contribution)
    found = totals(plan, paid(given, 1000))
    truth = unnoised(plan, found)
    assert truth["var"] == pytest.approx(np.clip(given, -100, 100).var(), rel=1e-3)
    released = noised(plan, found, 600)
    for name in ("var", "dev"):
        covered = sum(row[name]["low"] <= truth[name] <= row[name]["high"] for row in released)
        assert covered >= 0.95 * len(released)


@pytest.mark.parametrize("name", ["var", "dev"])
def test_nothing_shows_a_spread_below_zero(name: str) -> None:
    plan = planned(SQL.format("paid"), cost={"rho": 0.001}, **LOOSE)
    for given in ([], [5.0] * 3, [5.0] * 300):
        found = totals(plan, paid(given, 10)) or {(): (0, 0, 0)}
        for row in noised(plan, found, 200):
            assert "-" not in row[name]["display"]
            assert row[name]["value"] is None or math.isfinite(row[name]["value"])


@pytest.mark.parametrize("rows_counted", [-300.0, -1.0, 0.0, 1e-9, 2.0])
@pytest.mark.parametrize("squares", [-1e6, 0.0, 1e6])
def test_where_there_may_be_no_rows_it_stays_inside_what_is_possible(rows_counted: float, squares: float) -> None:
    plan = planned(SQL.format("paid"), cost={"rho": 0.01}, **LOOSE)
    for output, most in zip(plan.outputs[1:], (100.0**2, 100.0), strict=True):
        found = Estimator(output.expression, terms_of(plan)).estimate({0: 5e4, 1: rows_counted, 2: squares})
        assert found.value is None or 0 <= found.low <= found.value <= found.high <= most


def test_a_value_is_left_as_the_noise_made_it() -> None:
    """A variance of zero is released below zero about half of the time: kept above, many of them would be biased."""
    plan = planned(SQL.format("paid"), cost={"rho": 1}, **LOOSE)
    released = [row["var"]["value"] for row in noised(plan, totals(plan, paid([7.0] * 4000, 400)), 200)]
    assert 40 < sum(value < 0 for value in released) < 160


# -- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measures_asked",
    [
        "STDDEV_POP(paid) / AVG(paid) AS cv",
        "AVG(paid) AS mean, VAR_POP(sales.paid) AS var",
        "AVG(sales.paid) AS mean, STDDEV_POP(paid) / NULLIF(AVG(Paid), 0) AS cv",
        "VAR_POP((paid)) AS var, AVG(paid) AS mean",
    ],
)
def test_one_column_is_drawn_once_however_it_is_written(measures_asked: str) -> None:
    plan = planned(f"SELECT {measures_asked} FROM sales", **LOOSE)
    assert [d.kind for d in plan.draws] == ["rows_sum", "count", "rows_squares"]
    given = amounts(4, 3000, 20, 90)
    ours, bounded = unnoised(plan, totals(plan, paid(given, 50))), np.clip(given, -100, 100)
    expected = {"cv": bounded.std() / bounded.mean(), "mean": bounded.mean(), "var": bounded.var()}
    assert ours == pytest.approx({name: expected[name] for name in ours}, rel=1e-4)


def test_an_average_alone_draws_no_squares() -> None:
    plan = planned("SELECT AVG(paid) AS mean, VAR_POP(n) AS var FROM sales", **LOOSE)
    assert [d.kind for d in plan.draws] == ["rows_sum", "count", "rows_sum", "count", "rows_squares"]


def test_a_filter_has_moments_of_its_own() -> None:
    given = [row | {"flag": i % 3 == 0} for i, row in enumerate(paid(amounts(5, 3000), 50))]
    sql = "SELECT VAR_POP(paid) FILTER (WHERE flag) AS var, VAR_POP(paid) AS whole FROM sales"
    plan = planned(sql, **LOOSE)
    ours = unnoised(plan, totals(plan, given))
    for name, kept in (("var", [row for row in given if row["flag"]]), ("whole", given)):
        assert ours[name] == pytest.approx(np.clip([row["paid"] for row in kept], -100, 100).var(), rel=1e-4)


@pytest.mark.parametrize("market", [MARKET, PURE], ids=["L2", "L1"])
@pytest.mark.parametrize("contribution", [{"max_groups": 2, "max_rows": 3}, {"max_norm": 2.7}], ids=str)
def test_one_unit_moves_every_moment_by_at_most_its_bound(market: DatasetFile, contribution: dict[str, float]) -> None:
    given = [
        *paid([100.0, -100.0, float("inf"), -0.0, 1e308, -1e308, 33.3] * 12, 5),
        *paid([-100.0] * 50, 1, "b"),
        *paid([99.99999] * 50, 2, "c"),
    ]
    sql = "SELECT item, VAR_POP(paid) AS var, STDDEV_POP(wild) AS dev FROM sales GROUP BY item"
    plan = planned(sql, market=market, keys=ITEMS, contribution=contribution, bounds={"dev": [-1e15, 99.7]})
    found = exact(opened(given), plan)
    for unit in range(5):
        check_neighbours(plan, found, exact(opened(without(given, unit)), plan))


def test_a_preview_says_that_it_is_derived_and_in_which_unit() -> None:
    plan = planned(SQL.format("paid"), **LOOSE)
    assert isinstance(plan.outputs[1].expression, Spread)
    shown = measures(plan)
    assert shown["dev"]["mechanism"] == shown["var"]["mechanism"] == "derived"
    assert shown["dev"]["half_width_95"] is None
    assert shown["dev"]["unit"] == "USD"
    assert "unit" not in shown["var"]


@pytest.mark.parametrize(
    ("sql", "parts", "reason"),
    [
        ("SELECT VAR_POP(wild) AS var FROM sales", {}, "no bounds on a row's value of var"),
        ("SELECT VAR_POP(item) AS var FROM sales", {}, "CAST it to a number"),
        ("SELECT VARIANCE(paid) AS var FROM sales", {}, "the sample"),
        ("SELECT STDDEV_SAMP(paid) AS dev FROM sales", {}, "the sample"),
        ("SELECT STDDEV(paid) AS dev FROM sales", {}, "the sample"),
        ("SELECT VAR_POP(paid) AS var FROM sales", {"cost": {"accuracy": {"var": 1}}}, "depends on the rows"),
    ],
)
def test_what_has_no_moments_is_refused(sql: str, parts: dict[str, Any], reason: str) -> None:
    assert reason in reasons(sql, **(LOOSE | parts))
