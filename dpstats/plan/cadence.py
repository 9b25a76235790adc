"""How many charges a year brings: of a query asked at its stated cadence, of a feature view renewed at its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dpstats.catalog.query import Cadence
from dpstats.privacy.blocks import Grain


@dataclass(frozen=True)
class _Rhythm:
    """At most so many askings a year, at most so far apart: both are the larger number, so that nothing is left out."""

    askings: int
    apart: timedelta


_RHYTHMS: dict[Cadence, _Rhythm] = {
    "daily": _Rhythm(366, timedelta(days=1)),
    "weekly": _Rhythm(53, timedelta(days=7)),
    "monthly": _Rhythm(12, timedelta(days=31)),
    "quarterly": _Rhythm(4, timedelta(days=92)),
}


_BLOCKS: dict[Grain, int] = {Grain.DAY: 366, Grain.WEEK: 53, Grain.MONTH: 12, Grain.QUARTER: 4, Grain.YEAR: 1}
_LONGEST_YEAR = timedelta(days=366)


def renewals_a_year(every: timedelta) -> int:
    """Renewals of what is renewed once `every` has passed, the first of them at the year's start; at least 1."""
    return -(-_LONGEST_YEAR // every)


def blocks_a_year(grain: Grain) -> int:
    """Blocks that end in a year, at most."""
    return _BLOCKS[grain]


def charges_a_year(cadence: Cadence | None, fresh_for: timedelta) -> int:
    """Releases that are paid for in a year; an asking while the last release is fresh is free.

    Args:
      cadence: how often it is asked, always with the same parameters. "once" and None are one asking.
      fresh_for: how long a release is given again for free, >= 0.

    Returns:
      At least 1. Of askings `apart` from each other, one in ceil(fresh_for / apart) is paid for, the first among them.
    """
    if cadence is None or cadence == "once":
        return 1
    rhythm = _RHYTHMS[cadence]
    every = max(1, -(-fresh_for // rhythm.apart))
    return -(-rhythm.askings // every)
