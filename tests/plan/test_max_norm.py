"""Norm clipping: nobody moves a vector by more than the norm, exactly; and nobody below it loses anything."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from market import MARKET, PURE, Row, check_neighbours, exact, moved, opened, planned, reasons, totals, without

from dpstats.catalog.dataset import DatasetFile
from dpstats.plan.plan import Plan
from dpstats.privacy.mechanism import Noise

NAN, INF = float("nan"), float("inf")
WIDE = [str(i) for i in range(1000)]
ITEMS = {"item": {"values": ["", "a", "b", "c", "d", *WIDE]}}
MEASURES = {
    "spend": "SUM(paid)",
    "pieces": "SUM(n)",
    "flagged": "SUM(paid) FILTER (WHERE flag)",
    "sales": "COUNT(*)",
    "known": "COUNT(n)",
    "people": "COUNT(DISTINCT uid)",
    "mean": "AVG(paid)",
    "spread": "VAR_POP(n)",
}
ALL = f"SELECT item, {', '.join(f'{sql} AS {name}' for name, sql in MEASURES.items())} FROM sales GROUP BY item"
MARKETS = pytest.mark.parametrize("market", [MARKET, PURE], ids=["L2", "L1"])


def one(sql: str, norm: object, *, market: DatasetFile = MARKET, **parts: Any) -> Plan:
    """The plan of one measure `m` by item."""
    given = {"keys": ITEMS, "contribution": {"max_norm": norm}} | parts
    return planned(f"SELECT item, {sql} AS m FROM sales GROUP BY item", market=market, **given)


def nasty(random_: random.Random, unit: int, items: list[Any]) -> Row:
    return {
        "uid": unit,
        "item": random_.choice(items),
        "n": random_.choice([0, 1, -1, 50, -50, 7, 2**63 - 1, -(2**63), None]),
        "paid": random_.choice([0.0, -0.0, 0.1, 99.99, 1e308, -1e308, NAN, INF, -INF, 5e-324, None, -33.33]),
        "wild": random_.choice([1e308, -0.0, None]),
        "day": random_.choice([date(2020, 1, 1), None]),
        "at": random_.choice([datetime(2020, 1, 1, 10), None]),  # noqa: DTZ001
        "flag": random_.choice([True, False, None]),
    }


HEAVY = {
    "in 1,000 groups": [{"item": item, "n": 50, "paid": -1e308, "flag": True} for item in WIDE],
    "with 10,000 rows": [{"item": "ab"[i % 2], "n": -50, "paid": 100.0, "flag": True} for i in range(10_000)],
    "that cancels itself out": [{"item": item, "n": s, "paid": s * 1.0} for item in "abcd" for s in (50, -50)],
    "of zeros": [{"item": item, "n": 0, "paid": -0.0, "flag": True} for item in "abcd"],
}
"""Units that are hard to bound, by what is special about them."""
UNITS = [*range(6), *HEAVY]


@pytest.fixture(scope="module")
def neighbours() -> list[duckdb.DuckDBPyConnection]:
    """Everybody's rows; then the same without each of the units."""
    random_ = random.Random(3)
    rows = [
        nasty(random_, unit, ["a", "b", "c", "", None, "zz", *WIDE[: unit * 100]])
        for unit in range(6)
        for _ in range(random_.choice((4, 30, 200)))
    ]
    rows += [row | {"uid": 100 + place} for place, heavy in enumerate(HEAVY.values()) for row in heavy]
    random_.shuffle(rows)
    ids = [unit if isinstance(unit, int) else 100 + list(HEAVY).index(unit) for unit in UNITS]
    return [opened(rows), *(opened(without(rows, unit)) for unit in ids)]


@MARKETS
@pytest.mark.parametrize("bounds", [{}, {"spend": [-50, 70], "pieces": [-3, 10], "sales": [2, 3]}], ids=["", "bounds"])
def test_one_unit_moves_every_vector_by_at_most_its_norm(
    market: DatasetFile, bounds: Mapping[str, Any], neighbours: list[duckdb.DuckDBPyConnection]
) -> None:
    random_ = random.Random(len(bounds))
    norms = (0.001, 0.5, 1.5, 2.7, 3.163, 33.333, 1000)
    chosen = {name: random_.choice(norms) for name in MEASURES} | {"pieces": random_.choice(norms[2:])}
    plan = planned(ALL, market=market, keys=ITEMS, bounds=bounds, contribution={"max_norm": chosen})
    more, *fewer = [exact(connection, plan) for connection in neighbours]
    for less in fewer:
        check_neighbours(plan, more, less)
    assert sum(more != less for less in fewer) > 6


@MARKETS
def test_the_order_of_rows_and_threads_change_nothing(market: DatasetFile) -> None:
    random_ = random.Random(5)
    rows = [nasty(random_, unit, [*WIDE[:5], "a"]) for unit in range(9) for _ in range(200)]
    plan = planned(ALL, market=market, keys=ITEMS, contribution={"max_norm": dict.fromkeys(MEASURES, 3.5)})
    shuffled = random_.sample(rows, len(rows))
    assert exact(opened(rows), plan) == exact(opened(shuffled, threads=4), plan)


@MARKETS
@pytest.mark.parametrize("norm", [1, 31.623, 300])
def test_a_unit_far_above_its_norm_keeps_all_of_it(market: DatasetFile, norm: float) -> None:
    """Truncation takes less than a step an entry; the check in whole numbers takes nothing."""
    rows = [{"uid": 1, "item": item, "n": 50, "paid": -1e308} for item in WIDE for _ in range(10)]
    connection = opened(rows)
    for sql in ("COUNT(*)", "SUM(paid)", "SUM(n)", "AVG(paid)", "VAR_POP(n)"):
        plan = one(sql, norm, market=market, bounds={"m": [-100, 100]} if sql == "AVG(paid)" else {})
        found = exact(connection, plan)
        for draw in plan.draws:
            # Of the moments, the rows' values are at the end of their bounds, so that all of them reach their norms.
            sensitivity, entries = draw.mechanism.sensitivity, moved(found, {}, draw.index)
            if market is PURE:
                assert sensitivity.norm - len(WIDE) - 1 <= sum(entries) <= sensitivity.norm
            else:
                length = math.isqrt(sum(entry**2 for entry in entries))
                assert sensitivity.norm - math.isqrt(len(WIDE)) - 2 <= length <= sensitivity.norm


@MARKETS
def test_nothing_is_dropped_where_the_norm_is_not_reached(market: DatasetFile) -> None:
    random_ = random.Random(11)
    rows = [
        nasty(random_, unit, ["a", "b", "c", *WIDE[:50]])
        for unit in range(12)
        for _ in range(random_.choice((1, 9, 60)))
    ]
    wide = {
        "spend": [-(10**5), 10**5],
        "pieces": [-(10**5), 10**5],
        "flagged": [-(10**5), 10**5],
        "sales": [0, 10**4],
        "known": [0, 10**4],
    }
    normed = planned(
        ALL, market=market, keys=ITEMS, bounds=wide, contribution={"max_norm": dict.fromkeys(MEASURES, 10**6)}
    )
    plain = planned(ALL, market=market, keys=ITEMS, bounds=wide, contribution={"max_groups": 10**6, "max_rows": 10**4})
    ours, theirs = totals(normed, rows), totals(plain, rows)
    assert ours.keys() == theirs.keys()
    for a, b in zip(normed.draws, plain.draws, strict=True):
        assert (a.name, a.kind) == (b.name, b.kind)
        for group in ours:
            assert ours[group][a.index] * a.grid == theirs[group][b.index] * b.grid


def test_a_norm_that_is_just_reached_takes_nothing() -> None:
    rows = [
        {"uid": 1, "item": item, "paid": 100.0, "n": 50} for item, times in (("a", 3), ("b", 4)) for _ in range(times)
    ]
    assert totals(one("COUNT(*)", 5), rows) == {("a",): (3000,), ("b",): (4000,)}
    assert totals(one("COUNT(*)", 7, market=PURE), rows) == {("a",): (3000,), ("b",): (4000,)}
    assert totals(one("COUNT(*)", 6.999, market=PURE), rows) == {("a",): (3000,), ("b",): (3998,)}
    for norm in (5, 5.0005, 4.9999, 3.163):  # the moments' own norms are not whole numbers of steps
        total, count, squares = zip(
            *totals(one("VAR_POP(paid)", norm, bounds={"m": [-99.3, 100]}), rows).values(), strict=True
        )
        assert min(*total, *count, *squares) > 0


def test_only_the_largest_entries_are_cut_and_all_to_one_size() -> None:
    amounts = {"a": 60.0, "b": -80.0, "c": 10.0, "d": -0.5}
    rows = [{"uid": 1, "item": item, "paid": amount} for item, amount in amounts.items()]
    for norm in (50, 50.000001, 49.9999):
        plan = one("SUM(paid)", norm, bounds={"m": [-100, 100]})
        a, b, c, d = (float(value * plan.draws[0].grid) for (value,) in totals(plan, rows).values())
        assert (c, d) == (10, -0.5)
        assert a == -b == pytest.approx(math.sqrt((norm**2 - 10**2 - 0.5**2) / 2), abs=2e-4)


@MARKETS
def test_cutting_the_largest_keeps_at_least_what_scaling_would(market: DatasetFile) -> None:
    random_ = random.Random(17)
    rows = [
        {"uid": unit, "item": item, "paid": random_.choice([0.5, 3, 20, 90]) * random_.choice([1, -1])}
        for unit in range(30)
        for item in random_.sample(WIDE, random_.choice([1, 5, 60]))
    ]
    with opened(rows) as connection:
        for norm in (2, 30, 150):
            plan = one("SUM(ABS(paid))", norm, market=market, bounds={"m": [0, 100]})
            kept = float(sum(value for (value,) in exact(connection, plan).values()) * plan.draws[0].grid)
            scaled = 0.0
            for unit in range(30):
                mine = [abs(row["paid"]) for row in rows if row["uid"] == unit]
                length = sum(mine) if market is PURE else math.hypot(*mine)
                scaled += sum(mine) * min(1, norm / length)
            assert kept >= scaled - len(rows) * float(plan.draws[0].grid)


def test_moments_whose_norm_is_no_whole_number_of_steps_are_not_lost() -> None:
    rows = [{"uid": 1, "item": item, "paid": 100.0} for item in "ab" for _ in range(9)]
    with opened(rows) as connection:
        for tenths in range(12):
            plan = one("AVG(paid)", 1.5, bounds={"m": [-90 - tenths, 80.0001]})
            assert all(total > 0 < count for total, count in exact(connection, plan).values())


def test_the_moments_of_a_unit_are_cut_by_one_factor() -> None:
    """So that the average of a unit that is always alike stays what it is, however heavy the unit."""
    rows = [{"uid": 1, "item": item, "paid": 37.5, "n": 20} for item in "abcd" for _ in range(300)]
    plan = one("AVG(paid)", 2)
    centre = Fraction(plan.outputs[0].expression.centre)
    for total, count in totals(plan, rows).values():
        assert count == pytest.approx(1000, rel=1e-2)
        mean = centre + Fraction(total) * plan.draws[0].grid / (Fraction(count) * plan.draws[1].grid)
        assert float(mean) == pytest.approx(37.5, abs=0.1)


def test_the_norm_of_moments_is_that_of_the_numbers_of_rows() -> None:
    plan = one("VAR_POP(paid)", 2.5)
    total, count, squares = plan.draws
    assert count.mechanism.sensitivity.norm == 2500
    assert total.mechanism.sensitivity.norm * total.grid == Fraction(5, 2) * 100
    assert float(squares.mechanism.sensitivity.norm * squares.grid) == pytest.approx(2.5 * 100**2)


def test_pure_dp_clips_the_l1_norm_and_prices_it_so() -> None:
    plan = one("SUM(paid)", 50, market=PURE)
    (draw,) = plan.draws
    assert draw.mechanism.noise is Noise.LAPLACE
    assert draw.mechanism.scale * float(draw.grid) == pytest.approx(50 / 2)
    rows = [{"uid": 1, "item": item, "paid": -30.0} for item in "abcd"]
    found = [value * draw.grid for (value,) in totals(plan, rows).values()]
    assert [float(value) for value in found] == pytest.approx([-12.5] * 4)
    l2 = one("SUM(paid)", 50)
    found = [value * l2.draws[0].grid for (value,) in totals(l2, rows).values()]
    assert [float(value) for value in found] == pytest.approx([-25.0] * 4, rel=1e-5)


def test_a_number_of_units_is_normed_over_groups() -> None:
    rows = [{"uid": 1, "item": item} for item in WIDE[:400]]
    assert set(totals(one("COUNT(DISTINCT uid)", 10), rows).values()) == {(499,)}
    assert set(totals(one("COUNT(DISTINCT uid)", 20), rows).values()) == {(1000,)}


@MARKETS
def test_nobody_is_scaled_down_for_somebody_else(market: DatasetFile) -> None:
    heavy = [{"uid": 1, "item": item, "paid": 100.0} for item in ["a", *WIDE[:300]] for _ in range(2)]
    light = [{"uid": 2, "item": "b", "paid": 1.0}]
    cut = [{"uid": 3, "item": item, "paid": 60.0} for item in "ccccd"]
    for sql, norm in (("COUNT(*)", 2), ("SUM(paid)", 150), ("COUNT(DISTINCT uid)", 1), ("AVG(paid)", 2)):
        plan = one(sql, norm, market=market)
        assert totals(plan, heavy + light)[("b",)] == totals(plan, light)[("b",)]
        assert totals(plan, heavy + cut)[("c",)] == totals(plan, cut)[("c",)]


def test_each_measure_has_the_norm_that_is_given_to_it() -> None:
    sql = "SELECT item, SUM(paid) AS s, COUNT(*) AS c, SUM(paid) / COUNT(*) AS each FROM sales GROUP BY item"
    plan = planned(sql, keys=ITEMS, contribution={"max_norm": {"s": 40, "c": 3}})
    assert [float(d.mechanism.sensitivity.norm * d.grid) for d in plan.draws] == [40.0, 3.0]
    assert [output.bounding for output in plan.outputs] == ["max_norm 40", "max_norm 3", "max_norm 40; max_norm 3"]


def test_an_answer_says_the_bounds_in_one_group_beside_the_norm_over_all() -> None:
    sql = "SELECT item, SUM(paid) AS s, COUNT(*) AS c FROM sales GROUP BY item"
    norms, bounds = {"max_norm": {"s": 40, "c": 3}}, {"s": [0, 25], "c": [0, 2]}
    plan = planned(sql, keys=ITEMS, contribution=norms, bounds=bounds)
    assert [output.bounding for output in plan.outputs] == [
        "max_norm 40, clipped to [0, 25]",
        "max_norm 3, clipped to [0, 2]",
    ]


@pytest.mark.parametrize("sql", ["COUNT(*)", "COUNT(DISTINCT uid)", "SUM(n)", "AVG(paid)", "VAR_POP(wild)"])
@MARKETS
def test_the_widest_norms_that_are_taken_leave_no_row_to_overflow(sql: str, market: DatasetFile) -> None:
    connection = opened([{"uid": 1, "item": item, "n": 50, "paid": -100.0, "wild": 1e308} for item in WIDE])
    cost = {"epsilon": 1000} if market is PURE else {"rho": 10}
    for norm in (10**12, 10**9, 10**6):
        bounds = {"m": [-(10**15), 10**15]} if sql not in {"COUNT(*)", "COUNT(DISTINCT uid)"} else {}
        given = {"market": market, "cost": cost, "bounds": bounds, "keys": ITEMS, "contribution": {"max_norm": norm}}
        if not reasons(f"SELECT item, {sql} AS m FROM sales GROUP BY item", **given):
            plan = one(sql, norm, market=market, cost=cost, bounds=bounds)
            exact(connection, plan)


def test_a_lower_bound_on_rows_cannot_make_squares_overflow() -> None:
    given = {"keys": ITEMS, "contribution": {"max_norm": 10}}
    sql = "SELECT item, COUNT(*) AS m FROM sales GROUP BY item"
    assert "no bound on the rows" in reasons(sql, bounds={"m": [10**15, 10**15]}, **given)
    plan = planned(sql, bounds={"m": [10**12, 10**15]}, **given)
    rows = [{"uid": 1, "item": item} for item in WIDE]
    assert set(totals(plan, rows).values()) == {(316,)}


@pytest.mark.parametrize(
    ("measures", "parts", "reason"),
    [
        ("COUNT(*) AS m", {"contribution": {"max_norm": 5, "max_groups": 3}}, "max_norm beside max_groups or max_rows"),
        ("AVG(paid) AS m", {"contribution": {"max_norm": 5, "max_rows": 3}}, "max_norm beside max_groups or max_rows"),
        ("COUNT(DISTINCT n) AS m", {"bounds": {"m": [0, 5]}}, "max_norm for a number of distinct values"),
        ("COUNT(*) AS m", {"keys": {"item": {"private": True}}}, "private keys with max_norm"),
        ("COUNT(*) AS m, SUM(n) AS s", {"contribution": {"max_norm": {"m": 5}}}, "no max_norm for s"),
        ("COUNT(*) AS m", {"contribution": {"max_norm": {"m": 5, "x": 1}}}, "max_norm: x is not an aggregate"),
        ("COUNT(*) AS m", {"contribution": {"max_norm": 0.0009}}, "below a step of its grid"),
        ("AVG(paid) AS m", {"contribution": {"max_norm": 0.0009}}, "below a step of its grid"),
        ("COUNT(DISTINCT uid) AS m", {"contribution": {"max_norm": 10**15}}, "far above its bounds"),
        ("SUM(paid) AS m", {"contribution": {"max_norm": 10**15}, "bounds": {"m": [0, 1]}}, "far above its bounds"),
    ],
)  # fmt: skip
def test_a_norm_that_cannot_hold_is_refused(measures: str, parts: dict[str, Any], reason: str) -> None:
    given = {"keys": ITEMS, "contribution": {"max_norm": 5}} | parts
    assert reason in reasons(f"SELECT item, {measures} FROM sales GROUP BY item", **given)


def test_the_charge_can_be_computed_again_from_the_events_alone() -> None:
    plan = planned(ALL, keys=ITEMS, contribution={"max_norm": dict.fromkeys(MEASURES, 3.5)})
    rho = 0
    for event in plan.events:
        squared = min(event["per_cell"] ** 2 * event["cells"], event["norm"] ** 2)
        rho += math.ceil(Fraction(squared) / (2 * Fraction(float(event["scale"])) ** 2) * 10**12)
    assert rho <= plan.loss.amount <= rho + len(plan.events)
