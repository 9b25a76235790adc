"""Time blocks: disjoint slices of a table, each with a budget of its own. Pure calendar, in UTC.

What is claimed, for one lineage whose releases each charge every block that they read, and the static block where they
read a personal table without blocks (`plan/blocks.py` says which, `ledger/blocks.py` keeps the sums):

1. A unit whose rows lie in blocks S alone loses at most what the releases that charge any block of S cost together: at
   most the sum of their budgets, and never more than the dataset's. With S one block: that block's budget. Every other
   release is distributed alike with the unit and without it, since it reads none of its rows.
2. If a unit's rows in one block change in any way, every release that does not charge the block is distributed as
   before. One that charges it sees a unit replaced: it is as if the unit left and came again, so by group privacy for
   two the loss is at most 4 rho (2 epsilon for pure DP) of what the block was charged.

(1) needs that a release reads rows of the blocks that it charges and of no other. (2) needs more: that which rows of
one block are read depends on no row of another, though they are of the same unit. `engine/bound.py` and
`plan/blocks.py` show both. Source: add/remove DP with parallel composition (McSherry 2009, Thm. 4), a budget for each
block (Lecuyer et al. 2019, block composition), group privacy of zCDP (Bun and Steinke 2016, Prop. 1.9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

STATIC = "static"
"""The name of the block of everything personal that has no time."""


class Grain(StrEnum):
    """How long a block is. Its blocks' names sort as time goes, for the years 1 to 9999."""

    DAY = "day"
    WEEK = "week"
    """From Monday, named by ISO 8601's year and week, which is not always the calendar's year."""
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    def start(self, day: date) -> date:
        """The first day of the block that `day` is in."""
        match self:
            case Grain.DAY:
                return day
            case Grain.WEEK:
                return day - timedelta(days=day.weekday())
            case Grain.MONTH:
                return day.replace(day=1)
            case Grain.QUARTER:
                return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
            case Grain.YEAR:
                return day.replace(month=1, day=1)

    def after(self, day: date) -> date:
        """The first day after the block that `day` is in.

        Raises:
          OverflowError, ValueError: it is past the year 9999.
        """
        start = self.start(day)
        longest = {Grain.DAY: 1, Grain.WEEK: 7, Grain.MONTH: 31, Grain.QUARTER: 92, Grain.YEAR: 366}
        return self.start(start + timedelta(days=longest[self]))

    def before(self, day: date, blocks: int) -> date:
        """The first day of the block so many blocks before the one that `day` is in, or the first day there is."""
        for _ in range(blocks):
            if self.start(day) == date.min:
                break
            day = self.start(day) - timedelta(days=1)
        return self.start(day)

    def block_of(self, day: date) -> str:
        """The name of the block that `day` is in: 2017-03-05, 2017-W09, 2017-03, 2017-Q1 or 2017."""
        match self:
            case Grain.DAY:
                return day.isoformat()
            case Grain.WEEK:
                year, week, _ = day.isocalendar()
                return f"{year:04d}-W{week:02d}"
            case Grain.MONTH:
                return f"{day.year:04d}-{day.month:02d}"
            case Grain.QUARTER:
                return f"{day.year:04d}-Q{(day.month + 2) // 3}"
            case Grain.YEAR:
                return f"{day.year:04d}"

    def first_day(self, name: str) -> date:
        """The first day of the block of this name.

        Raises:
          ValueError: no block of this grain is called so.
        """
        if not _FORMS[self].fullmatch(name):
            raise ValueError(f"{name} is not the name of a {self}")
        match self:
            case Grain.DAY:
                return date.fromisoformat(name)
            case Grain.WEEK:
                return date.fromisocalendar(int(name[:4]), int(name[6:]), 1)
            case Grain.MONTH:
                return date(int(name[:4]), int(name[5:]), 1)
            case Grain.QUARTER:
                return date(int(name[:4]), 3 * int(name[6:]) - 2, 1)
            case Grain.YEAR:
                return date(int(name), 1, 1)

    def names(self, first: str, last: str) -> Iterator[str]:
        """The names of the blocks from `first` to `last`, both among them."""
        day, end = self.first_day(first), self.first_day(last)
        while day <= end:
            yield self.block_of(day)
            if day == end:
                return
            day = self.after(day)


_FORMS = {
    Grain.DAY: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    Grain.WEEK: re.compile(r"[0-9]{4}-W[0-9]{2}"),
    Grain.MONTH: re.compile(r"[0-9]{4}-[0-9]{2}"),
    Grain.QUARTER: re.compile(r"[0-9]{4}-Q[1-4]"),
    Grain.YEAR: re.compile(r"[0-9]{4}"),
}


@dataclass(frozen=True)
class Touched:
    """The blocks that a release reads, by name: from `first` to `last`, and the static one if `static`.

    `first` None: every block up to `last`, however early. `last` None: no block of time.

    Raises:
      ValueError: it touches nothing, or a span without an end or the wrong way round.
    """

    first: str | None
    last: str | None
    static: bool

    def __post_init__(self) -> None:
        if self.last is None and (self.first is not None or not self.static):
            raise ValueError("a release over personal data touches some block, and a span of blocks has an end")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError("a span of blocks does not end before it starts")

    @property
    def open_start(self) -> bool:
        """Whether it goes back to the beginning of time."""
        return self.last is not None and self.first is None

    def has(self, block: str) -> bool:
        """Whether a block, by its name, is among them."""
        if block == STATIC:
            return self.static
        return self.last is not None and (self.first or "") <= block <= self.last

    def in_words(self) -> str:
        """`2017-03 to 2017-05 and static`."""
        parts = []
        if self.last is not None:
            spans = f"{self.first} to {self.last}" if self.first else f"every block up to {self.last}"
            parts.append(self.last if self.first == self.last else spans)
        return " and ".join(parts + [STATIC] * self.static)


def every_block_up_to(grain: Grain, day: date, *, static: bool) -> Touched:
    """Every block that there is on `day`."""
    return Touched(None, grain.block_of(day), static)


def touched_by(grain: Grain, since: date, until: date, *, static: bool) -> Touched:
    """The blocks that the half-open span from `since` to before `until` touches.

    Raises:
      ValueError: `since` is not before `until`.
    """
    if since >= until:
        raise ValueError(f"{since} is not before {until}")
    return Touched(grain.block_of(since), grain.block_of(until - timedelta(days=1)), static)
