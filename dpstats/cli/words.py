"""Numbers and times as a person reads them. Pure: what time it is is said by the caller."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from dpstats.words import counted, short_day

_DAY_S = 86400


def number(value: float | None) -> str:
    """An amount, exactly, without an exponent: 0.005, 0.000001."""
    if value is None:
        return "-"
    text = f"{Decimal(repr(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def give_or_take(half_width: float | None) -> str:
    """A 95 % half-width to three digits, whole from 100 on: `± 0.0123`, `± 13,859`; or that it differs by row."""
    if half_width is None or not math.isfinite(half_width):
        return "differs by row"
    if half_width <= 0:
        return "± 0"
    digits = max(0, 2 - math.floor(math.log10(half_width)))
    text = f"{half_width:,.{digits}f}"
    return "± " + (text.rstrip("0").rstrip(".") if "." in text else text)


def sureness(measure: Mapping[str, Any], unit: str = "") -> str:
    """A measure's 95 % error; where it depends on the denominator, at one of them: `± 1.2 USD at 1,000 rows`."""
    size = told_at(measure)
    if measure.get("rank_error_95") is not None:
        return rank_error(measure["rank_error_95"])
    if size is None:
        return f"{give_or_take(measure['half_width_95'])}{unit}"
    return f"{told(measure['half_width_95_at'][size])}{unit} {at_size(measure, size)}"


def rank_error(rows: int) -> str:
    """How far a quantile's place in the order may be off the best candidate's: `± 120 rows in rank, to a candidate`."""
    return f"± {counted(rows, 'row')} in rank, to a candidate"


def told(half_width: float | None) -> str:
    """A half-width at one denominator; None is one that tells nothing."""
    return "too noisy" if half_width is None else give_or_take(half_width)


def told_at(measure: Mapping[str, Any]) -> str | None:
    """The denominator at which a measure's error is told: the middle one, or the next that tells something."""
    at: Mapping[str, float | None] | None = measure.get("half_width_95_at")
    if at is None:
        return None
    later = list(at)[len(at) // 2 :]
    return next((size for size in later if at[size] is not None), later[-1])


def at_size(measure: Mapping[str, Any], size: str) -> str:
    """`at 1,000 rows`."""
    of = measure["denominator"]
    return f"at {float(size):,.12g} {'in the denominator' if of == 'denominator' else of}"


def day(moment: datetime, now: datetime) -> str:
    """`3 March`, with its year if that is not this one; in the zone of `now`."""
    return short_day(moment.astimezone(now.tzinfo), now)


def utc(iso: str) -> str:
    """A stored moment to the minute, in UTC as it is stored, for a column that says so: `2026-03-03 14:05`."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M}"


def moment_text(iso: str) -> str:
    """A stored moment in a sentence: `2026-03-03 14:05 UTC`."""
    return f"{utc(iso)} UTC"


def settings_text(parameters: Mapping[str, object]) -> str:
    """`since=2017-01-01 until=2018-01-02`."""
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def days_text(seconds: int) -> str:
    """`30 days`, to a tenth of one."""
    days = number(round(seconds / _DAY_S, 1))
    return f"{days} {'day' if days == '1' else 'days'}"
