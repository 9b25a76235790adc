"""Messages that others must be sent: kept until they are delivered, tried again, and never sent twice under two names.

A message about a person holds that person's id until its recipient has it; then the content goes, and what stays is
that it was delivered, when, and after how many tries. One that nobody took for `GIVE_UP` goes too, and is told.
Of several processes, one takes a message at a time; one that is killed meanwhile leaves it to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Index, Integer, RowMapping, Table, Text, select, update
from sqlalchemy.dialects.sqlite import insert as insert_new

from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata

GIVE_UP = timedelta(days=30)
"""How long a message is tried; the law wants recipients told, and a month of tries is told to a steward meanwhile."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=12)
CONSENT = "consent"
"""What messages about refusals are about that came without a request."""
STUCK_AFTER = 3
"""Tries after which a steward is told."""

messages = Table(
    "outbox",
    metadata,
    Column("message", Text, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text),
    Column("created_at", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Text),
    Column("delivered_at", Text),
    Index("outbox_next", "next_at"),
    Index("outbox_about", "about"),
)
_M = messages.c


@dataclass(frozen=True)
class Message:
    """What is sent: its own id, the same for every try; to whom; about which request; its kind; its body, JSON."""

    message_id: str
    recipient: str
    about: str
    kind: str
    body: str


class Outbox:
    """The messages of one workspace."""

    def __init__(self, database: ConsentDatabase) -> None:
        self._database = database

    @property
    def database(self) -> ConsentDatabase:
        """Where the messages are."""
        return self._database

    def put(self, new: Iterable[Message], now: datetime) -> None:
        """Keeps messages, to be sent as soon as can be; one that was put before is left as it is."""
        kept = list(new)
        if kept:
            with self._database.writing() as connection:
                put_in(connection, kept, now)

    def take(self, now: datetime) -> Message | None:
        """The next message that is due, counted as tried; nobody else is given it before its pause is over."""
        query = select(messages).where(_M.next_at <= stamp(now)).order_by(_M.next_at, _M.message).limit(1)
        with self._database.writing() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            values = {"tries": row["tries"] + 1, "next_at": stamp(now + pause_after(row["tries"] + 1))}
            connection.execute(update(messages).where(_M.message == row["message"]).values(values))
        return Message(row["message"], row["recipient"], row["about"], row["kind"], row["body"])

    def delivered(self, message_id: str, now: datetime) -> None:
        """Notes that a message is there; its content goes."""
        self._end(message_id, {"delivered_at": stamp(now)})

    def give_up_old(self, now: datetime) -> None:
        """Ends what nobody took for too long; its content goes."""
        query = select(_M.message).where(_M.next_at.is_not(None), _M.created_at <= stamp(now - GIVE_UP))
        with self._database.reading() as connection:
            old = connection.execute(query).scalars().all()
        for message_id in old:
            self._end(message_id, {})

    def about(self, request: str) -> list[Mapping[str, object]]:
        """What became of the messages about a request: to whom, its kind, and how it stands."""
        query = select(messages).where(_M.about == request).order_by(_M.recipient, _M.kind)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            {
                "recipient": row["recipient"],
                "kind": row["kind"],
                "state": _state(row),
                "tries": row["tries"],
                "delivered_at": row["delivered_at"],
            }
            for row in rows
        ]

    def stuck(self) -> list[tuple[str, str, datetime]]:
        """Recipients that do not take what they are sent, with what became of it and since when; the oldest of each."""
        waits = _M.next_at.is_not(None) & (_M.tries >= STUCK_AFTER)
        given_up = _M.next_at.is_(None) & _M.delivered_at.is_(None)
        query = select(messages).where(waits | given_up).order_by(_M.created_at)
        found: dict[str, tuple[str, str, datetime]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                found.setdefault(row["recipient"], (row["recipient"], _state(row), moment_of(row["created_at"])))
        return list(found.values())

    def _end(self, message_id: str, values: Mapping[str, str]) -> None:
        with self._database.writing() as connection:
            ended = update(messages).where(_M.message == message_id)
            connection.execute(ended.values({"body": None, "next_at": None, **values}))
        self._database.empty_log()


def put_in(connection: Connection, new: Iterable[Message], now: datetime) -> None:
    """Keeps messages in a transaction on the consent database that is open: with what they tell of, or not at all."""
    rows = [
        {
            "message": each.message_id,
            "recipient": each.recipient,
            "about": each.about,
            "kind": each.kind,
            "body": each.body,
            "created_at": stamp(now),
            "tries": 0,
            "next_at": stamp(now),
        }
        for each in new
    ]
    if rows:
        connection.execute(insert_new(messages).on_conflict_do_nothing(), rows)


def pause_after(tries: int) -> timedelta:
    """How long is waited after so many tries: a minute, then twice as long each time, up to half a day."""
    doubled: int = 2 ** min(tries - 1, 20)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doubled)


def _state(row: RowMapping) -> str:
    if row["delivered_at"] is not None:
        return "delivered"
    return "waiting" if row["next_at"] is not None else "given up"
