"""When a rights request must be confirmed and answered, by the law's clocks, in the earlier reading.

Days are counted in Los Angeles; the day of receipt is day 0 (Cal. Civ. Code 10). "Business day" is not defined in the
CCPA's regulations: Civ. Code 7 and 9 count every day but Sundays and state holidays, so Saturdays count here. Where
readings differ, the date that comes first is kept: a list of holidays that is too short only makes a date earlier.

Source: 11 CCR 7021(a) (10 business days to confirm), 1798.130(a)(2)(A) and 7021(b) (45 calendar days, and 45 more),
7026(f) and 7027(g) (15 business days for opt-outs and limits).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

CALIFORNIA = ZoneInfo("America/Los_Angeles")
CONFIRM_BUSINESS_DAYS = 10
OPT_OUT_BUSINESS_DAYS = 15
RESPOND_DAYS = 45
EXTENDED_DAYS = 90
ALARM_CONFIRM_BUSINESS_DAYS = 5
ALARM_OPT_OUT_BUSINESS_DAYS = 10
ALARM_RESPOND_DAYS = 40
_SATURDAY, _SUNDAY, _MONDAY, _THURSDAY = 5, 6, 0, 3


@dataclass(frozen=True)
class Deadlines:
    """The dates of one request, in Los Angeles: it is late when the day named is over there.

    `confirm_due` is None for opt-outs and limits, which are carried out without a dialogue. The `_alarm` dates come
    before, so that somebody is told in time.
    """

    received_on: date
    confirm_due: date | None
    confirm_alarm: date | None
    respond_due: date
    respond_alarm: date
    latest: date
    """The day that no extension can move `respond_due` past."""


def day_of(moment: datetime) -> date:
    """The day that a moment falls on in California.

    Raises:
      ValueError: the moment has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a zone")
    return moment.astimezone(CALIFORNIA).date()


def answered_by(received_at: datetime) -> Deadlines:
    """The dates of a request to know, delete or correct."""
    received = day_of(received_at)
    return Deadlines(
        received_on=received,
        confirm_due=business_days_after(received, CONFIRM_BUSINESS_DAYS),
        confirm_alarm=weekdays_after(received, ALARM_CONFIRM_BUSINESS_DAYS),
        respond_due=received + timedelta(days=RESPOND_DAYS),
        respond_alarm=received + timedelta(days=ALARM_RESPOND_DAYS),
        latest=received + timedelta(days=EXTENDED_DAYS),
    )


def carried_out_by(received_at: datetime) -> Deadlines:
    """The dates of an opt-out, or of a limit on sensitive information: nobody confirms, and nothing extends them."""
    received = day_of(received_at)
    due = business_days_after(received, OPT_OUT_BUSINESS_DAYS)
    alarm = min(due, weekdays_after(received, ALARM_OPT_OUT_BUSINESS_DAYS))
    return Deadlines(received, None, None, due, alarm, latest=due)


def extended(dates: Deadlines) -> Deadlines:
    """The dates of a request whose answer was moved on by an extension."""
    alarm = dates.latest - timedelta(days=RESPOND_DAYS - ALARM_RESPOND_DAYS)
    return replace(dates, respond_due=dates.latest, respond_alarm=alarm)


def business_days_after(day: date, days: int) -> date:
    """The day that is `days` business days after `day`, Saturdays counted: the earlier reading of the law."""
    while days > 0:
        day += timedelta(days=1)
        days -= _is_business_day(day)
    return day


def weekdays_after(day: date, days: int) -> date:
    """The day that is `days` working days after `day`, Monday to Friday: what an office can do. For alarms alone."""
    while days > 0:
        day += timedelta(days=1)
        days -= _is_business_day(day) and day.weekday() != _SATURDAY
    return day


def _is_business_day(day: date) -> bool:
    return day.weekday() != _SUNDAY and day not in holidays(day.year)


def holidays(year: int) -> frozenset[date]:
    """The days off that California's and the federal calendars share.

    Those of one calendar alone, and the Monday that makes up for a Sunday, are left out: that reads the law earlier.
    """
    return frozenset(
        {
            date(year, 1, 1),
            _nth(year, 1, _MONDAY, 3),
            _nth(year, 2, _MONDAY, 3),
            _last(year, 5, _MONDAY),
            date(year, 7, 4),
            _nth(year, 9, _MONDAY, 1),
            date(year, 11, 11),
            _nth(year, 11, _THURSDAY, 4),
            date(year, 12, 25),
        }
    )


def _nth(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last(year: int, month: int, weekday: int) -> date:
    last = date(year, month + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)
