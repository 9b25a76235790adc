"""Who asked what: a line for each request of a known caller, whatever became of it. It only grows.

A line holds the caller, the route as it is written, the dataset and query that were named and the outcome: no
parameter, no value, no unit, no token. Lines wait in memory and are written together by a thread of their own, so a
request waits for none of it; what a crash takes with it is at most the last second's, and no charge, which the chain
holds. Where lines had to be let go, because the database could not be written for long, the log says so itself.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, insert, select

from dpstats.errors import DpstatsError
from dpstats.ledger import schema
from dpstats.ledger.clock import Clock, stamp
from dpstats.ledger.database import reading, writing

WAITING_MAX = 20_000
"""Lines that wait in memory; of more, the oldest are let go."""
EVERY_S = 0.5
LOST = "lost"
"""The outcome of a line that stands for others: its `status` says how many were let go."""
_ASKED = schema.asked.c


@dataclass(frozen=True)
class Asking:
    """One request. `outcome` is the slug of the problem that it was answered with, empty if all was well.

    `route` is as it is written, never as it was asked; `dataset` and `query` are empty where none was named. `status`
    is 0 if the caller went away. `token_id` is empty for no token of this ledger's.
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
        row = asdict(asking) | {"at": stamp(self._clock())}
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
                connection.execute(insert(schema.asked), [*([_of_lost(lost, rows[0]["at"])] if lost else []), *rows])
            with self._lock:
                # What was let go meanwhile were the oldest, which are written by now: these are not lost.
                gone = self._lost - lost
                for _ in range(len(rows) - gone):
                    self._waiting.popleft()
                self._lost = max(0, gone - len(rows))

    def after(self, number: int, limit: int, *, actor: str = "", query: str = "") -> list[dict[str, Any]]:
        """Lines with larger numbers, oldest first; of one actor or query alone where they are named."""
        wanted = select(schema.asked).where(_ASKED.number > number)
        return self._read(_narrowed(wanted, actor, query).order_by(_ASKED.number).limit(limit))

    def before(self, number: int, limit: int, *, actor: str = "", query: str = "") -> list[dict[str, Any]]:
        """Lines with smaller numbers, newest first; 0: the newest."""
        wanted = select(schema.asked)
        wanted = wanted.where(_ASKED.number < number) if number else wanted
        return self._read(_narrowed(wanted, actor, query).order_by(_ASKED.number.desc()).limit(limit))

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


def _narrowed(wanted: Any, actor: str, query: str) -> Any:
    for column, name in ((_ASKED.actor, actor), (_ASKED.query, query)):
        wanted = wanted.where(column == name) if name else wanted
    return wanted


def _of_lost(lost: int, at: str) -> dict[str, Any]:
    nobody = Asking("", "", "", "", "", "", "", "", lost, LOST)
    return asdict(nobody) | {"at": at}
