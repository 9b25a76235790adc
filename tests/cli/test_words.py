"""Numbers and times in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.cli import words

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
STEPS = st.integers(0, 10**18)


@given(STEPS)
def test_an_amount_is_shown_exactly_and_without_an_exponent(steps: int) -> None:
    amount = float(Decimal(steps) / 10**12)
    text = words.number(amount)
    assert "e" not in text.lower()
    assert float(text) == amount


@given(STEPS)
def test_what_is_left_is_never_shown_larger_than_it_is(steps: int) -> None:
    amount = float(Decimal(steps) / 10**12)
    shown = Decimal(words.at_least(amount))
    exact = Decimal(repr(amount))
    assert shown <= exact
    assert exact - shown <= exact / 1000


@pytest.mark.parametrize(
    ("half_width", "text"),
    [
        (28, "± 28"),
        (13859.3, "± 13,859"),
        (0.01234, "± 0.0123"),
        (1.5, "± 1.5"),
        (0, "± 0"),
        (None, "differs by row"),
        (float("inf"), "differs by row"),
    ],
)
def test_a_half_width_has_three_digits(half_width: float | None, text: str) -> None:
    assert words.give_or_take(half_width) == text


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
    assert words.day(datetime(2026, 3, 3, tzinfo=UTC), NOW) == "3 March"
    assert words.day(datetime(2025, 12, 31, tzinfo=UTC), NOW) == "31 December 2025"


def test_a_day_is_told_in_the_readers_zone() -> None:
    pacific = timezone(timedelta(hours=-8))
    assert words.day(datetime(2026, 3, 4, 1, tzinfo=UTC), NOW.astimezone(pacific)) == "3 March"


def test_one_thing_is_not_things() -> None:
    assert words.counted(1, "entry", "entries") == "1 entry"
    assert words.counted(1204, "entry", "entries") == "1,204 entries"
    assert words.counted(0, "group") == "0 groups"


def test_an_error_that_depends_on_the_denominator_is_told_at_one_that_tells_something() -> None:
    measure = {
        "half_width_95": None,
        "half_width_95_at": {"100": 9.0, "1000": None, "10000": 0.5},
        "denominator": "rows",
    }
    assert words.sureness(measure, " USD") == "± 0.5 USD at 10,000 rows"
    measure["half_width_95_at"] = {"6000": None, "60000": None, "600000": None}
    assert words.sureness(measure | {"denominator": "denominator"}) == "too noisy at 600,000 in the denominator"
    assert words.sureness({"half_width_95": None}) == "differs by row"
    assert words.sureness({"half_width_95": 28}) == "± 28"


def test_what_is_spent_is_rounded_up_and_what_is_left_down() -> None:
    assert (words.at_most(0.004189769875), words.at_least(0.004189769875)) == ("0.00419", "0.004189")
    assert (words.at_most(0.015), words.at_most(0.0)) == ("0.015", "0")
