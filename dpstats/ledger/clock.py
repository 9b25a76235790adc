"""Moments as the ledger writes them: UTC, ISO-8601 with zone, microseconds, so that text order is time order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

Clock = Callable[[], datetime]
"""Says what time it is, with a zone."""

BEHIND_MAX = timedelta(minutes=1)
"""How far a clock may be behind the ledger's newest entry."""
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""No clock that is set tells an earlier time."""
_READINGS = 100


def utc_now() -> datetime:
    """The system's time in UTC."""
    return datetime.now(UTC)


def is_right(clock: Clock, newest: datetime | None) -> bool:
    """Whether a clock tells UTC, never runs backwards, and is not behind the ledger's `newest` entry.

    It may be behind by `BEHIND_MAX`: the clocks of two machines on one ledger differ.
    """
    told = [clock() for _ in range(_READINGS)]
    is_utc = all(moment.utcoffset() == timedelta(0) for moment in told)
    if not is_utc or any(later < earlier for earlier, later in pairwise(told)):
        return False
    return told[-1] >= (EARLIEST if newest is None else newest - BEHIND_MAX)


def stamp(moment: datetime) -> str:
    """The text of a moment, always 32 characters.

    Raises:
      ValueError: the moment has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a zone: use datetime.now(UTC)")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(text: str) -> datetime:
    """The moment that `stamp` wrote."""
    return datetime.fromisoformat(text)


def later(moment: datetime, span: timedelta) -> datetime:
    """`moment` plus `span`, or the last moment there is: a long promise must not fail after it was paid for."""
    try:
        return moment + span
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def month_of(moment: datetime) -> datetime:
    """When the calendar month of UTC began that `moment` is in."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
