"""What people decided about their data, and what it comes to: a pure function of the set of their decisions.

The same under any order and any repetition. Strongest first: a known minor without an opt-in, a limit on sensitive
information, a refusal from any source, an opt-in, nothing said. A refusal beats every earlier opt-in; only a later
opt-in for that one purpose, confirmed in a second step, beats a refusal (11 CCR 7025(c)(3), 7028(a)). A signal that is
absent later says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from dpstats.rights.deadlines import day_of

ALL_SALE_SHARE = "all_sale_share"
"""A refusal of every sale and all sharing (1798.120), whatever the purpose's name."""
LIMIT_SPI = "limit_spi"
"""A limit on the use of sensitive personal information (1798.121); an opt-in of this name ends it."""
KNOWN_MINOR = "known_minor"
"""Known to be under 16: counted only for what was opted in to (1798.120(c), 11 CCR 7001(bbb))."""


class Decision(StrEnum):
    """What was decided. `withdraw` takes an opt-in back, as an opt-out does, or the mark of a known minor."""

    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"
    WITHDRAW = "withdraw"
    CONFIRM = "confirm"


REFUSING = frozenset({Decision.OPT_OUT, Decision.WITHDRAW})


@dataclass(frozen=True)
class Event:
    """One decision of one person, for a purpose of a dataset or for many at once.

    `event`: what tells it apart; `confirms`: the `event` of the opt-in that it confirms, empty for anything else.
    `until`: of the mark of a known minor, the day on which the person turns 16; None where it is not known.
    """

    dataset: str
    purpose: str
    decision: Decision
    observed_at: datetime
    event: str
    confirms: str = ""
    until: date | None = None


@dataclass(frozen=True)
class Use:
    """A purpose of a dataset; `sold`: it is sale or sharing, which `all_sale_share` refuses."""

    dataset: str
    purpose: str
    sold: bool


@dataclass(frozen=True)
class Standing:
    """Where one person stands towards one use: `said_yes`, an opt-in holds; `said_no`, a refusal does."""

    said_yes: bool = False
    said_no: bool = False


def standing(events: Iterable[Event], use: Use) -> Standing:
    """Where a person of these decisions stands towards a use.

    Refusals count for every dataset of the same people; an opt-in only for the dataset that it names.
    """
    known = frozenset(events)
    refused = _last_refusal(known, {use.purpose, *([ALL_SALE_SHARE] if use.sold else [])})
    said_yes = any(_holds(event, known, refused) for event in known if _opts_in(event, use))
    return Standing(said_yes, refused is not None and not said_yes)


def agreed_since(events: Iterable[Event], use: Use, first: date) -> bool:
    """Whether an opt-in of that day or later holds: one from before it was to something else."""
    known = frozenset(event for event in events if not _is_older(event, use, first))
    return standing(known, use).said_yes


def _is_older(event: Event, use: Use, first: date) -> bool:
    return _opts_in(event, use) and day_of(event.observed_at) < first


def is_limited(events: Iterable[Event], dataset: str) -> bool:
    """Whether the use of sensitive information is limited in a dataset.

    A limit ends as a refusal does: by the person's own later opt-in, which is for the dataset that it names, confirmed
    in a second step (11 CCR 7028(a)).
    """
    return standing(events, Use(dataset, LIMIT_SPI, sold=False)).said_no


def is_minor(events: Iterable[Event], on: date) -> bool:
    """Whether the person is known to be under 16 on a day: marked so, not unmarked later, and not 16 by then.

    A day on which the person turns 16 holds for the marks that came before it was told: one that comes later without a
    day, from a browser say, stands until it is taken back.
    """
    known = [event for event in events if event.purpose == KNOWN_MINOR]
    ended = max((event.observed_at for event in known if event.decision is Decision.WITHDRAW), default=None)
    marks = [each for each in known if each.decision is Decision.OPT_OUT and not (ended and ended > each.observed_at)]
    dated = max(((each.observed_at, each.until) for each in marks if each.until is not None), default=None)
    if dated is None:
        return bool(marks)
    told_at, turns_16_on = dated
    return on < turns_16_on or any(each.until is None and each.observed_at > told_at for each in marks)


def _opts_in(event: Event, use: Use) -> bool:
    return (event.dataset, event.purpose, event.decision) == (use.dataset, use.purpose, Decision.OPT_IN)


def _last_refusal(events: frozenset[Event], purposes: set[str]) -> datetime | None:
    refusals = (event for event in events if event.purpose in purposes and event.decision in REFUSING)
    return max((event.observed_at for event in refusals), default=None)


def _holds(opt_in: Event, events: frozenset[Event], refused: datetime | None) -> bool:
    """Whether an opt-in holds: at once where nothing was ever refused, else when it came later and was confirmed."""
    if refused is None:
        return True
    return opt_in.observed_at > refused and any(_confirms(event, opt_in) for event in events)


def _confirms(event: Event, opt_in: Event) -> bool:
    same = (event.dataset, event.purpose, event.confirms) == (opt_in.dataset, opt_in.purpose, opt_in.event)
    return event.decision is Decision.CONFIRM and same and event.observed_at >= opt_in.observed_at
