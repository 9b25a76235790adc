"""What was read from the ledger a moment ago, remembered for exactly as long as nothing was committed to it since.

Claim: what `Recent.find` gives is what reading the ledger anew would give at that moment.
Argument: SQLite's `data_version` differs between two looks of one connection if another connection, of this process or
any other, committed in between; the connection that looks here never writes, so every commit is another's. What is
remembered goes by the version that was seen *before* it was read. If a later look sees that version still, nothing was
committed from before the reading until that look, and reading again would give the same, but for the clock: so each
thing says until when it holds, and is not given to a clock that stands elsewhere than between its reading and then.

Where that cannot be said, nothing is remembered and the ledger is read: on PostgreSQL, where asking the server would
take as long as reading, and when SQLite does not answer at once. Only what is a function of the ledger, the clock and
its key may be remembered.

Source: https://www.sqlite.org/pragma.html#pragma_data_version.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from dpstats.ledger.clock import Clock

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Version = tuple[int, int]
"""Which connection looked, and what it saw: what two connections saw cannot be compared."""

FOREVER = datetime.max.replace(tzinfo=UTC)
"""Until when something holds that only a commit can end."""


class Commits:
    """Sees whether anything was committed to the ledger. Thread-safe; never waits.

    Args:
      path: the SQLite file; None for a ledger on a server, whose commits are not seen.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def version(self) -> Version | None:
        """Equal to that of an earlier look only if nothing was committed in between; None: it cannot be told now."""
        if self._path is None:
            return None
        with self._lock:
            try:
                return self._seen(self._path)
            except sqlite3.Error:
                self._drop()
                return None

    def close(self) -> None:
        """Looks no more."""
        with self._lock:
            self._path = None
            self._drop()

    def _seen(self, path: Path) -> Version:
        if self._connection is None:
            self._connection = _looking_at(path)
            self._opened += 1
        ((seen,),) = self._connection.execute("PRAGMA data_version").fetchall()
        return self._opened, int(seen)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _looking_at(path: Path) -> sqlite3.Connection:
    """A connection that neither makes the file, nor writes to it, nor waits for anybody."""
    address = f"{path.resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    return connection


@dataclass(frozen=True)
class Since:
    """The moment before something is read: it may be remembered as of then."""

    version: Version
    at: datetime


@dataclass(frozen=True)
class _Remembered(Generic[Value]):
    value: Value
    since: datetime
    until: datetime
    size: int


class Recent(Generic[Key, Value]):
    """Remembers values of one kind by key. Thread-safe.

    Args:
      most: what all of them may be in size together; beyond it those remembered first are forgotten.
      size: what a key and its value take, 1 unless said.
    """

    def __init__(
        self, commits: Commits, clock: Clock, most: int, size: Callable[[Key, Value], int] = lambda _key, _value: 1
    ) -> None:
        self._commits, self._clock, self._most, self._size = commits, clock, most, size
        self._lock = threading.Lock()
        self._version: Version | None = None
        self._values: dict[Key, _Remembered[Value]] = {}  # all of one version, first remembered first
        self._held = 0
        self._before: frozenset[int] = frozenset()  # hashes of the keys that were known until the last commit

    def since(self) -> Since | None:
        """Asked before reading what is to be remembered; None: it cannot be."""
        version = self._commits.version()
        return None if version is None else Since(version, self._clock())

    def find(self, key: Key) -> Value | None:
        """What reading would give now, None if that is not known."""
        version, now = self._commits.version(), self._clock()
        with self._lock:
            self._move_to(version)
            found = self._values.get(key)
        return found.value if found is not None and found.since <= now < found.until else None

    def had(self, key: Key) -> bool:
        """Whether a value was remembered until the last commit, but for an accident of hashes: a hint, and no more."""
        with self._lock:
            return hash(key) in self._before

    def keep(self, key: Key, value: Value, since: Since | None, until: datetime = FOREVER) -> None:
        """Remembers what was read after `since`; it holds until `until` at most."""
        size = self._size(key, value)
        with self._lock:
            if since is None or since.version != self._version or size > self._most:
                return
            self._forget(key)
            self._values[key] = _Remembered(value, since.at, until, size)
            self._held += size
            while self._held > self._most:
                self._forget(next(iter(self._values)))

    def _move_to(self, version: Version | None) -> None:
        if version != self._version:
            self._before = frozenset(map(hash, self._values)) or self._before
            self._version, self._held = version, 0
            self._values.clear()

    def _forget(self, key: Key) -> None:
        known = self._values.pop(key, None)
        self._held -= known.size if known is not None else 0
