"""The burn-down as a drawing: what was left each day, and how it may go on. Pure: a spending in, coordinates out.

It is drawn here and not by Vega, because it is the page's first sight: a first Vega chart takes seconds of a process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from dpstats.workspace.budget_words import percent

_TOP, _BOTTOM, _LEFT, _RIGHT = 18, 28, 46, 10
_MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
_LABEL_APART = 52
"""Pixels between two labels of the axis of time."""


@dataclass(frozen=True)
class Mark:
    """Something at a place, with its label."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class BurnChart:
    """Coordinates in pixels. `cone` and `course` are empty where nothing is forecast."""

    width: int
    height: int
    line: str
    area: str
    cone: str
    course: str
    today: Mark
    end: Mark | None
    grants: tuple[Mark, ...]
    months: tuple[Mark, ...]
    levels: tuple[Mark, ...]

    @property
    def floor(self) -> int:
        """Where nothing is left."""
        return self.height - _BOTTOM

    @property
    def right(self) -> int:
        """Where time ends."""
        return self.width - _RIGHT


@dataclass(frozen=True)
class _Plane:
    """Days and shares as pixels."""

    width: int
    height: int
    first: date
    last: date
    whole: float

    def x(self, day: date) -> float:
        across = self.width - _LEFT - _RIGHT
        return round(_LEFT + across * (day - self.first).days / max(1, (self.last - self.first).days), 1)

    def y(self, left: float) -> float:
        return round(_TOP + (self.height - _TOP - _BOTTOM) * (1 - max(0.0, left) / self.whole), 1)


def burn_chart(spending: Mapping[str, Any], width: int, height: int) -> BurnChart:
    """The drawing of a spending, as `Spending.of` gives it, in a frame of so many pixels."""
    days = [(date.fromisoformat(item["day"]), item) for item in spending["burn_down"]]
    today, now = date.fromisoformat(spending["today"]), days[-1][1]
    ahead = {name: _day(spending["forecast"]["from_spending"][name]) for name in ("ends_on", "earliest", "latest")}
    first = min(days[0][0], today - timedelta(days=7))
    plane = _Plane(width, height, first, _last(first, today, ahead), now["granted"])
    left = now["remaining"]
    line = _steps(plane, days, today)
    end = ahead["ends_on"]
    in_sight = end is not None and end <= plane.last
    return BurnChart(
        width=width,
        height=height,
        line=line,
        area=f"{line}V{plane.y(0)}H{plane.x(days[0][0])}Z",
        cone=_cone(plane, today, left, ahead) if ahead["earliest"] else "",
        course=_course(plane, today, left, end) if end else "",
        today=Mark(plane.x(today), plane.y(left), f"{percent(left / now['granted'])} left"),
        end=Mark(plane.x(end), plane.y(0), "used up") if in_sight and end else None,
        grants=tuple(_grants(plane, days)),
        months=tuple(_months(plane)),
        levels=tuple(Mark(_LEFT, plane.y(now["granted"] * share), f"{share * 100:.0f} %") for share in (0.0, 0.5, 1.0)),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _last(first: date, today: date, ahead: Mapping[str, date | None]) -> date:
    """Up to the latest likely end, but never more than twice as far ahead as back."""
    furthest = today + max(timedelta(days=60), 2 * (today - first))
    ends = [day for day in (ahead["ends_on"], ahead["latest"]) if day is not None]
    wanted = max(ends) + timedelta(days=7) if ends else today + max(timedelta(days=14), (today - first) / 5)
    return min(wanted, furthest)


def _steps(plane: _Plane, days: list[tuple[date, Mapping[str, Any]]], today: date) -> str:
    start, *later = days
    parts = [f"M{plane.x(start[0])} {plane.y(start[1]['remaining'])}"]
    parts += [f"H{plane.x(day)}V{plane.y(item['remaining'])}" for day, item in later]
    return "".join(parts) + f"H{plane.x(today)}"


def _course(plane: _Plane, today: date, left: float, end: date) -> str:
    x, y = _edge(plane, today, left, end)
    return f"M{plane.x(today)} {plane.y(left)}L{x} {y}"


def _cone(plane: _Plane, today: date, left: float, ahead: Mapping[str, date | None]) -> str:
    """Between the fastest and the slowest likely course, cut off where the time shown ends."""
    low, high = _edge(plane, today, left, ahead["earliest"]), _edge(plane, today, left, ahead["latest"])
    corner = f"L{plane.x(plane.last)} {plane.y(0)}" if low[1] == plane.y(0) and high[0] == plane.x(plane.last) else ""
    return f"M{plane.x(today)} {plane.y(left)}L{low[0]} {low[1]}{corner}L{high[0]} {high[1]}Z"


def _edge(plane: _Plane, today: date, left: float, end: date | None) -> tuple[float, float]:
    """Where a course from today to its end leaves the drawing; one without an end stays level."""
    if end is None:
        return plane.x(plane.last), plane.y(left)
    if end <= plane.last:
        return plane.x(end), plane.y(0)
    gone = (plane.last - today).days / max(1, (end - today).days)
    return plane.x(plane.last), plane.y(left * (1 - gone))


def _grants(plane: _Plane, days: list[tuple[date, Mapping[str, Any]]]) -> Iterator[Mark]:
    """The days on which the budget was raised."""
    for (_, before), (day, item) in pairwise(days):
        if item["granted"] > before["granted"]:
            yield Mark(plane.x(day), plane.y(item["remaining"]), "raised")


def _months(plane: _Plane) -> Iterator[Mark]:
    """The first days of months, as many as have room; Januaries, and the first one, with their year."""
    day = (plane.first.replace(day=1) + timedelta(days=32)).replace(day=1)
    shown = -float("inf")
    while day <= plane.last:
        x = plane.x(day)
        if x - shown >= _LABEL_APART and x <= plane.width - _RIGHT - 12:
            name = _MONTH_NAMES[day.month - 1]
            yield Mark(x, plane.height - _BOTTOM, f"{name} {day.year}" if day.month == 1 else name)
            shown = x
        day = (day + timedelta(days=32)).replace(day=1)
