"""Entries in the database: reading them, adding them up. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, or_, select

from dpstats.errors import NotFound
from dpstats.ledger import schema
from dpstats.ledger.blocks import read_terms, recorded
from dpstats.ledger.chain import Entry, Kind
from dpstats.ledger.clock import moment_of, stamp
from dpstats.ledger.prepared import Prepared, Row
from dpstats.ledger.records import BudgetState, ChargeRequest, DaySum, LineageTerms, Which
from dpstats.privacy.loss import Loss, Measure

_ENTRIES = schema.entries.c

# Made once: making a statement takes longer than SQLite takes to carry it out.
_TERMS = Prepared(select(schema.lineages).where(schema.lineages.c.lineage == bindparam("lineage")))
_LOCK = select(schema.lineages.c.lineage).where(schema.lineages.c.lineage == bindparam("lineage")).with_for_update()
_CHAIN = select(schema.entries).where(_ENTRIES.lineage == bindparam("lineage"))
_NEWEST = Prepared(_CHAIN.order_by(_ENTRIES.seq.desc()).limit(1))
_AT = Prepared(_CHAIN.where(_ENTRIES.seq == bindparam("seq")))
_COUNT = (
    select(func.count())
    .select_from(schema.entries)
    .where(_ENTRIES.lineage == bindparam("lineage"), _ENTRIES.seq > bindparam("after"))
)
_OF_RELEASE = Prepared(
    select(schema.entries).where(_ENTRIES.release_id == bindparam("release_id"), _ENTRIES.kind == Kind.CHARGE)
)
_STORED = select(schema.releases.c.release_id).where(schema.releases.c.release_id == _ENTRIES.release_id)
_WITHDRAWN = select(schema.withdrawals.c.release_id).where(schema.withdrawals.c.release_id == _ENTRIES.release_id)
_UNFINISHED = _CHAIN.where(
    _ENTRIES.query_version == bindparam("query_version"),
    _ENTRIES.parameters == bindparam("parameters"),
    _ENTRIES.kind == Kind.CHARGE,
    ~_STORED.exists(),
    ~_WITHDRAWN.exists(),
).order_by(_ENTRIES.seq.desc())


@dataclass(frozen=True)
class Sums:
    """A lineage's entries added up: how many there are, and steps granted and charged."""

    count: int
    granted_amount: int = 0
    granted_delta: int = 0
    granted_epsilon: int = 0
    charged_amount: int = 0
    charged_delta: int = 0

    def plus(self, entry: Entry) -> Sums:
        """With one entry more."""
        grant = entry.kind == Kind.GRANT
        return Sums(
            self.count + 1,
            self.granted_amount + (entry.amount if grant else 0),
            self.granted_delta + (entry.delta if grant else 0),
            self.granted_epsilon + (entry.epsilon if grant else 0),
            self.charged_amount + (0 if grant else entry.amount),
            self.charged_delta + (0 if grant else entry.delta),
        )

    @property
    def overspent(self) -> bool:
        """Whether more was charged than granted, which no ledger that is in order can say."""
        return self.charged_amount > self.granted_amount or self.charged_delta > self.granted_delta

    def budget(self, measure: Measure) -> BudgetState:
        """The budget that these sums amount to."""
        cap = Loss(measure, self.granted_amount, self.granted_delta)
        spent = Loss(measure, self.charged_amount, self.charged_delta)
        return BudgetState(measure, cap, self.granted_epsilon, spent)


def terms(connection: Connection, lineage: str) -> LineageTerms | None:
    """What is fixed for the lineage, None if it is not known."""
    row = _TERMS.one(connection, lineage=lineage)
    if row is None:
        return None
    return LineageTerms(
        row["lineage"],
        Measure(row["measure"]),
        row["conversion_delta"],
        row["privacy_unit"],
        moment_of(row["created_at"]),
        read_terms(row["blocks"], Measure(row["measure"])),
    )


def known_terms(connection: Connection, lineage: str) -> LineageTerms:
    """What is fixed for the lineage.

    Raises:
      NotFound: it was never opened.
    """
    found = terms(connection, lineage)
    if found is None:
        raise NotFound("lineage", lineage)
    return found


def newest(connection: Connection, lineage: str) -> Entry | None:
    """The lineage's last entry."""
    return _entry(_NEWEST.one(connection, lineage=lineage))


def at(connection: Connection, lineage: str, seq: int) -> Entry | None:
    """The lineage's `seq`-th entry."""
    return _entry(_AT.one(connection, lineage=lineage, seq=seq))


def of_release(connection: Connection, release_id: str) -> Entry | None:
    """The charge that the release was made under."""
    return _entry(_OF_RELEASE.one(connection, release_id=release_id))


def holds(connection: Connection, entry: object) -> bool:
    """Whether it is an entry that stands in its place in the ledger."""
    return isinstance(entry, Entry) and at(connection, entry.lineage, entry.seq) == entry


def lock(connection: Connection, lineage: str) -> None:
    """Locks the lineage's row until the transaction ends, where the database locks rows.

    Writers are alone already; this holds off whoever writes to the lineage without taking the writers' lock.
    """
    if connection.dialect.name != "sqlite":  # it locks no rows
        connection.execute(_LOCK, {"lineage": lineage})


def page(
    connection: Connection, lineage: str, after: int, limit: int, datasets: tuple[str, ...] = ()
) -> tuple[Entry, ...]:
    """Up to `limit` entries with a seq above `after`, oldest first; of charges those of `datasets`, empty for all."""
    query = _of_lineage(lineage).where(_ENTRIES.seq > after).order_by(_ENTRIES.seq).limit(limit)
    if datasets:
        query = query.where(or_(_ENTRIES.kind == Kind.GRANT, _ENTRIES.dataset.in_(datasets)))
    return tuple(_read(connection, query))


def latest(connection: Connection, lineage: str, which: Which, limit: int) -> tuple[Entry, ...]:
    """Up to `limit` entries of those that are asked for, newest first."""
    query = _of_lineage(lineage).order_by(_ENTRIES.seq.desc()).limit(limit)
    if which.before:
        query = query.where(_ENTRIES.seq < which.before)
    if which.datasets:
        query = query.where(or_(_ENTRIES.kind == Kind.GRANT, _ENTRIES.dataset.in_(which.datasets)))
    for column, value in ((_ENTRIES.kind, which.kind), (_ENTRIES.actor, which.actor), (_ENTRIES.query, which.query)):
        if value:
            query = query.where(column == value)
    return tuple(_read(connection, query))


def stream(connection: Connection, lineage: str) -> Iterator[Entry]:
    """Every entry of the lineage, oldest first, never many in memory."""
    query = _of_lineage(lineage).order_by(_ENTRIES.seq)
    return _read(connection, query.execution_options(yield_per=1000))


def sums(connection: Connection, lineage: str) -> Sums:
    """The lineage's entries added up."""
    columns = (_ENTRIES.amount, _ENTRIES.delta, _ENTRIES.epsilon)
    query = (
        select(_ENTRIES.kind, func.count(), *(func.sum(column) for column in columns))
        .where(_ENTRIES.lineage == lineage)
        .group_by(_ENTRIES.kind)
    )
    of = {kind: [int(value) for value in values] for kind, *values in connection.execute(query)}
    granted, charged = of.get(Kind.GRANT, [0] * 4), of.get(Kind.CHARGE, [0] * 4)
    return Sums(granted[0] + charged[0], granted[1], granted[2], granted[3], charged[1], charged[2])


def count(connection: Connection, lineage: str, after: int = 0) -> int:
    """How many entries the lineage has with a seq above `after`."""
    return int(connection.execute(_COUNT, {"lineage": lineage, "after": after}).scalar() or 0)


def by_day(connection: Connection, lineage: str) -> tuple[DaySum, ...]:
    """The lineage's entries added up by day and cause, oldest day first; grants of a day before its charges."""
    day = func.substr(_ENTRIES.at, 1, len("2026-03-01"))
    causes = (
        _ENTRIES.kind,
        _ENTRIES.dataset,
        _ENTRIES.query,
        _ENTRIES.query_version,
        _ENTRIES.token_id,
        _ENTRIES.actor,
    )
    steps = (_ENTRIES.amount, _ENTRIES.delta, _ENTRIES.epsilon)
    numbers = (
        func.count(),
        *(func.sum(column) for column in steps),
        func.max(_ENTRIES.amount),
        func.max(_ENTRIES.delta),
    )
    query = select(day, *causes, *numbers).where(_ENTRIES.lineage == lineage).group_by(day, *causes)
    found = [
        DaySum(date.fromisoformat(row[0]), *row[1:7], *(int(value) for value in row[7:]))
        for row in connection.execute(query)
    ]
    return tuple(sorted(found, key=lambda item: (item.day, item.kind != Kind.GRANT, item.query or "", item.actor)))


def unfinished(connection: Connection, request: ChargeRequest, now: datetime) -> Entry | None:
    """The newest charge that can be taken up again for this request: paid for the same answer and never answered."""
    asked = request.question
    of = {"lineage": request.lineage, "query_version": asked.query_version, "parameters": asked.parameters}
    for entry in _read(connection, _UNFINISHED, **of):
        if pays_for(entry, request) and now - moment_of(entry.at) < request.fresh_for:
            return entry
    return None


def pays_for(entry: Entry, request: ChargeRequest) -> bool:
    """Whether the charge was made for the very answer that is asked for: same plan, same data, no lower price."""
    if entry.blocks != recorded(request.blocks):
        return False
    same = (entry.lineage, entry.dataset, entry.query, entry.data_version, entry.plan_hash) == (
        request.lineage,
        request.dataset,
        request.question.query,
        request.data_version,
        request.plan_hash,
    )
    return same and request.loss.fits(entry.loss)


def spent_since(connection: Connection, lineage: str, reason: str, since: datetime) -> int:
    """What was charged for a reason from a moment on, in steps of 1e-12."""
    query = select(func.sum(_ENTRIES.amount)).where(
        _ENTRIES.lineage == lineage,
        _ENTRIES.kind == Kind.CHARGE,
        _ENTRIES.reason == reason,
        _ENTRIES.at >= stamp(since),
    )
    return int(connection.execute(query).scalar() or 0)


def _of_lineage(lineage: str) -> Select[Any]:
    return select(schema.entries).where(_ENTRIES.lineage == lineage)


def _entry(row: Row | None) -> Entry | None:
    return None if row is None else Entry(**row)


def _read(connection: Connection, query: Select[Any], **values: object) -> Iterator[Entry]:
    # Closed though the reader stops halfway: it may be a cursor on the server.
    with connection.execute(query, values) as result:
        for row in result.mappings():
            yield Entry(**{str(name): value for name, value in row.items()})
