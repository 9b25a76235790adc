"""A year's charges at a cadence: what is asked while it is fresh is free, and nothing that is paid for is left out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dpstats.plan.cadence import charges_a_year

YEAR = timedelta(days=365)
APART = {"daily": 1, "weekly": 7, "monthly": 28, "quarterly": 90}


@pytest.mark.parametrize(
    ("cadence", "fresh_days", "charges"),
    [
        (None, 30, 1),
        ("once", 0, 1),
        ("daily", 0, 366),
        ("daily", 1, 366),
        ("daily", 2, 183),
        ("daily", 30, 13),
        ("weekly", 7, 53),
        ("weekly", 30, 11),
        ("monthly", 30, 12),
        ("monthly", 32, 6),
        ("quarterly", 30, 4),
        ("quarterly", 365, 1),
    ],
)
def test_charges_of_a_year_by_hand(cadence, fresh_days: int, charges: int) -> None:
    assert charges_a_year(cadence, timedelta(days=fresh_days)) == charges


@pytest.mark.parametrize("cadence", ["daily", "weekly"])
@pytest.mark.parametrize("fresh_hours", [0, 1, 24, 36, 168, 200, 720, 9000])
def test_a_year_played_through_charges_no_more(cadence, fresh_hours: int) -> None:
    fresh_for, step = timedelta(hours=fresh_hours), timedelta(days=APART[cadence])
    now, fresh_until, charged = timedelta(0), timedelta(-1), 0
    while now < YEAR:
        if now >= fresh_until:
            fresh_until, charged = now + fresh_for, charged + 1
        now += step
    assert charged <= charges_a_year(cadence, fresh_for) <= charged + 1
