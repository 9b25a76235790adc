"""Who asked what: a line for each request of a known caller, whatever became of it, and for each command of the host
that asks. It only grows.

A line holds the caller, the route as it is written, the dataset and query that were named and the outcome: no
parameter, no value, no unit, no token. Lines wait in memory and are written together by a thread of their own, so a
request waits for none of it; what a crash takes with it is at most the last seconds', and no charge, which the chain
holds. Where lines had to be let go, because the database could not be written for long, the log says so itself.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from dpstats.errors import DpstatsError
from dpstats.ledger import schema
from dpstats.ledger.clock import Clock, moment_of, stamp
from dpstats.ledger.database import adding, reading, writing

WAITING_MAX = 20_000
"""Lines that wait in memory; of more, the oldest are let go."""
EVERY_S = 2.0
"""Seconds between writes. Each is a commit, after which what was remembered of the ledger is read anew (`recent`)."""
HOST = "cli"
"""The method of a line that a command of the host left."""
LOST = "lost"
"""The outcome of a line that stands for others: its `status` says how many were let go."""
_ASKED = schema.asked.c
_WRITTEN = tuple(column.name for column in _ASKED if column.name != "number")


@dataclass(frozen=True)
class Asking:
    """One request, or one command of the host, whose `method` is `HOST` and whose `status` its exit status.

    `outcome` is the slug of the problem that it was answered with, empty if all was well. `route` is as it is written,
    never as it was asked; `dataset` and `query` are empty where none was named. A request's `status` is 0 if the caller
    went away. `token_id` is empty for no token of this ledger's.
    """

    request_id: str
    actor: str
    token_id: str
    role: str
    method: str
    route: str
    dataset: str
    query: str
    status: int
    outcome: str


@dataclass(frozen=True)
class Wanted:
    """Which lines: those of one actor or query where they are named, and of some datasets and queries where those are.

    A line is of a dataset that it names, or whose query it names.
    """

    actor: str = ""
    query: str = ""
    datasets: tuple[str, ...] | None = None
    queries: tuple[str, ...] = ()

    def narrowed(self, lines: Select[Any]) -> Select[Any]:
        """These of the lines."""
        for column, name in ((_ASKED.actor, self.actor), (_ASKED.query, self.query)):
            lines = lines.where(column == name) if name else lines
        if self.datasets is None:
            return lines
        of_query = (_ASKED.dataset == "") & _ASKED.query.in_(self.queries)
        return lines.where(_ASKED.dataset.in_(self.datasets) | of_query)


ANY = Wanted()


class AskedLog:
    """Takes lines at any time from any thread, and reads them back."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._lock, self._flushing, self._ended = threading.Lock(), threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, asking: Asking) -> None:
        """Takes a line, of now; returns at once."""
        row = {**vars(asking), "at": stamp(self._clock())}
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(row)
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._write_now_and_then, name="dpstats-asked", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Writes every line that waits.

        Raises:
          Unavailable, LedgerBroken: the database cannot be written now; the lines wait on.
        """
        with self._flushing:
            with self._lock:
                rows, lost = list(self._waiting), self._lost
            if not rows:
                return
            with writing(self._engine) as connection:
                _add(connection, [*([_of_lost(lost, rows[0]["at"])] if lost else []), *rows])
            with self._lock:
                # What was let go meanwhile were the oldest, which are written by now: these are not lost.
                gone = self._lost - lost
                for _ in range(len(rows) - gone):
                    self._waiting.popleft()
                self._lost = max(0, gone - len(rows))

    def after(self, number: int, limit: int, which: Wanted = ANY) -> list[dict[str, Any]]:
        """Lines with larger numbers, oldest first."""
        wanted = which.narrowed(select(schema.asked).where(_ASKED.number > number))
        return self._read(wanted.order_by(_ASKED.number).limit(limit))

    def before(self, number: int, limit: int, which: Wanted = ANY) -> list[dict[str, Any]]:
        """Lines with smaller numbers, newest first; 0: the newest."""
        wanted = which.narrowed(select(schema.asked))
        wanted = wanted.where(_ASKED.number < number) if number else wanted
        return self._read(wanted.order_by(_ASKED.number.desc()).limit(limit))

    def last_used(self) -> dict[str, date]:
        """The day (UTC) of the newest line of each token that has one. Lines that wait are not counted yet."""
        newest = select(func.max(_ASKED.at)).where(_ASKED.token_id == schema.tokens.c.token_id).scalar_subquery()
        with reading(self._engine) as connection:
            found = connection.execute(select(schema.tokens.c.token_id, newest)).all()
        return {token_id: moment_of(at).astimezone(UTC).date() for token_id, at in found if at is not None}

    def began(self) -> datetime | None:
        """When the first line was written, None if there is none: nothing is known of before."""
        first = self._read(select(schema.asked).order_by(_ASKED.number).limit(1))
        return moment_of(first[0]["at"]) if first else None

    def lost(self, since: datetime) -> int:
        """How many lines had to be let go since then, as the log says itself."""
        lost = select(func.sum(_ASKED.status)).where(_ASKED.outcome == LOST, _ASKED.at >= stamp(since))
        with reading(self._engine) as connection:
            return int(connection.execute(lost).scalar() or 0)

    def close(self) -> None:
        """Writes what waits, if it can, and takes no more time for it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._try()

    def _read(self, wanted: Any) -> list[dict[str, Any]]:
        with reading(self._engine) as connection:
            return [dict(row) for row in connection.execute(wanted).mappings()]

    def _write_now_and_then(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._try()

    def _try(self) -> None:
        try:
            self.flush()
        except DpstatsError:
            return  # they wait on: the ledger's own faults are told by whoever charges


def _add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.exec_driver_sql(adding("asked", _WRITTEN, connection.dialect), rows)


def _of_lost(lost: int, at: str) -> dict[str, Any]:
    nobody = Asking("", "", "", "", "", "", "", "", lost, LOST)
    return {**vars(nobody), "at": at}
