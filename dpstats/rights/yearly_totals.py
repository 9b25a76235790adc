"""A year of rights requests in numbers, as a business of many people must publish them. Pure; of nobody in particular.

Source: 11 CCR 7102(a)(1): received, complied with in whole or in part, denied; the median or mean days to an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean, median

from dpstats.rights.deadlines import day_of
from dpstats.rights.requests import COMPLIED, Denial, Kind, RightsRequest, State


def totals(requests: Iterable[RightsRequest], year: int) -> Mapping[str, Mapping[str, object]]:
    """The totals of each type of request that was received in a year, by days in Los Angeles.

    `open`: neither complied with, denied nor taken back by now. Who could not be verified, and was told of the notice
    alone, was denied. Days are those from receipt to the answer, of what was
    complied with or denied; None where there was none.
    """
    there = [request for request in requests if day_of(request.received_at).year == year]
    return {str(kind): _of([request for request in there if request.kind is kind]) for kind in Kind}


def _of(requests: list[RightsRequest]) -> Mapping[str, object]:
    states = [request.state for request in requests]
    answered = [request for request in requests if request.state in COMPLIED | {State.DENIED}]
    days = [
        (day_of(request.responded_at) - day_of(request.received_at)).days
        for request in answered
        if request.responded_at is not None
    ]
    reasons = [request.denied_because for request in requests if request.denied_because is not None]
    return {
        "received": len(requests),
        "complied": sum(request.is_complied for request in requests),
        "denied": len(reasons),
        "denied_because": {str(reason): reasons.count(reason) for reason in Denial if reason in reasons},
        "taken_back": states.count(State.REVOKED),
        "open": sum(request.is_open for request in requests),
        "median_days": median(days) if days else None,
        "mean_days": round(fmean(days), 1) if days else None,
    }
