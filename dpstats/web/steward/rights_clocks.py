"""A rights request's clocks in words, and what may be done with it next. Pure: the caller says when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dpstats.rights.requests import CLOSED, UNVERIFIED_KINDS
from dpstats.words import counted, short_day

ASKS = {
    "know": "to know what is held about them",
    "delete": "to delete what is held about them",
    "correct": "to correct what is held about them",
    "opt_out": "not to be sold or shared",
    "limit": "to limit the use of what is sensitive about them",
}
"""What a person asks for, after `Somebody asks`."""
STATES = {
    "received": "nobody told the person yet that it came",
    "confirmed": "who asks is not verified yet",
    "verified": "ready to be carried out",
    "executing": "begun and not finished: carry it out again",
    "fulfilled": "fulfilled",
    "partially_fulfilled": "fulfilled in part",
    "denied": "denied",
    "revoked": "taken back by the person",
    "expired": "its latest day is over and nothing was answered",
}
"""Where a request stands, as words."""


@dataclass(frozen=True)
class Clock:
    """The date of a request that comes next: what is due, when, how far away in words, and "", "low" or "out"."""

    what: str
    due: date
    away: str
    level: str


def is_open(request: Mapping[str, Any]) -> bool:
    """Whether something is still owed."""
    return request["state"] not in CLOSED


def clock(request: Mapping[str, Any], alarms: Iterable[Mapping[str, Any]], today: date) -> Clock | None:
    """The date of a request that comes next; None if nothing is owed any more.

    Args:
      request: as `Rights.one` tells it. alarms: its own, as `Rights.due` tells them. today: in Los Angeles.
    """
    if not is_open(request):
        return None
    first = request["state"] == "received" and request["confirm_due"]
    what, due = ("confirm", request["confirm_due"]) if first else ("answer", request["respond_due"])
    found = date.fromisoformat(due)
    level = "out" if found < today else "low" if any(alarm["due"] == due for alarm in alarms) else ""
    return Clock(what, found, away(found, today), level)


def away(due: date, today: date) -> str:
    """`today`, `in 3 days`, `1 day overdue`."""
    days = (due - today).days
    if days == 0:
        return "today"
    return f"in {counted(days, 'day')}" if days > 0 else f"{counted(-days, 'day')} overdue"


def day_words(day: date | str, today: date) -> str:
    """A date of the calendar, which is in no zone: `3 March`, with its year if that is not this one."""
    found = date.fromisoformat(day) if isinstance(day, str) else day
    return short_day(found, today)


def acts(request: Mapping[str, Any], today: date) -> tuple[str, ...]:
    """What may be done with a request, what comes next first. The request itself has the last word."""
    state, kind = request["state"], request["type"]
    if not is_open(request):
        return ()
    ends = () if state == "executing" else ("deny", "revoke")
    if kind in UNVERIFIED_KINDS:
        return ("execute", *ends)
    ways = {"received": ("confirm", "verify"), "confirmed": ("verify",), "verified": ("execute", "verify")}
    extend = () if request["extended"] or date.fromisoformat(request["respond_due"]) < today else ("extend",)
    return (*ways.get(state, ("execute",)), *extend, *ends)
