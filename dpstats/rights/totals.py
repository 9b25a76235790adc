"""How many requests of each kind came in a year, what became of them, and how long it took (11 CCR 7102). Pure.

The numbers are exact and outside differential privacy: they count requests, not people in the data. The public is told
them of years that are over alone, and by their order of magnitude, so that nobody can watch one request come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from dpstats.rights.deadlines import CALIFORNIA
from dpstats.rights.requests import Kind, RightsRequest, State

OUTSIDE = (
    "These are rounded totals of requests by year, of years that are over. They count requests, not people in the "
    "data, and are outside the guarantee of differential privacy that protects every answer."
)
_STEPS = ((0, "none"), (9, "fewer than 10"), (99, "10 to 99"), (999, "100 to 999"), (9_999, "1,000 to 9,999"))


@dataclass(frozen=True)
class Total:
    """The requests of one kind that came in one year, in Los Angeles; `median_days` None where none was answered."""

    year: int
    kind: Kind
    received: int
    complied: int
    denied: int
    median_days: float | None


def totals(requests: Iterable[RightsRequest]) -> tuple[Total, ...]:
    """The totals of every year and kind in which there was a request, oldest first."""
    found: dict[tuple[int, Kind], list[RightsRequest]] = {}
    for request in requests:
        found.setdefault((year_of(request.received_at), request.kind), []).append(request)
    return tuple(_total(year, kind, found[year, kind]) for year, kind in sorted(found))


def year_of(moment: datetime) -> int:
    """The year that a moment is in, in California."""
    return moment.astimezone(CALIFORNIA).year


def rounded(count: int) -> str:
    """A number's order of magnitude, for the public."""
    return next((told for most, told in _STEPS if count <= most), "10,000 or more")


def _total(year: int, kind: Kind, requests: list[RightsRequest]) -> Total:
    days = [(r.responded_at - r.received_at).days for r in requests if r.responded_at and r.state is not State.REVOKED]
    return Total(
        year,
        kind,
        len(requests),
        sum(r.is_complied for r in requests),
        sum(r.denied_because is not None for r in requests),
        float(median(days)) if days else None,
    )
