"""What is left of a budget, day by day, and until when it lasts. Pure: sums by day in, days out.

A forecast says what it takes for granted. From spending so far: that charges go on to come one by one, independently
of each other, as often and as large as of late. Their sum over the days looked at is then compound Poisson, its
variance the expected sum of the squared charges (Ross, Introduction to Probability Models, 5.4.2), which is estimated
from above by each cause's largest charge times its sum. From cadences: that every approved query is asked at its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from dpstats.ledger.chain import Kind
from dpstats.ledger.records import DaySum
from dpstats.privacy.loss import Loss

RECENT_DAYS = 90
"""Days that count as of late, today among them."""
FEWEST_DAYS = 7
"""Days from the first charge on before which nothing is forecast."""
HORIZON_DAYS = 20 * 365
"""Days past which a budget is only said to last longer."""
Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


class Part(StrEnum):
    """Which of a budget's two amounts is used up first."""

    AMOUNT = "amount"
    DELTA = "delta"


@dataclass(frozen=True)
class Left:
    """A budget at the end of a day (UTC): everything granted and everything charged by then, in steps."""

    day: date
    granted: int
    granted_delta: int
    charged: int
    charged_delta: int

    @property
    def remaining(self) -> int:
        """What of the amount is left."""
        return self.granted - self.charged


@dataclass(frozen=True)
class Pace:
    """What was charged from `since` on, over `days` days. `spread` is one standard deviation of each sum, in steps."""

    since: date
    days: int
    charges: int
    amount: int
    delta: int
    spread_amount: float
    spread_delta: float


@dataclass(frozen=True)
class Outlook:
    """The day on which a budget is used up, and the earliest and latest that are likely (95 %).

    None: not within `HORIZON_DAYS`. `first`: which amount is used up first.
    """

    first: Part
    ends_on: date | None
    earliest: date | None
    latest: date | None


def burn_down(sums: Iterable[DaySum]) -> tuple[Left, ...]:
    """The budget at the end of each day on which something was granted or charged, oldest first.

    Args:
      sums: oldest day first, as `Ledger.by_day` gives them.
    """
    found: list[Left] = []
    for item in sums:
        last = found[-1] if found else Left(item.day, 0, 0, 0, 0)
        if item.kind == Kind.GRANT:
            now = replace(
                last, day=item.day, granted=last.granted + item.amount, granted_delta=last.granted_delta + item.delta
            )
        else:
            now = replace(
                last, day=item.day, charged=last.charged + item.amount, charged_delta=last.charged_delta + item.delta
            )
        if found and last.day == item.day:
            found.pop()
        found.append(now)
    return tuple(found)


def pace(sums: Sequence[DaySum], today: date) -> Pace | None:
    """What was charged of late: in the last `RECENT_DAYS`, or since the first charge if that was later.

    Returns:
      None where there is too little to go by: no charge yet, or the first one less than `FEWEST_DAYS` ago.
    """
    charges = [item for item in sums if item.kind == Kind.CHARGE]
    if not charges or (today - charges[0].day).days + 1 < FEWEST_DAYS:
        return None
    since = max(charges[0].day, today - timedelta(days=RECENT_DAYS - 1))
    recent = [item for item in charges if item.day >= since]
    return Pace(
        since=since,
        days=(today - since).days + 1,
        charges=sum(item.entries for item in recent),
        amount=sum(item.amount for item in recent),
        delta=sum(item.delta for item in recent),
        spread_amount=math.sqrt(sum(item.most_amount * item.amount for item in recent)),
        spread_delta=math.sqrt(sum(item.most_delta * item.delta for item in recent)),
    )


def outlook_of_pace(found: Pace, remaining: Loss, today: date) -> Outlook:
    """Until when what is left lasts, if charges go on as they came of late."""
    parts = (
        (Part.AMOUNT, remaining.amount, found.amount, found.spread_amount),
        (Part.DELTA, remaining.delta, found.delta, found.spread_delta),
    )
    likely = {part: _days(left, Fraction(taken, found.days)) for part, left, taken, _ in parts}
    soon = [_days(left, _rate(taken + Z_95 * spread, found)) for _, left, taken, spread in parts]
    late = [_days(left, _rate(taken - Z_95 * spread, found)) for _, left, taken, spread in parts]
    first = min(likely, key=lambda part: likely[part])
    return Outlook(first, _day(today, likely[first]), _day(today, min(soon)), _day(today, min(late)))


def outlook_of_year(year: Loss, remaining: Loss, today: date) -> Outlook:
    """Until when what is left lasts, if a year takes `year`, spread evenly."""
    likely = {
        Part.AMOUNT: _days(remaining.amount, Fraction(year.amount, 365)),
        Part.DELTA: _days(remaining.delta, Fraction(year.delta, 365)),
    }
    first = min(likely, key=lambda part: likely[part])
    ends = _day(today, likely[first])
    return Outlook(first, ends, ends, ends)


def _rate(taken: float, found: Pace) -> Fraction:
    return Fraction(max(0.0, taken)) / found.days


def _days(left: int, a_day: Fraction) -> float:
    """Whole days that `left` lasts; infinite where nothing is taken, or past the horizon."""
    if a_day <= 0:
        return math.inf
    days = max(0, left) // a_day
    return days if days <= HORIZON_DAYS else math.inf


def _day(today: date, days: float) -> date | None:
    return None if math.isinf(days) else today + timedelta(days=int(days))
