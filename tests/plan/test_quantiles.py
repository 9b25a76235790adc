"""MEDIAN and QUANTILE_CONT: what is counted, that answers are near the truth, and that intervals hold."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from market import KEY, PURE, analysed, opened, planned, reasons
from scipy import stats

from dpstats.engine.duck import _answer
from dpstats.engine.noise import _open_groups, add_noise
from dpstats.plan.answer import measures, rows
from dpstats.plan.plan import Noisy, Plan
from dpstats.plan.quantiles import QuantileReader
from dpstats.privacy.loss import Measure
from dpstats.privacy.quantiles import scores

ITEMS = {"keys": {"item": {"values": ["a", "b"]}}}
TWO = ITEMS | {"contribution": {"max_groups": 2, "max_rows": 5}}
ONE = {"contribution": {"max_groups": 1, "max_rows": 5}}


def people(seed: int, units: int, rows_each: int = 4) -> list[dict[str, Any]]:
    choice = random.Random(seed)
    return [
        {"uid": unit, "item": choice.choice("ab"), "n": choice.randint(-9, 9), "paid": choice.gauss(10, 25)}
        for unit in range(units)
        for _ in range(rows_each)
    ]


def exact_cells(plan: Plan, sales: list[dict[str, Any]]) -> list[int]:
    """The exact counts about the candidates, group by group, of a plan of one draw."""
    with opened(sales) as connection:
        (vector,) = _open_groups(plan, _answer(connection, plan, KEY))[1]
    return list(vector)


def released(plan: Plan, sales: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with opened(sales) as connection:
        return rows(plan, add_noise(plan, _answer(connection, plan, KEY)))


def test_rows_are_counted_by_where_they_lie_among_the_candidates() -> None:
    plan = planned("SELECT MEDIAN(paid) AS m FROM sales", candidates={"m": [0, 10.5, 20]}, **ONE)
    values = [-100.0, -1e-9, 0.0, 0.0, 10.4999, 10.5, 15.0, 20.0, 100.0, 1e308, None, float("nan")]
    # Coded to 0.0001: what is nearest to a candidate is at it. NULL and NaN count nowhere, 1e308 as 100.
    assert plan.draws[0].grid == Fraction(1, 10_000)
    sales = [{"uid": unit, "paid": value} for unit, value in enumerate(values)]
    assert exact_cells(plan, sales) == [1, 3, 1, 1, 1, 1, 2]


def test_a_unit_brings_max_rows_rows_to_max_groups_groups() -> None:
    plan = planned("SELECT item, MEDIAN(n) AS m FROM sales GROUP BY item", **ITEMS, **ONE)
    mine = [{"uid": 1, "item": item, "n": n} for item in "ab" for n in range(9)]
    assert sum(exact_cells(plan, mine)) == 5


def test_rows_of_a_group_that_was_dropped_count_in_no_quantile() -> None:
    plan = planned("SELECT item, MEDIAN(n) AS m FROM sales GROUP BY item", **ITEMS, **ONE)
    others = [{"uid": 2, "item": "a", "n": 0}, {"uid": 3, "item": "b", "n": 0}]
    mine = [{"uid": 1, "item": item, "n": n} for item in "ab" for n in range(9)]
    assert sum(exact_cells(plan, others + mine)) == 2 + 5


def test_one_quantile_is_selected_and_several_share_a_tree() -> None:
    alone = planned("SELECT MEDIAN(n) AS a, QUANTILE_CONT(paid, 0.9) AS b FROM sales", **ONE)
    assert [draw.kind for draw in alone.draws] == ["quantile", "quantile"]
    assert [draw.quantiles.share for draw in alone.draws if draw.quantiles] == [Fraction(1, 2), Fraction(9, 10)]
    shared = planned("SELECT MEDIAN(paid) AS a, QUANTILE_CONT(paid, 0.9) AS b, MEDIAN(n) AS c FROM sales", **ONE)
    assert [draw.kind for draw in shared.draws] == ["quantile_tree", "quantile"]
    filtered = planned("SELECT MEDIAN(n) AS a, QUANTILE_CONT(n, 0.9) FILTER (WHERE flag) AS b FROM sales", **ONE)
    assert [draw.kind for draw in filtered.draws] == ["quantile", "quantile"]
    twice = planned("SELECT MEDIAN(n) AS a, QUANTILE_CONT(n, 0.50) AS b FROM sales", **ONE)
    assert len(twice.draws) == 1


def test_candidates_are_an_even_grid_unless_they_are_declared() -> None:
    def candidates(sql: str, **parts: Any) -> tuple[int, ...]:
        (draw,) = planned(sql, **ONE, **parts).draws
        assert draw.quantiles is not None
        return draw.quantiles.candidates

    assert candidates("SELECT MEDIAN(n) AS m FROM sales") == tuple(range(-50, 51))
    even = candidates("SELECT MEDIAN(paid) AS m FROM sales")
    assert (len(even), even[0], even[-1], even[1]) == (251, -1_000_000, 1_000_000, -992_000)
    assert candidates("SELECT MEDIAN(paid) AS m FROM sales", candidates={"m": 4}) == (
        -1_000_000, -500_000, 0, 500_000, 1_000_000,
    )  # fmt: skip
    assert candidates("SELECT MEDIAN(paid) AS m FROM sales", candidates={"m": [-200, 1, 2.5, 200]}) == (10_000, 25_000)
    assert candidates("SELECT MEDIAN(n) AS m FROM sales", bounds={"m": [0, 3]}) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("sql", "parts", "why"),
    [
        ("SELECT MEDIAN(paid) AS m FROM sales", {"contribution": {"max_norm": 3}}, "max_norm for a quantile"),
        ("SELECT MEDIAN(wild) AS m FROM sales", ONE, "no bounds on a row's value of m"),
        ("SELECT MEDIAN(paid) AS m FROM sales", ONE | {"candidates": {"x": 9}}, "candidates: x is not a median"),
        ("SELECT AVG(paid) AS m FROM sales", ONE | {"candidates": {"m": 9}}, "candidates: m is not a median"),
        ("SELECT MEDIAN(paid) AS m FROM sales", ONE | {"candidates": {"m": [500, 600]}}, "no step of its grid"),
        ("SELECT item, MEDIAN(paid) AS m FROM sales GROUP BY item", ITEMS, "no bound on the groups"),
        (
            "SELECT n, MEDIAN(paid) AS m FROM sales GROUP BY n",
            ONE | {"keys": {"n": {"values": list(range(900))}}, "candidates": {"m": 9999}},
            "groups of so many candidates",
        ),
        (
            "SELECT item, MEDIAN(paid) AS m FROM sales GROUP BY item",
            {"keys": {"item": {"private": True}}, "candidates": {"m": 9999}, "contribution": {"max_groups": 2000}},
            "groups of so many candidates",
        ),
        (
            "SELECT n, QUANTILE_CONT(paid, 0.1) AS a, QUANTILE_CONT(paid, 0.2) AS b FROM sales GROUP BY n",
            ONE | {"keys": {"n": {"values": list(range(3000))}}},
            "groups of so many candidates",
        ),
        ("SELECT QUANTILE_CONT(paid, 1e-9999999) AS m FROM sales", ONE, "a quantile of no plain share"),
        ("SELECT MEDIAN(paid) AS m FROM sales", ONE | {"cost": {"accuracy": {"m": 2}}}, "no half-width before"),
    ],
)
def test_a_quantile_that_cannot_be_answered_is_refused(sql: str, parts: dict[str, Any], why: str) -> None:
    assert why in reasons(sql, **parts)


@pytest.mark.parametrize("pure", [False, True])
def test_a_selected_quantile_is_within_its_rank_error_as_often_as_is_said(pure: bool) -> None:
    extra: dict[str, Any] = {"market": PURE} if pure else {}
    sales = people(1, 400)
    plan = planned("SELECT item, QUANTILE_CONT(paid, 0.8) AS q FROM sales GROUP BY item", **TWO, **extra)
    error = measures(plan)["q"]["rank_error_95"]
    (draw,) = plan.draws
    assert draw.quantiles is not None
    ranked = scores(exact_cells(plan, sales)[: draw.cells], Fraction(4, 5))
    off = 0
    with opened(sales) as connection:
        for _ in range(200):
            noisy = add_noise(plan, _answer(connection, plan, KEY))
            off += (max(ranked) - ranked[noisy.vectors[0][0]]) / 5 > error
    assert stats.binom.sf(off - 1, 200, 0.05) > 1e-9
    assert measures(plan)["q"]["mechanism"] == ("permute_and_flip" if pure else "exponential")


@pytest.mark.parametrize("pure", [False, True])
def test_intervals_of_a_tree_hold_the_quantiles_of_the_bounded_rows(pure: bool) -> None:
    """Two quantiles and their difference in two groups, 60 releases: at least 95 % each, with a false alarm of 1e-9."""
    extra: dict[str, Any] = {"market": PURE} if pure else {}
    sql = (
        "SELECT item, QUANTILE_CONT(paid, 0.25) AS lo, QUANTILE_CONT(paid, 0.75) AS hi, "
        "QUANTILE_CONT(paid, 0.75) - QUANTILE_CONT(paid, 0.25) AS iqr FROM sales GROUP BY item"
    )
    plan = planned(sql, **TWO, **extra, cost={"epsilon": 8})
    sales = people(2, 1500, rows_each=2)
    truth = {item: np.clip([row["paid"] for row in sales if row["item"] == item], -100, 100) for item in "ab"}
    missed = {"lo": 0, "hi": 0, "iqr": 0}
    with opened(sales) as connection:
        for _ in range(60):
            for row in rows(plan, add_noise(plan, _answer(connection, plan, KEY))):
                lo, hi = np.quantile(truth[row["item"]], [0.25, 0.75])
                for name, value in (("lo", lo), ("hi", hi), ("iqr", hi - lo)):
                    missed[name] += not row[name]["low"] - 1e-4 <= value <= row[name]["high"] + 1e-4
                    assert row[name]["low"] <= row[name]["value"] <= row[name]["high"]
    for name, count in missed.items():
        assert stats.binom.sf(count - 1, 120, 0.05) > 1e-9, name
    narrow = [row["hi"]["high"] - row["hi"]["low"] for row in released(plan, sales)]
    assert max(narrow) < (60 if pure else 25)


def test_without_noise_a_tree_says_the_quantile_to_a_bin() -> None:
    plan = planned("SELECT QUANTILE_CONT(n, 0.1) AS a, MEDIAN(n) AS b FROM sales", **ONE)
    (draw,) = plan.draws
    assert draw.quantiles is not None
    reader = QuantileReader(draw)
    choice = random.Random(3)
    for _ in range(50):
        values = [choice.randint(-50, 50) for _ in range(choice.randint(1, 40))]
        cells = [0] * draw.cells
        for value in values:
            cells[2 * (value + 50) + 1] += 1
        for share in (Fraction(1, 10), Fraction(1, 2)):
            found = reader.find(draw.quantiles.tree.counts(cells), share)
            low, high = (
                np.quantile(values, float(share), method="lower"),
                np.quantile(values, float(share), method="higher"),
            )
            assert found.value is not None
            assert found.low is not None
            assert found.high is not None
            assert low - 1 <= found.value <= high + 1
            assert found.low <= low <= high <= found.high


def test_nothing_that_the_noise_may_say_raises_or_leaves_the_bounds() -> None:
    plan = planned("SELECT QUANTILE_CONT(paid, 0.1) AS a, MEDIAN(paid) AS b, MEDIAN(n) AS c FROM sales", **ONE)
    choice = random.Random(4)
    for size in (1, 10**3, 10**9, 2**62):
        vectors = [
            tuple(choice.randint(-size, size) for _ in range(draw.entries)) if draw.kind == "quantile_tree" else (7,)
            for draw in plan.draws
        ]
        (row,) = rows(plan, Noisy(((),), tuple(vectors)))
        for name in ("a", "b"):
            assert -100 <= row[name]["low"] <= row[name]["value"] <= row[name]["high"] <= 100
        assert row["c"] == {"value": -43, "low": -50, "high": 50, "display": row["c"]["display"]}
        assert "rows farther off than the best candidate" in row["c"]["display"]


def test_a_quantile_between_other_numbers_is_arithmetic_like_any() -> None:
    plan = planned("SELECT MEDIAN(n) * 2 + COUNT(DISTINCT uid) AS x FROM sales", **ONE)
    row = released(plan, people(5, 300))[0]
    assert row["x"]["low"] < row["x"]["value"] < row["x"]["high"]
    assert measures(plan)["x"]["mechanism"] == "derived"


def test_what_is_asked_is_in_the_charge() -> None:
    plan = planned("SELECT item, QUANTILE_CONT(n, 0.9) AS q FROM sales GROUP BY item", **TWO, cost={"rho": 0.02})
    (event,) = plan.events
    assert event == {
        "draw": "q", "mechanism": "exponential", "scale": event["scale"], "per_cell": 90, "cells": 2, "norm": None,
        "grid": "1", "quantile": "9/10",
    }  # fmt: skip
    assert 2 * (90 / float(str(event["scale"]))) ** 2 / 8 == pytest.approx(0.02, rel=1e-9)
    assert plan.loss.measure is Measure.ZCDP
    assert analysed("SELECT MEDIAN(n) AS q FROM sales", **ONE).draws[0].per_cell == 10


def test_one_units_rows_do_not_decide_how_much_is_copied() -> None:
    """A unit in every cell among many units in one: the counts of a group are joined to it once, not once a unit."""
    plan = planned(
        "SELECT MEDIAN(paid) AS a, MEDIAN(n) AS b, MEDIAN(wild) AS c FROM sales",
        bounds={"c": [0, 5000]},
        candidates={"a": 5000, "c": 5000},
        contribution={"max_groups": 1, "max_rows": 5000},
    )
    others = [{"uid": unit, "paid": 1.0, "n": 1, "wild": 1.0} for unit in range(20_000)]
    mine = [{"uid": -1, "paid": i / 25 - 100, "n": i % 100 - 50, "wild": float(i)} for i in range(5000)]
    with opened([*others, *mine]) as connection:
        connection.execute("SET memory_limit = '300MB'; SET temp_directory = ''")
        (noisy,) = add_noise(plan, _answer(connection, plan, KEY)).vectors[:1]
    assert len(noisy) == 1
