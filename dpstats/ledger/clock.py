"""Moments as the ledger writes them: UTC, ISO-8601 with zone, microseconds, so that text order is time order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Says what time it is, with a zone."""


def utc_now() -> datetime:
    """The system's time in UTC."""
    return datetime.now(UTC)


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
