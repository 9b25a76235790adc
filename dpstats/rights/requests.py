"""A rights request as the law walks it: which step may follow which, by when, and what a step must say.

    know, delete, correct   received -> confirmed -> verified -> executing -> fulfilled
    opt_out, limit          received -> executing -> fulfilled             (no identity is asked for: 7026(d), 7060(b))
    executing               -> partially_fulfilled, where something of it was refused, each piece with its reason
    executing (know)        what could be read is sent; the rest is to come, so the request stays open, with its clocks
    partially_fulfilled     what was kept back of a deletion may be seen, and ended; the request stays as it is
    from any open state     denied (with a reason of the list) | revoked | expired (the latest day is over)

A request is the fold of its steps, oldest first; nothing is ever taken back. `after` gives the request that follows, or
says why the step is out of order. Nothing here knows a clock, a database or a person: the caller says when.

Source: 11 CCR 7021, 7022, 7023, 7024, 7026, 7027, 7060 to 7063; outward words: Data Rights Protocol 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import IntEnum, StrEnum

from dpstats.errors import Conflict
from dpstats.rights.deadlines import Deadlines, answered_by, carried_out_by, day_of, extended


class Kind(StrEnum):
    """What a person asks for."""

    KNOW = "know"
    DELETE = "delete"
    CORRECT = "correct"
    OPT_OUT = "opt_out"
    LIMIT = "limit"


UNVERIFIED_KINDS = frozenset({Kind.OPT_OUT, Kind.LIMIT})
"""Asking who somebody is before an opt-out is itself a violation."""


class State(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    CONFIRMED = "confirmed"
    VERIFIED = "verified"
    EXECUTING = "executing"
    FULFILLED = "fulfilled"
    PARTIALLY_FULFILLED = "partially_fulfilled"
    DENIED = "denied"
    REVOKED = "revoked"
    EXPIRED = "expired"


COMPLIED = frozenset({State.FULFILLED, State.PARTIALLY_FULFILLED})
"""Complied with, in whole or in part (7102(a)(1))."""
CLOSED = COMPLIED | {State.DENIED, State.REVOKED, State.EXPIRED}


class Level(IntEnum):
    """How sure the caller is of who asks. dpstats proves no identity: this is what the caller asserts."""

    NONE = 0
    REASONABLE = 1
    """At least two data points match (7062(b))."""
    REASONABLY_HIGH = 2
    """At least three match, and a declaration is signed (7062(c))."""


LEVELS: Mapping[str, Level] = {
    "none": Level.NONE,
    "reasonable": Level.REASONABLE,
    "reasonably_high": Level.REASONABLY_HIGH,
    "high": Level.REASONABLY_HIGH,
}


def least_level(kind: Kind, *, sensitive: bool) -> Level:
    """How sure the caller must be before a request is carried out (7060, 7062).

    Nobody is asked who refuses. A request to know is answered at any level, by less (`RightsRequest.disclosure`).

    Args:
      sensitive: sensitive information is erased or corrected: to do so for somebody else harms more.
    """
    if kind in UNVERIFIED_KINDS or kind is Kind.KNOW:
        return Level.NONE
    return Level.REASONABLY_HIGH if sensitive else Level.REASONABLE


class Denial(StrEnum):
    """Why a request may be denied."""

    SUSPECTED_FRAUD = "suspected_fraud"
    INSUFFICIENT_VERIFICATION = "insufficient_verification"
    NO_MATCH = "no_match"
    NOT_COVERED = "not_covered"
    OUTSIDE_JURISDICTION = "outside_jurisdiction"
    TOO_MANY_REQUESTS = "too_many_requests"
    OTHER = "other"


EXCEPTIONS: Mapping[str, str] = {
    "1798.105(d)(1)": "to complete what you asked of us",
    "1798.105(d)(2)": "to keep things secure",
    "1798.105(d)(3)": "to repair errors",
    "1798.105(d)(4)": "for free speech, or another right that the law gives",
    "1798.105(d)(5)": "for a lawful order under the Electronic Communications Privacy Act",
    "1798.105(d)(6)": "for research in the public interest that you agreed to",
    "1798.105(d)(7)": "for uses within the business that you would expect",
    "1798.105(d)(8)": "because the law obliges us",
}
"""Why a business may keep something of what it was asked to delete, and what the person is told of it."""

WITHHOLDINGS: Mapping[str, str] = {
    "1798.145(a)": "because a law, a court or an inquiry keeps us from it",
    "1798.145(b)": "because it is privileged as evidence",
    "1798.145(k)": "because it would touch the rights of others",
}
"""Why a piece may be kept from who asks what is held, and what the person is told of it (7024(e)). The rest is told."""


def reasons_of(kind: Kind) -> Mapping[str, str]:
    """Why a part of a request may be refused; none for a kind that is carried out whole, or denied."""
    return {Kind.DELETE: EXCEPTIONS, Kind.KNOW: WITHHOLDINGS}.get(kind, {})


class Disclosure(StrEnum):
    """What a request to know may give, by how sure the caller is (7024(a), (b))."""

    POLICY_ONLY = "policy_only"
    CATEGORIES = "categories"
    SPECIFIC_PIECES = "specific_pieces"


@dataclass(frozen=True)
class Confirmed:
    """The person was told that the request arrived, how identity is verified, and when to expect an answer."""


@dataclass(frozen=True)
class Verified:
    """The caller asserts who the person is. `evidence` is a reference that stays with the caller."""

    level: Level
    method: str
    evidence: str = ""


@dataclass(frozen=True)
class Started:
    """The executor began. Asked again after a crash, it goes on.

    `exceptions`: what the business keeps of what it was asked to delete, here (`table.column`) or in other systems, or
    the pieces that it does not tell of what it was asked to know; and by which exception.
    """

    exceptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fulfilled:
    """The executor is done, and says what it did. Only an executor makes this step."""

    evidence: Mapping[str, object]


@dataclass(frozen=True)
class SentInPart:
    """What could be read for a request to know was sent, with the same evidence; something could not be read yet."""

    evidence: Mapping[str, object]


@dataclass(frozen=True)
class Extended:
    """45 more days, once; the person was told why inside the first 45."""

    reason: str


@dataclass(frozen=True)
class Denied:
    """Refused, with the reason of the list and a sentence for the person."""

    reason: Denial
    text: str


@dataclass(frozen=True)
class Revoked:
    """The person took the request back before it was carried out."""


@dataclass(frozen=True)
class KeptSeen:
    """Somebody read what was kept back of a deletion: these columns."""

    columns: Sequence[str]


@dataclass(frozen=True)
class KeptEnded:
    """What was kept back of these columns is gone, and why."""

    columns: Sequence[str]
    reason: str


Step = Confirmed | Verified | Started | Fulfilled | SentInPart | Extended | Denied | Revoked | KeptSeen | KeptEnded


@dataclass(frozen=True)
class RightsRequest:
    """A request as its steps so far leave it."""

    kind: Kind
    received_at: datetime
    deadlines: Deadlines
    state: State = State.RECEIVED
    confirmed_at: datetime | None = None
    level: Level = Level.NONE
    method: str = ""
    extended_because: str = ""
    responded_at: datetime | None = None
    denial: Denial | None = None
    denial_text: str = ""
    exceptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether something is still owed."""
        return self.state not in CLOSED

    @property
    def disclosure(self) -> Disclosure:
        """What a request to know gives: too low a level is answered with less, not with nothing."""
        return (Disclosure.POLICY_ONLY, Disclosure.CATEGORIES, Disclosure.SPECIFIC_PIECES)[self.level]

    @property
    def was_tried(self) -> bool:
        """Whether it is to know, and it was looked at who asks: answered even if that stayed open (7024(a), (b))."""
        return self.kind is Kind.KNOW and bool(self.method)

    @property
    def tells_the_notice_alone(self) -> bool:
        """Whether it is to know and ended without a word about the person, whom nobody could verify (7024(b))."""
        return self.kind is Kind.KNOW and self.state in COMPLIED and self.disclosure is Disclosure.POLICY_ONLY

    @property
    def is_complied(self) -> bool:
        """Whether it was complied with, in whole or in part, as a year's totals count it."""
        return self.state in COMPLIED and not self.tells_the_notice_alone

    @property
    def denied_because(self) -> Denial | None:
        """Why it was denied, as a year's totals count it; None if it was not."""
        return Denial.INSUFFICIENT_VERIFICATION if self.tells_the_notice_alone else self.denial

    @property
    def ended_at(self) -> date | None:
        """The day on which it was answered, or on which the time to answer was over; None while it is executed."""
        if self.responded_at is not None:
            return day_of(self.responded_at)
        return None if self.state is State.EXECUTING else self.deadlines.latest

    def stands_at(self, now: datetime) -> State:
        """The state as of `now`: an open request whose latest day is over has expired, whatever happened to it."""
        return State.EXPIRED if self.is_open and day_of(now) > self.deadlines.latest else self.state


def received(kind: Kind, at: datetime) -> RightsRequest:
    """A new request, with its dates."""
    dates = carried_out_by(at) if kind in UNVERIFIED_KINDS else answered_by(at)
    return RightsRequest(kind, at, dates)


def after(request: RightsRequest, step: Step, at: datetime) -> RightsRequest:
    """The request after one more step.

    Raises:
      Conflict: the step may not follow, comes too late, or does not say what it must.
    """
    if at < request.received_at:
        raise Conflict("a step cannot come before its request was received: check the clock")
    if isinstance(step, KeptSeen | KeptEnded):
        return _of_what_is_kept(request, is_ended=isinstance(step, KeptEnded))
    if not request.is_open:
        raise Conflict(f"the request is {request.state} already: open a new one")
    match step:
        case Confirmed():
            return _confirmed(request, at)
        case Verified():
            return _verified(request, step, at)
        case Started():
            return _started(request, step)
        case Fulfilled():
            return _fulfilled(request, at)
        case SentInPart():
            return _sent_in_part(request)
        case Extended():
            return _extended(request, step, at)
        case Denied():
            return _denied(request, step, at)
        case Revoked():
            return _revoked(request, at)


def _confirmed(request: RightsRequest, at: datetime) -> RightsRequest:
    if request.kind in UNVERIFIED_KINDS:
        raise Conflict(f"a request to {_words(request.kind)} is not confirmed: execute it")
    if request.state is not State.RECEIVED:
        raise Conflict(f"the request is {request.state}: its receipt was confirmed before")
    return replace(request, state=State.CONFIRMED, confirmed_at=at)


def _verified(request: RightsRequest, step: Verified, at: datetime) -> RightsRequest:
    """Who verifies was in touch with the person: receipt is confirmed by it, if it was not before."""
    if request.kind in UNVERIFIED_KINDS:
        raise Conflict(f"a request to {_words(request.kind)} needs no identity, and may not ask for one: execute it")
    if request.state not in {State.RECEIVED, State.CONFIRMED, State.VERIFIED}:
        raise Conflict(f"the request is {request.state}: verify before it is executed")
    if not step.method.strip():
        raise Conflict("a verification says by which method: for example `signed declaration`")
    state = State.VERIFIED if step.level > Level.NONE else State.CONFIRMED
    confirmed_at = request.confirmed_at or at
    return replace(request, state=state, confirmed_at=confirmed_at, level=step.level, method=step.method)


def _started(request: RightsRequest, step: Started) -> RightsRequest:
    """A request to know of somebody who could not be verified is answered all the same, by less (7024(a), (b))."""
    reasons = reasons_of(request.kind)
    if step.exceptions and not reasons:
        what = f"a request to {_words(request.kind)} has no exceptions"
        raise Conflict(f"{what}: those are of a deletion, or of a request to know")
    for what, code in step.exceptions.items():
        if code not in reasons or not what.strip():
            raise Conflict(f"an exception says what it is of and why: one of {', '.join(reasons)}")
    exceptions = {**request.exceptions, **step.exceptions}
    tried = request.was_tried and request.state is State.CONFIRMED
    if not tried and request.kind not in UNVERIFIED_KINDS and request.state not in {State.VERIFIED, State.EXECUTING}:
        raise Conflict(f"the request is {request.state}: verify who asks first, or deny it")
    return replace(request, state=State.EXECUTING, exceptions=exceptions)


def _fulfilled(request: RightsRequest, at: datetime) -> RightsRequest:
    """In full too where what is never disclosed is told to be held: so 11 CCR 7024(d) has it answered."""
    if request.state is not State.EXECUTING:
        raise Conflict(f"the request is {request.state}: only what is being executed can be fulfilled")
    state = State.PARTIALLY_FULFILLED if request.exceptions else State.FULFILLED
    return replace(request, state=state, responded_at=at)


def _sent_in_part(request: RightsRequest) -> RightsRequest:
    """It is not answered by a part: the dates by which it must be stand."""
    if request.kind is not Kind.KNOW or request.state is not State.EXECUTING:
        raise Conflict(f"no part is sent of a request to {_words(request.kind)} that is {request.state}")
    return request


def _extended(request: RightsRequest, step: Extended, at: datetime) -> RightsRequest:
    if request.kind in UNVERIFIED_KINDS:
        raise Conflict(f"a request to {_words(request.kind)} cannot be extended: execute it")
    if request.extended_because:
        raise Conflict("the request was extended before: there is one extension")
    if not step.reason.strip():
        raise Conflict("an extension says why, in the words that the person was told")
    if day_of(at) > request.deadlines.respond_due:
        raise Conflict(f"the answer was due on {request.deadlines.respond_due}: an extension comes before that")
    return replace(request, deadlines=extended(request.deadlines), extended_because=step.reason)


def _denied(request: RightsRequest, step: Denied, at: datetime) -> RightsRequest:
    """A correction that was begun ends so where its person was deleted since: of it nothing is left half done."""
    is_of_nobody = request.kind is Kind.CORRECT and step.reason is Denial.NO_MATCH
    if request.state is State.EXECUTING and not is_of_nobody:
        raise Conflict("the request is being executed: nothing is left half done, so it cannot be denied now")
    if step.reason is Denial.INSUFFICIENT_VERIFICATION and request.kind in UNVERIFIED_KINDS:
        raise Conflict(f"a request to {_words(request.kind)} cannot be denied for want of an identity")
    if not step.text.strip():
        raise Conflict("a denial tells the person why")
    return replace(request, state=State.DENIED, responded_at=at, denial=step.reason, denial_text=step.text)


def _revoked(request: RightsRequest, at: datetime) -> RightsRequest:
    if request.state is State.EXECUTING:
        raise Conflict("the request is being executed: nothing is left half done, so it cannot be taken back now")
    return replace(request, state=State.REVOKED, responded_at=at)


def _of_what_is_kept(request: RightsRequest, *, is_ended: bool) -> RightsRequest:
    """Once a deletion is being executed something may be kept back of it, for as long as the law wants it kept.

    It is not ended before the deletion is carried out: whoever goes on with it would keep it anew.
    """
    if is_ended and request.state is State.EXECUTING:
        raise Conflict("the deletion is being executed: execute it to its end first, then end what is kept of it")
    if request.kind is not Kind.DELETE or request.state not in {State.EXECUTING, State.PARTIALLY_FULFILLED}:
        raise Conflict(f"nothing is kept back of a request to {_words(request.kind)} that is {request.state}")
    return request


def _words(kind: Kind) -> str:
    return {Kind.OPT_OUT: "opt out", Kind.LIMIT: "limit sensitive information"}.get(kind, kind.value)


def outward(request: RightsRequest, now: datetime) -> Mapping[str, str]:
    """The request's status in the words of the Data Rights Protocol: `status`, and `reason` where it has one.

    The protocol has no word for one that was fulfilled in part: its `processing_details` say so.
    """
    state = request.stands_at(now)
    if state is State.DENIED and request.denial is not None:
        return {"status": "denied", "reason": request.denial.value}
    if state is State.CONFIRMED:
        return {"status": "in_progress", "reason": "need_user_verification"}
    if state is State.PARTIALLY_FULFILLED:
        parts = ", ".join(f"{what} ({code})" for what, code in request.exceptions.items())
        return {"status": "fulfilled", "processing_details": f"in part: all but {parts}"}
    words = {State.RECEIVED: "open", State.VERIFIED: "in_progress", State.EXECUTING: "in_progress"}
    return {"status": words.get(state, state.value)}


@dataclass(frozen=True)
class Alarm:
    """One clock that is near its end, or past it."""

    what: str
    due: date
    is_overdue: bool


def alarms(request: RightsRequest, now: datetime) -> tuple[Alarm, ...]:
    """The clocks of an open request that need somebody's attention today."""
    if not request.is_open:
        return ()
    today, dates, found = day_of(now), request.deadlines, []
    if request.state is State.RECEIVED and dates.confirm_due and dates.confirm_alarm and today >= dates.confirm_alarm:
        found.append(Alarm("confirm receipt", dates.confirm_due, today > dates.confirm_due))
    if today >= dates.respond_alarm:
        found.append(Alarm("answer", dates.respond_due, today > dates.respond_due))
    return tuple(found)
