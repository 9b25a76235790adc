"""When a person who said no may be asked again: not for 12 months (1798.135(c)(4), 11 CCR 7026(k), 7027(l)).

A person's own opt-in is never in the way of this: it may come at any time. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dpstats.rights.decisions import REFUSING, Event


def next_ask(events: Iterable[Event], purposes: frozenset[str]) -> datetime | None:
    """From when on a person of these decisions may be asked about what `purposes` refuse; None: no refusal stands.

    Args:
      purposes: the names under which a refusal of it comes.
    """
    refused = [each.observed_at for each in events if each.purpose in purposes and each.decision in REFUSING]
    return a_year_after(max(refused)) if refused else None


def a_year_after(moment: datetime) -> datetime:
    """The same day a year later; of 29 February the day after 28 February."""
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:
        return moment.replace(year=moment.year + 1, month=3, day=1)
