"""Rights requests as they are kept: steps that are appended and chained, and the id of the person until it is answered.

A request's steps name its person by a keyed hash alone. The id itself is needed to carry the request out; it stands in
a row of its own, which goes when the request is closed. 24 months after it was closed (11 CCR 7101) a request's
content goes too. What stays is a hash of it with a salt that went along, so that the chain of the others verifies.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, Table, Text, delete, insert, select, update

from dpstats.errors import LedgerBroken, NotFound
from dpstats.ledger.chain import canonical_json, sha256
from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata
from dpstats.rights.deadlines import day_of
from dpstats.rights.requests import (
    CLOSED,
    Confirmed,
    Denial,
    Denied,
    Extended,
    Fulfilled,
    KeptEnded,
    KeptSeen,
    Kind,
    Level,
    Revoked,
    RightsRequest,
    SentInPart,
    Started,
    State,
    Step,
    Verified,
    after,
    received,
)

FREE_TO_KNOW = 2
"""Requests to know that a person may make within `COUNTED_FOR` (1798.130(b))."""
COUNTED_FOR = timedelta(days=365)
TOO_MANY = "Two requests to know were answered, or are being answered, within the last 12 months."
_UNANSWERED = frozenset({State.DENIED, State.REVOKED, State.EXPIRED})
KEPT_FOR = timedelta(days=2 * 366)
"""How long a closed request is kept: at least 24 months."""
GENESIS = sha256(canonical_json({"chain": "dpstats-rights-1"}))
_RECEIVED = "received"
_STEPS: Mapping[str, type[Step]] = {
    "confirmed": Confirmed,
    "verified": Verified,
    "started": Started,
    "fulfilled": Fulfilled,
    "sent_in_part": SentInPart,
    "extended": Extended,
    "denied": Denied,
    "revoked": Revoked,
    "kept_seen": KeptSeen,
    "kept_ended": KeptEnded,
}
_NAMES = {step: name for name, step in _STEPS.items()}

steps = Table(
    "rights_steps",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("request", Text),
    Column("content", Text),
    Column("content_hash", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("rights_steps_request", "request"),
    sqlite_autoincrement=True,
)
people = Table(
    "rights_people",
    metadata,
    Column("request", Text, primary_key=True),
    Column("unit", Text, nullable=False),
)


@dataclass(frozen=True)
class Asked:
    """What a request says when it comes. `unit` is a pseudonym. `agent`: who asks for the person, empty for itself."""

    kind: Kind
    dataset: str
    lineage: str
    unit: str
    channel: str = "operator"
    agent: str = ""
    permission: str = ""
    waived: bool = False
    """Answered though it is the third to know within 12 months."""


@dataclass(frozen=True)
class Kept:
    """A request as it stands. `person`: the raw id, None once it is closed. `evidence`: what carrying it out showed."""

    request_id: str
    asked: Asked
    standing: RightsRequest
    person: str | None
    evidence: Mapping[str, object]


class RequestLog:
    """The rights requests of one workspace."""

    def __init__(self, database: ConsentDatabase) -> None:
        self._database = database

    def open(self, asked: Asked, person: str, *, actor: str, now: datetime) -> Kept:
        """Keeps a new request.

        A third to know within 12 months is denied at once (1798.130(b)), unless it is waived; whether the person is
        known decides nothing.
        """
        request_id = f"rr_{secrets.token_hex(8)}"
        with self._database.writing() as connection:
            _append(connection, request_id, _Said(_RECEIVED, asdict(asked), stamp(now), actor))
            if not asked.waived and _asked_before(connection, asked, now) >= FREE_TO_KNOW:
                denied = Denied(Denial.TOO_MANY_REQUESTS, TOO_MANY)
                _append(connection, request_id, _Said(_NAMES[Denied], asdict(denied), stamp(now), actor))
            else:
                connection.execute(insert(people).values(request=request_id, unit=person))
            return _kept(connection, request_id)

    def step(
        self,
        request_id: str,
        step: Step,
        *,
        actor: str,
        now: datetime,
        also: Callable[[Connection], None] | None = None,
    ) -> Kept:
        """Keeps one more step of a request; when it closes it, the person's id goes.

        Args:
          also: what is removed in the same transaction.

        Raises:
          NotFound: there is no such request. Conflict: the step may not follow.
        """
        with self._database.writing() as connection:
            standing = after(_kept(connection, request_id).standing, step, now)
            _append(connection, request_id, _Said(_NAMES[type(step)], asdict(step), stamp(now), actor))
            if standing.state in CLOSED:
                connection.execute(delete(people).where(people.c.request == request_id))
            if also is not None:
                also(connection)
            kept = _kept(connection, request_id)
        if standing.state in CLOSED or also is not None:
            self._database.empty_log()
        return kept

    def get(self, request_id: str) -> Kept:
        """A request.

        Raises:
          NotFound: there is no such request, or it was purged.
        """
        with self._database.reading() as connection:
            return _kept(connection, request_id)

    def all(self) -> tuple[Kept, ...]:
        """Every request that is kept, in the order in which they came."""
        with self._database.reading() as connection:
            return tuple(_kept(connection, request_id) for request_id in _known(connection))

    def history(self, request_id: str) -> tuple[Mapping[str, str], ...]:
        """The steps of a request: what, when, by whom, and in `said` what was noted of it (11 CCR 7101(b)).

        Raises:
          NotFound: there is no such request, or it was purged.
        """
        with self._database.reading() as connection:
            found = _said(connection, request_id)
        return tuple(
            {"step": said.step, "at": said.at, "actor": said.actor, "said": "; ".join(_noted(said))} for said in found
        )

    def verify(self) -> int:
        """Checks the chain; gives the number of steps in it.

        Raises:
          LedgerBroken: a step was changed, removed or inserted.
        """
        with self._database.reading() as connection:
            rows = connection.execute(select(steps).order_by(steps.c.seq)).mappings().all()
        last = GENESIS
        for row in rows:
            whole = row["content"] is None or sha256(row["content"]) == row["content_hash"]
            if not whole or row["prev_hash"] != last or row["hash"] != _chained(last, row["content_hash"]):
                raise LedgerBroken(
                    "the log of rights requests does not verify: a step was changed, removed or inserted; a backup has "
                    "it as it was"
                )
            last = row["hash"]
        return len(rows)

    def let_go(self, now: datetime) -> int:
        """Removes the ids of people whose requests expired; gives how many went. One that is executed keeps its own.

        What stays of such a request is the keyed hash.
        """
        with self._database.writing() as connection:
            held = connection.execute(select(people.c.request)).scalars().all()
            over = [name for name in held if _has_expired(_kept(connection, name).standing, now)]
            for name in over:
                connection.execute(delete(people).where(people.c.request == name))
        if over:
            self._database.empty_log()
        return len(over)

    def purge(self, now: datetime, held: Collection[str] = ()) -> int:
        """Takes out the content of requests that were closed, or expired, `KEPT_FOR` ago; gives how many went.

        Args:
          held: requests that stay all the same, since something is kept back of them.
        """
        with self._database.writing() as connection:
            known = (name for name in _known(connection) if name not in held)
            old = [name for name in known if _is_over(_kept(connection, name).standing, now)]
            for name in old:
                connection.execute(update(steps).where(steps.c.request == name).values(request=None, content=None))
        if old:
            self._database.empty_log()
        return len(old)


@dataclass(frozen=True)
class _Said:
    """One step as it is written. `salt`: so that a hash that stays tells nothing of a content that went."""

    step: str
    body: Mapping[str, Any]
    at: str
    actor: str
    salt: str = ""


def _noted(said: _Said) -> Iterator[str]:
    """What a step says beside that it was made: whose agent asked, how it was verified, why it was denied ..

    The person's keyed hash and the evidence are told elsewhere, or not at all.
    """
    if said.step == _RECEIVED:
        yield from ([f"by an agent: {said.body['agent']}"] if said.body["agent"] else [])
        yield from ([f"permission: {said.body['permission']}"] if said.body["permission"] else [])
        return
    match _step(said):
        case Verified(level, method):
            yield f"{level.name.lower()}: {method}"
        case Extended(reason):
            yield reason
        case Denied(_, text):
            yield text
        case Started(exceptions):
            yield from (f"all but {what} ({code})" for what, code in exceptions.items())
        case KeptSeen(columns):
            yield ", ".join(columns)
        case KeptEnded(columns, reason):
            yield f"{', '.join(columns)}: {reason}"


def _is_over(standing: RightsRequest, now: datetime) -> bool:
    return standing.ended_at is not None and day_of(now) - standing.ended_at > KEPT_FOR


def _has_expired(standing: RightsRequest, now: datetime) -> bool:
    return standing.state is not State.EXECUTING and standing.stands_at(now) is State.EXPIRED


def _asked_before(connection: Connection, asked: Asked, now: datetime) -> int:
    """How many requests to know of the same person, of the last 12 months, were answered or may be yet."""
    if asked.kind is not Kind.KNOW:
        return 0
    earlier = (_kept(connection, name) for name in _known(connection)[:-1])
    return sum(
        (each.asked.kind, each.asked.lineage, each.asked.unit) == (asked.kind, asked.lineage, asked.unit)
        and now - each.standing.received_at < COUNTED_FOR
        and each.standing.stands_at(now) not in _UNANSWERED
        and not each.standing.tells_the_notice_alone
        for each in earlier
    )


def _known(connection: Connection) -> Sequence[str]:
    """The requests that are kept, in the order in which they came."""
    query = select(steps.c.request).where(steps.c.request.is_not(None)).order_by(steps.c.seq)
    return tuple(dict.fromkeys(connection.execute(query).scalars()))


def _append(connection: Connection, request_id: str, said: _Said) -> None:
    last = connection.execute(select(steps.c.hash).order_by(steps.c.seq.desc()).limit(1)).scalar() or GENESIS
    content = canonical_json(asdict(said) | {"salt": secrets.token_hex(16)})
    row = {"request": request_id, "content": content, "content_hash": sha256(content), "prev_hash": last}
    connection.execute(insert(steps).values(**row, hash=_chained(last, row["content_hash"])))


def _chained(last: str, content_hash: str) -> str:
    return sha256(canonical_json([last, content_hash]))


def _said(connection: Connection, request_id: str) -> list[_Said]:
    query = select(steps.c.content).where(steps.c.request == request_id).order_by(steps.c.seq)
    found = [_Said(**json.loads(content)) for content in connection.execute(query).scalars()]
    if not found:
        raise NotFound("rights request", request_id)
    return found


def _kept(connection: Connection, request_id: str) -> Kept:
    first, *later = _said(connection, request_id)
    asked = Asked(**dict(first.body) | {"kind": Kind(first.body["kind"])})
    standing = received(asked.kind, moment_of(first.at))
    evidence: Mapping[str, object] = {}
    for said in later:
        step = _step(said)
        standing = after(standing, step, moment_of(said.at))
        evidence = step.evidence if isinstance(step, Fulfilled | SentInPart) else evidence
    person = connection.execute(select(people.c.unit).where(people.c.request == request_id)).scalar()
    return Kept(request_id, asked, standing, person, evidence)


def _step(said: _Said) -> Step:
    body = dict(said.body)
    if said.step == "verified":
        body["level"] = Level(body["level"])
    if said.step == "denied":
        body["reason"] = Denial(body["reason"])
    return _STEPS[said.step](**body)
