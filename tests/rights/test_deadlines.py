"""The clocks of rights requests: known dates, and laws that hold for every day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.rights.deadlines import (
    answered_by,
    business_days_after,
    carried_out_by,
    day_of,
    holidays,
    weekdays_after,
)

NOON = datetime(2026, 12, 18, 20, tzinfo=UTC)
moments = st.integers(0, 80 * 365 * 24).map(lambda hours: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hours))


def test_ten_business_days_over_the_end_of_a_year_count_saturdays() -> None:
    assert answered_by(NOON).confirm_due == date(2026, 12, 31)


def test_fifteen_business_days_over_the_end_of_a_year_count_saturdays() -> None:
    assert carried_out_by(NOON).respond_due == date(2027, 1, 7)


def test_an_office_counts_mondays_to_fridays() -> None:
    assert weekdays_after(date(2026, 12, 18), 10) == date(2027, 1, 5)
    assert weekdays_after(date(2026, 12, 18), 15) == date(2027, 1, 12)


def test_forty_five_and_ninety_days_are_calendar_days_from_the_day_of_receipt() -> None:
    dates = answered_by(NOON)
    assert (dates.respond_due, dates.latest) == (date(2027, 2, 1), date(2027, 3, 18))


def test_the_day_is_californias() -> None:
    assert day_of(datetime(2026, 12, 19, 7, 59, tzinfo=UTC)) == date(2026, 12, 18)
    assert day_of(datetime(2026, 12, 19, 8, 0, tzinfo=UTC)) == date(2026, 12, 19)
    assert day_of(datetime(2026, 7, 1, 7, 0, tzinfo=UTC)) == date(2026, 7, 1)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        answered_by(NOON.replace(tzinfo=None))


def test_the_holidays_of_a_year_are_those_of_the_calendar() -> None:
    assert sorted(holidays(2026)) == [
        date(2026, 1, 1), date(2026, 1, 19), date(2026, 2, 16), date(2026, 5, 25), date(2026, 7, 4), date(2026, 9, 7),
        date(2026, 11, 11), date(2026, 11, 26), date(2026, 12, 25),
    ]  # fmt: skip


@given(moments)
def test_an_alarm_comes_before_its_date_and_dates_before_the_latest(moment: datetime) -> None:
    dates = answered_by(moment)
    assert dates.confirm_alarm is not None
    assert dates.confirm_due is not None
    assert dates.received_on < dates.confirm_alarm < dates.confirm_due < dates.respond_alarm < dates.respond_due
    assert dates.respond_due < dates.latest


@given(moments, st.integers(1, 60))
def test_counting_saturdays_is_never_the_later_reading(moment: datetime, days: int) -> None:
    day = day_of(moment)
    assert day + timedelta(days=days) <= business_days_after(day, days) <= weekdays_after(day, days)


@given(moments, st.integers(1, 60))
def test_business_days_add_up(moment: datetime, days: int) -> None:
    day = day_of(moment)
    assert business_days_after(business_days_after(day, days), 1) == business_days_after(day, days + 1)


@given(moments)
def test_an_opt_out_has_no_dialogue_and_no_extension(moment: datetime) -> None:
    dates = carried_out_by(moment)
    assert dates.confirm_due is None
    assert dates.respond_alarm <= dates.respond_due == dates.latest
