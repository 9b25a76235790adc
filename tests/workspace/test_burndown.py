"""Burn-downs and forecasts, on sums made by hand."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from dpstats.ledger.records import DaySum
from dpstats.privacy.loss import Loss, Measure
from dpstats.workspace.burndown import (
    FEWEST_DAYS,
    HORIZON_DAYS,
    RECENT_DAYS,
    Part,
    burn_down,
    outlook_of_pace,
    outlook_of_year,
    pace,
)

TODAY = date(2026, 11, 25)


def entry(
    days_ago: int, amount: int, *, kind: str = "charge", delta: int = 0, entries: int = 1, most: int = 0
) -> DaySum:
    day = TODAY - timedelta(days=days_ago)
    causes = ("shop", "q", "v", None, "ann") if kind == "charge" else (None, None, None, None, "stu")
    return DaySum(day, kind, *causes, entries, amount, delta, 0, most or amount, delta)


def left(amount: int, delta: int = 0) -> Loss:
    return Loss(Measure.ZCDP, amount, delta)


def test_a_burn_down_is_grants_less_charges_at_the_end_of_each_day() -> None:
    days = burn_down(
        [entry(9, 100, kind="grant"), entry(9, 10), entry(5, 20), entry(5, 5), entry(2, 50, kind="grant"), entry(0, 1)]
    )
    assert [(TODAY - item.day).days for item in days] == [9, 5, 2, 0]
    assert [item.remaining for item in days] == [90, 65, 115, 114]
    assert [item.granted for item in days] == [100, 100, 150, 150]


def test_nothing_is_forecast_before_a_week_has_passed() -> None:
    assert pace([], TODAY) is None
    assert pace([entry(FEWEST_DAYS - 2, 10)], TODAY) is None
    assert pace([entry(FEWEST_DAYS - 1, 10)], TODAY) is not None


def test_the_pace_goes_by_the_recent_charges_alone() -> None:
    found = pace([entry(400, 1000), entry(RECENT_DAYS, 1000), entry(RECENT_DAYS - 1, 7), entry(0, 3)], TODAY)
    assert found is not None
    assert (found.days, found.charges, found.amount) == (RECENT_DAYS, 2, 10)
    young = pace([entry(9, 20), entry(0, 30)], TODAY)
    assert young is not None
    assert (young.days, young.amount) == (10, 50)


def test_at_a_steady_pace_the_budget_ends_when_it_is_divided_by_it() -> None:
    found = pace([entry(day, 10) for day in range(RECENT_DAYS - 1, -1, -1)], TODAY)
    assert found is not None
    outlook = outlook_of_pace(found, left(1000), TODAY)
    assert outlook.ends_on == TODAY + timedelta(days=100)
    assert outlook.earliest is not None
    assert outlook.latest is not None
    assert outlook.earliest < outlook.ends_on < outlook.latest


def test_few_charges_make_a_wide_interval_and_one_charge_no_latest_day() -> None:
    many = pace([entry(day, 10, entries=10, most=1) for day in range(29, -1, -1)], TODAY)
    few = pace([entry(29, 150), entry(0, 150)], TODAY)
    one = pace([entry(29, 300)], TODAY)
    assert many is not None
    assert few is not None
    assert one is not None
    of = [outlook_of_pace(found, left(300), TODAY) for found in (many, few, one)]
    assert len({item.ends_on for item in of}) == 1
    assert of[0].earliest > of[1].earliest > of[2].earliest  # type: ignore[operator]
    assert of[0].latest is not None
    assert of[2].latest is None


def test_whichever_of_amount_and_delta_is_used_up_first_decides() -> None:
    found = pace([entry(9, 10, delta=1), entry(0, 10, delta=1)], TODAY)
    assert found is not None
    assert outlook_of_pace(found, left(2000, 100), TODAY).first is Part.DELTA
    assert outlook_of_pace(found, left(2000, 10_000), TODAY).first is Part.AMOUNT


def test_a_budget_that_is_used_up_ends_today_and_one_that_nobody_spends_never() -> None:
    found = pace([entry(9, 10)], TODAY)
    idle = pace([entry(RECENT_DAYS + 5, 10)], TODAY)
    assert found is not None
    assert idle is not None
    assert outlook_of_pace(found, left(0), TODAY).ends_on == TODAY
    assert outlook_of_pace(found, left(1 + HORIZON_DAYS), TODAY).ends_on is None
    assert outlook_of_pace(idle, left(5), TODAY).ends_on is None


def test_a_year_that_takes_twice_what_is_left_ends_after_half_a_year() -> None:
    assert outlook_of_year(left(2000), left(1000), TODAY).ends_on == TODAY + timedelta(days=182)
    assert outlook_of_year(left(0), left(1000), TODAY).ends_on is None


@pytest.mark.parametrize("a_day", [0.3, 2.0])
def test_the_interval_holds_the_day_on_which_simulated_budgets_are_used_up(a_day: float) -> None:
    """Charges as the forecast takes for granted: a Poisson number a day, of two sizes. 95 % are promised.

    The simulated end has its own randomness on top of the estimated pace's, so the budget lasts long: it averages out.
    """
    rng = random.Random(20261125)
    held, runs = 0, 300
    a_size = {10: 0.7, 40: 0.3}
    mean = sum(size * share for size, share in a_size.items())
    left_over = int(mean * a_day * 2000)
    for _ in range(runs):
        sums = [entry(RECENT_DAYS - 1, 0, entries=0)]
        for day in range(RECENT_DAYS - 1, -1, -1):
            for size, share in a_size.items():
                count = sum(rng.random() < a_day * share / 50 for _ in range(50))
                if count:
                    sums.append(entry(day, count * size, entries=count, most=size))
        found = pace(sums, TODAY)
        assert found is not None
        outlook = outlook_of_pace(found, left(left_over), TODAY)
        truth = TODAY + timedelta(days=2000)
        early = outlook.earliest is None or outlook.earliest <= truth
        held += early and (outlook.latest is None or truth <= outlook.latest)
    # 300 runs at 95 %: fewer than 265 happen with a chance below 1e-5.
    assert held >= 265
