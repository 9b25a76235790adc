"""Numbers and dates as every door words them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats import words

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
STEPS = st.integers(0, 10**18)


@given(STEPS)
def test_what_is_left_is_never_shown_larger_than_it_is(steps: int) -> None:
    amount = float(Decimal(steps) / 10**12)
    shown = Decimal(words.at_least(amount))
    exact = Decimal(repr(amount))
    assert shown <= exact
    assert exact - shown <= exact / 1000


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=23), "23 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=12, hours=3), "12 days ago"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(span: timedelta, text: str) -> None:
    assert words.age(NOW - span, NOW) == text


def test_a_day_has_its_year_only_when_that_is_another_one() -> None:
    assert words.short_day(date(2026, 3, 3), NOW) == "3 March"
    assert words.short_day(date(2025, 12, 31), NOW) == "31 December 2025"


def test_what_is_spent_is_rounded_up_and_what_is_left_down() -> None:
    assert (words.at_most(0.004189769875), words.at_least(0.004189769875)) == ("0.00419", "0.004189")
    assert (words.at_most(0.015), words.at_most(0.0)) == ("0.015", "0")


def test_one_thing_is_not_things() -> None:
    assert words.counted(1, "entry", "entries") == "1 entry"
    assert words.counted(1204, "entry", "entries") == "1,204 entries"
    assert words.counted(0, "group") == "0 groups"
