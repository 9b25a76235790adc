"""Consent events and epochs: appended, never changed. Queries see what had been received at an epoch's close."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_new

from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights import consent_schema as schema
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.decisions import REFUSING, Decision, Event

_CHUNK = 10_000


@dataclass(frozen=True)
class Shown:
    """What a person was shown when deciding, as the sender says it; empty where it says nothing.

    `notice_sha256` is of the notice's text; `method` is how the decision was made: a box ticked, a call.
    """

    notice_version: str = ""
    notice_sha256: str = ""
    language: str = ""
    method: str = ""


NOT_SAID = Shown()


@dataclass(frozen=True)
class Received:
    """An event as it is kept. `unit` is a pseudonym, `identity` what tells a repetition: the first one counts."""

    lineage: str
    unit: str
    event: Event
    source: str
    identity: str
    received_at: datetime
    shown: Shown = NOT_SAID


@dataclass(frozen=True)
class Epoch:
    """A closed epoch: everything that was received up to `last_seq`, and nothing later."""

    number: int
    closed_at: datetime
    last_seq: int


class ConsentLog:
    """The events and epochs of one workspace."""

    def __init__(self, database: ConsentDatabase) -> None:
        self._database = database

    def add(self, received: Iterable[Received], also: Callable[[Connection], None] | None = None) -> None:
        """Keeps events, all or none of them; one that is there already is left as it is.

        Args:
          also: what is written in the same transaction.
        """
        kept = list(received)
        rows = [_row(each) for each in kept]
        minors = [
            {"identity": e.identity, "turns_16_on": str(e.event.until)} for e in kept if e.event.until is not None
        ]
        said = [{"identity": each.identity, **asdict(each.shown)} for each in kept if each.shown != NOT_SAID]
        with self._database.writing() as connection:
            # What comes with an event that was there already says nothing more about it.
            there = _there(connection, [row["identity"] for row in [*minors, *said]])
            minors = [row for row in minors if row["identity"] not in there]
            said = [row for row in said if row["identity"] not in there]
            for start in range(0, len(rows), _CHUNK):
                chunk = insert_new(schema.events).on_conflict_do_nothing(index_elements=["identity"])
                connection.execute(chunk, rows[start : start + _CHUNK])
            if said:
                connection.execute(insert_new(schema.shown).on_conflict_do_nothing(), said)
            if minors:
                connection.execute(insert_new(schema.minors).on_conflict_do_nothing(), minors)
            if also is not None:
                also(connection)

    def close_epoch(self, now: datetime) -> Epoch:
        """Closes the running epoch: what was received until now is what the next data versions are made by."""
        with self._database.writing() as connection:
            last = connection.execute(select(func.max(schema.events.c.seq))).scalar() or 0
            connection.execute(insert(schema.epochs).values(closed_at=stamp(now), last_seq=last))
            return _newest(connection)[0]

    def last_epoch(self) -> Epoch | None:
        """The epoch that was closed last, None if none ever was."""
        with self._database.reading() as connection:
            return next(iter(_newest(connection)), None)

    def waiting(self) -> int:
        """How many events came since the last epoch was closed; a number for stewards alone."""
        with self._database.reading() as connection:
            last = next((epoch.last_seq for epoch in _newest(connection)), 0)
            query = select(func.count()).select_from(schema.events).where(schema.events.c.seq > last)
            return connection.execute(query).scalar_one()

    def decided(self, lineage: str, epoch: Epoch) -> Mapping[str, tuple[Event, ...]]:
        """What the people of a lineage had decided at an epoch's close, by pseudonym; their order means nothing."""
        table = schema.events.c
        query = _EVENTS.where(table.lineage == lineage, table.seq <= epoch.last_seq)
        found: dict[str, list[Event]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                found.setdefault(row["unit"], []).append(_event(row))
        return {unit: tuple(events) for unit, events in found.items()}

    def came(self, identities: Sequence[str]) -> Mapping[str, datetime]:
        """When events of these identities were received, the first time, by identity; of those that are kept."""
        table, found = schema.events.c, dict[str, datetime]()
        with self._database.reading() as connection:
            for start in range(0, len(identities), _CHUNK):
                query = select(table.identity, table.received_at)
                part = query.where(table.identity.in_(identities[start : start + _CHUNK]))
                found |= {row.identity: moment_of(row.received_at) for row in connection.execute(part)}
        return found

    def found(self, event: str) -> tuple[int, datetime] | None:
        """The place and the time at which the last event of a sender's name was received; None if there is none."""
        table = schema.events.c
        query = select(table.seq, table.received_at).where(table.event == event).order_by(table.seq.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.seq, moment_of(row.received_at))

    def found_refusal(self, identity: str) -> tuple[int, datetime] | None:
        """The place of the refusal whose identity begins so, and the time at which it came; None if there is none."""
        table = schema.events.c
        query = select(table.seq, table.received_at).where(
            table.identity.startswith(identity, autoescape=True), table.decision.in_(sorted(map(str, REFUSING)))
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.seq, moment_of(row.received_at))

    def epoch_with(self, seq: int) -> Epoch | None:
        """The first closed epoch that holds an event; None if it is still to come."""
        table = schema.epochs.c
        query = select(schema.epochs).where(table.last_seq >= seq).order_by(table.number).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Epoch(row["number"], moment_of(row["closed_at"]), row["last_seq"])

    def of_person(self, lineage: str, unit: str) -> tuple[Event, ...]:
        """Everything that one person decided so far, by pseudonym, in the order in which it was received."""
        table = schema.events.c
        query = _EVENTS.where(table.lineage == lineage, table.unit == unit).order_by(table.seq)
        with self._database.reading() as connection:
            return tuple(_event(row) for row in connection.execute(query).mappings())

    def forget_birthdays(self, lineage: str, unit: str) -> None:
        """Removes what is known of one person's age, by pseudonym; that the person was marked stays."""
        table = schema.events.c
        theirs = select(table.identity).where(table.lineage == lineage, table.unit == unit)
        with self._database.writing() as connection:
            gone = connection.execute(delete(schema.minors).where(schema.minors.c.identity.in_(theirs))).rowcount
        if gone:
            self._database.empty_log()

    def shown_to(self, lineage: str, unit: str) -> Mapping[str, Shown]:
        """What one person, by pseudonym, was shown, by the name of the event; of events that say so."""
        events, told = schema.events.c, schema.shown.c
        query = (
            select(events.event, schema.shown)
            .join(schema.shown, told.identity == events.identity)
            .where(events.lineage == lineage, events.unit == unit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["event"]: Shown(**{name: row[name] for name in _SHOWN}) for row in rows}


def _there(connection: Connection, identities: Sequence[str]) -> set[str]:
    """Which of these events are kept already."""
    found: set[str] = set()
    for start in range(0, len(identities), _CHUNK):
        part = schema.events.c.identity.in_(identities[start : start + _CHUNK])
        found |= set(connection.execute(select(schema.events.c.identity).where(part)).scalars())
    return found


_EVENTS = select(schema.events, schema.minors.c.turns_16_on).select_from(
    schema.events.outerjoin(schema.minors, schema.minors.c.identity == schema.events.c.identity)
)
_SHOWN = tuple(field.name for field in fields(Shown))


def _newest(connection: Connection) -> list[Epoch]:
    query = select(schema.epochs).order_by(schema.epochs.c.number.desc()).limit(1)
    return [
        Epoch(row["number"], moment_of(row["closed_at"]), row["last_seq"])
        for row in connection.execute(query).mappings()
    ]


def _event(row: RowMapping) -> Event:
    return Event(
        row["dataset"],
        row["purpose"],
        Decision(row["decision"]),
        moment_of(row["observed_at"]),
        row["event"],
        row["confirms"],
        date.fromisoformat(row["turns_16_on"]) if row["turns_16_on"] else None,
    )


def _row(received: Received) -> dict[str, str]:
    event = received.event
    return {
        "identity": received.identity,
        "lineage": received.lineage,
        "dataset": event.dataset,
        "unit": received.unit,
        "purpose": event.purpose,
        "decision": str(event.decision),
        "source": received.source,
        "event": event.event,
        "confirms": event.confirms,
        "observed_at": stamp(event.observed_at),
        "received_at": stamp(received.received_at),
    }
