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


def test_a_day_is_told_in_the_readers_zone() -> None:
    pacific = timezone(timedelta(hours=-8))
    assert words.day(datetime(2026, 3, 4, 1, tzinfo=UTC), NOW.astimezone(pacific)) == "3 March"


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
