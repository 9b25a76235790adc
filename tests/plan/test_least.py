"""What is shown of an average or a ratio is never below what its public bounds allow."""

from __future__ import annotations

import pytest
from shop import planned

from dpstats.plan.answer import measures, rows
from dpstats.plan.arithmetic import Average, Binary, Constant, Drawn, Expression, NullIfZero, Spread
from dpstats.plan.least import UNKNOWN, least_of
from dpstats.plan.plan import Noisy

COUNT, SUM, SIGNED = Drawn(0), Drawn(1), Drawn(2)
AVERAGE = Average(1, 0, 50.0, 18.0, 90.0)
LEAST = {0: 0.0, 1: 0.0}


@pytest.mark.parametrize(
    ("expression", "least"),
    [
        (AVERAGE, 18.0),
        (Spread(2, 0, 1, 4.0, root=False), 0.0),
        (Binary("/", SUM, COUNT), 0.0),
        (Binary("/", SUM, NullIfZero(COUNT)), 0.0),
        (Binary("+", AVERAGE, COUNT), 18.0),
        (Binary("*", Constant(100.0), Binary("/", COUNT, SUM)), 0.0),
        (Binary("-", AVERAGE, Constant(20.0)), -2.0),
        (Binary("*", Constant(2.0), AVERAGE), 36.0),
        (Binary("/", SIGNED, COUNT), UNKNOWN),
        (Binary("/", SUM, SIGNED), UNKNOWN),
        (Binary("-", SUM, COUNT), UNKNOWN),
        (Binary("*", Constant(-1.0), COUNT), UNKNOWN),
        (Binary("+", COUNT, SIGNED), UNKNOWN),
    ],
)
def test_the_least_follows_from_the_parts_of_a_measure(expression: Expression, least: float) -> None:
    assert least_of(expression, LEAST) == least


def test_an_average_of_values_that_are_not_negative_is_told_so_and_never_shown_below_zero() -> None:
    plan = planned(
        "SELECT flag AS f, COUNT(*) AS n, SUM(paid) AS s, AVG(paid) AS mean, SUM(paid) / COUNT(*) AS each "
        "FROM visits GROUP BY 1",
        keys={"f": {"values": [True, False]}},
        bounds={"n": [0, 9], "s": [0, 50]},
        contribution={"max_groups": 2},
    )
    told = measures(plan)
    assert {name: told[name]["least"] for name in ("mean", "each")} == {"mean": 0.0, "each": 0.0}
    drawn = (100_000 if draw.grid == 1 else int(-9_000_000 / draw.grid) for draw in plan.draws)
    below = Noisy(tuple(plan.declared_groups()), tuple((number, number) for number in drawn))
    for row in rows(plan, below):
        for name in ("mean", "each"):
            assert row[name]["high"] < 0  # as the noise made it
            assert row[name]["display"].startswith("too noisy to tell: between 0 and ")
