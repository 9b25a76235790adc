"""Numbers and dates as every door words them. Pure: what time it is is said by the caller."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal

MONTHS = tuple(
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
"""Not from the locale: all of dpstats speaks English."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def at_least(value: float) -> str:
    """An amount that is left, rounded down to four digits: 0.165749908689 is `0.1657`."""
    return _four_digits(value, ROUND_DOWN)


def at_most(value: float) -> str:
    """An amount that is spent, rounded up to four digits: 0.004189769875 is `0.00419`."""
    return _four_digits(value, ROUND_UP)


def _four_digits(value: float, rounding: str) -> str:
    exact = Decimal(repr(value))
    if not exact:
        return "0"
    return f"{exact.quantize(Decimal(1).scaleb(exact.adjusted() - 3), rounding=rounding).normalize():f}"


def counted(count: int, thing: str, things: str = "") -> str:
    """`1 group`, `12 groups`, `1,204 entries`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def full_day(day: date) -> str:
    """`3 March 2027`."""
    return f"{day.day} {full_month(day)}"


def full_month(day: date) -> str:
    """`March 2027`."""
    return f"{MONTHS[day.month - 1]} {day.year}"


def short_day(day: date, today: date) -> str:
    """`3 March`, with its year if that is not this one; moments of time must be of one zone."""
    return f"{day.day} {MONTHS[day.month - 1]}" if day.year == today.year else full_day(day)


def age(moment: datetime, now: datetime) -> str:
    """`just now`, `5 minutes ago`, `1 day ago`; a moment after `now` is just now."""
    seconds = int((now - moment).total_seconds())
    for span, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= span:
            return f"{counted(seconds // span, name)} ago"
    return "just now"
