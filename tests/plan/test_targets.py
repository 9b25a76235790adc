"""Half-widths of averages, ratios and variances, solved for a group of a size that the query's file states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from market import MARKET, PURE, analysed, planned, reasons

from dpstats.plan.answer import measures, terms_of
from dpstats.plan.costs import other_costs
from dpstats.plan.denominators import width_at
from dpstats.plan.plan import Plan
from dpstats.privacy.mechanism import Mechanism, calibrate, price

SQL = "SELECT AVG(paid) AS a FROM sales"
SHARE = "SELECT SUM(paid) / COUNT(DISTINCT uid) AS each FROM sales"
OF_SUMS = "SELECT SUM(paid) AS s, SUM(n) AS k, SUM(paid) / SUM(n) AS r FROM sales"
BOTH: dict[str, Any] = {"s": [0, 50], "k": [0, 50]}
SPREADS = "SELECT VAR_POP(n) AS v, STDDEV_POP(n) AS d FROM sales"
ASKED: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (SQL, "a", {"half_width": 5, "rows": 1000}, {}),
    (SQL, "a", {"half_width": 0.2, "rows": 123_456}, {}),
    (SHARE, "each", {"half_width": 3, "units": 2500}, {"bounds": {"each": [0, 50]}}),
    (SPREADS, "v", {"half_width": 40, "rows": 20_000}, {}),
    (SPREADS, "d", {"half_width": 2, "rows": 20_000}, {}),
    ("SELECT 2 * AVG(paid) - 1 AS m FROM sales", "m", {"half_width": 5, "rows": 1000}, {}),
]


def asked(sql: str, name: str, target: Any, market: Any = MARKET, **parts: Any) -> Plan:
    return planned(sql, market=market, cost={"accuracy": {name: target}}, **parts)


def size_of(target: dict[str, Any]) -> str:
    return next(str(size) for of, size in target.items() if of != "half_width")


@pytest.mark.parametrize("market", [MARKET, PURE], ids=["zcdp", "pure"])
@pytest.mark.parametrize(("sql", "name", "target", "parts"), ASKED, ids=str)
def test_the_half_width_that_a_preview_tells_for_that_size_is_within_the_target(
    sql: str, name: str, target: dict[str, Any], parts: dict[str, Any], market: Any
) -> None:
    made = asked(sql, name, target, market, **parts)
    told = measures(made)[name]
    size = size_of(target)
    assert list(told["half_width_95_at"])[1] == size  # the middle one of three
    width = float(target["half_width"])
    assert width * (1 - 1e-5) <= told["half_width_95_at"][size] <= width


@pytest.mark.parametrize("market", [MARKET, PURE], ids=["zcdp", "pure"])
@pytest.mark.parametrize(("sql", "name", "target", "parts"), ASKED, ids=str)
def test_one_step_less_for_each_draw_does_not_reach_it(
    sql: str, name: str, target: dict[str, Any], parts: dict[str, Any], market: Any
) -> None:
    made = asked(sql, name, target, market, **parts)
    expression = next(output.expression for output in made.outputs if output.name == name)
    less = [replace(draw, mechanism=_one_step_less(draw.mechanism)) for draw in made.draws]
    terms = terms_of(replace(made, draws=tuple(less)))
    width = width_at(expression, less, terms, float(size_of(target)))
    assert width is None or width > float(target["half_width"])


def _one_step_less(now: Mechanism) -> Mechanism:
    return calibrate(now.noise, now.sensitivity, price(now).amount - 1)


def test_no_other_split_between_the_draws_of_an_average_reaches_it_for_less() -> None:
    made = asked(SQL, "a", {"half_width": 5, "rows": 1000})
    whole, expression = made.loss.amount, made.outputs[0].expression
    for tenths in (2, 3, 4, 6, 7, 8):
        amounts = (whole * tenths // 10, whole * (10 - tenths) // 10)
        draws = [
            replace(draw, mechanism=calibrate(draw.mechanism.noise, draw.mechanism.sensitivity, amount))
            for draw, amount in zip(made.draws, amounts, strict=True)
        ]
        width = width_at(expression, draws, terms_of(replace(made, draws=tuple(draws))), 1000.0)
        assert width is not None
        assert width > 5


def test_a_larger_group_or_a_wider_half_width_is_cheaper() -> None:
    losses = [
        asked(SQL, "a", target).loss.amount
        for target in (
            {"half_width": 2, "rows": 1000},
            {"half_width": 4, "rows": 1000},
            {"half_width": 4, "rows": 2000},
        )
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] / losses[1] == pytest.approx(4, rel=0.05)  # rho goes as one over the square of the width
    assert losses[1] / losses[2] == pytest.approx(4, rel=0.05)


def test_a_draw_that_another_target_pays_for_is_not_paid_again() -> None:
    sql = "SELECT SUM(paid) AS s, SUM(paid) / COUNT(DISTINCT uid) AS each FROM sales"
    parts: dict[str, Any] = {"bounds": {"s": [0, 50]}}
    each = {"half_width": 3, "units": 2500}
    alone = asked(SHARE, "each", each, bounds={"each": [0, 50]})
    both = planned(sql, cost={"accuracy": {"s": 100, "each": each}}, **parts)
    assert measures(both)["s"]["half_width_95"] <= 100
    width = measures(both)["each"]["half_width_95_at"]["2500"]
    assert 3 * (1 - 1e-5) <= width <= 3
    before, after = (price(next(d for d in p.draws if d.kind == "units").mechanism) for p in (alone, both))
    assert after.amount < before.amount


COST: dict[str, Any] = {"accuracy": {"n": 40}}


def test_a_sum_of_draws_has_a_plain_half_width() -> None:
    made = planned("SELECT COUNT(DISTINCT uid) + COUNT(DISTINCT uid) FILTER (WHERE flag) AS n FROM sales", cost=COST)
    assert 40 * (1 - 1e-5) <= measures(made)["n"]["half_width_95"] <= 40


@pytest.mark.parametrize("target", [{"half_width": 0.5, "denominator": 100_000}])
def test_a_ratio_to_a_sum_states_the_sum(target: dict[str, Any]) -> None:
    made = asked(OF_SUMS, "r", target, bounds=BOTH)
    assert measures(made)["r"]["denominator"] == "denominator"
    assert measures(made)["r"]["half_width_95_at"]["100000"] <= 0.5


def test_costs_beside_the_solved_one_are_told_for_the_same_sizes() -> None:
    analysis = analysed(SQL, cost={"accuracy": {"a": {"half_width": 5, "rows": 2000}}})
    made = planned(SQL, cost={"accuracy": {"a": {"half_width": 5, "rows": 2000}}})
    told = [measures(other)["a"]["half_width_95_at"]["2000"] for other in other_costs(analysis, made)]
    assert told == sorted(told, reverse=True)
    assert told[2] <= 5 < told[1]


@pytest.mark.parametrize(
    ("sql", "targets", "what", "instead"),
    [
        (SQL, {"a": 5}, "depends on the rows of a group", "a: {half_width: 5, rows: 1000}"),
        (SQL, {"a": {"half_width": 5, "units": 1000}}, "depends on the rows", "rows: 1000"),
        (SHARE, {"each": 0.5}, "depends on the units of a group", "each: {half_width: 0.5, units: 1000}"),
        (OF_SUMS, {"r": 1}, "depends on its denominator", "denominator: 1000"),
        (SPREADS, {"d": 1}, "depends on the rows", "rows: 1000"),
        ("SELECT COUNT(*) AS n FROM sales", {"n": {"half_width": 5, "rows": 100}}, "the same in every group", "n: 5"),
        (
            "SELECT AVG(paid) * COUNT(DISTINCT uid) AS m FROM sales",
            {"m": 5},
            "no half-width before it is drawn",
            "made of",
        ),
        ("SELECT MEDIAN(paid) AS m FROM sales", {"m": {"half_width": 5, "rows": 100}}, "a quantile has no", "other"),
        (SQL, {"a": {"half_width": 1e-9, "rows": 10}}, "not possible", "Change `cost`"),
    ],
)
def test_a_half_width_that_cannot_be_solved_is_refused_with_what_to_write(
    sql: str, targets: dict[str, Any], what: str, instead: str
) -> None:
    bounded = [name for name in ("each", "s", "k", "n") if f" AS {name}" in sql]
    found = reasons(sql, cost={"accuracy": targets}, bounds={name: [0, 50] for name in bounded})
    assert what in found
    assert instead in found


def test_what_is_solved_depends_on_the_files_alone() -> None:
    """The same file gives the same price to the step, whatever was loaded: planning has no way to a row."""
    twice = [asked(SQL, "a", {"half_width": 5, "rows": 1000}) for _ in range(2)]
    assert twice[0] == twice[1]
    assert twice[0].events == twice[1].events
