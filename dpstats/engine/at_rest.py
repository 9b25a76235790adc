"""What is kept beside a data version (`plan/at_rest.py`): one file a kind of answer, made whole, never changed.

A file's name holds its data version's id, which is random and used once, and the key of what is in it, a hash of the
statements that made it. So one is never stale: another version, another text, other bounds or keys look for another
name. It goes with its data version, in the same removal.

It is read like a data version: read-only, alone in a DuckDB of its own that is locked down and probed first. A file
that is not there, or is not what its name says, is as if there were none: the plan's own SQL gives the same answer.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from dpstats.engine.binds import bound, sampling_key_of
from dpstats.engine.locked import CONNECT_CONFIG, Limits, connect, lock, lock_to_write
from dpstats.engine.names import literal
from dpstats.engine.probes import probe
from dpstats.engine.source import trouble_in
from dpstats.engine.whole import whole_file
from dpstats.errors import FileError
from dpstats.plan.plan import AtRest, Plan

OPEN_MAX = 4
"""Files of one data version that stay open between answers."""


@dataclass(frozen=True)
class Kept:
    """What was made: its size in bytes and how long it took, in seconds."""

    size: int
    seconds: float


def file_of(version_file: Path, at_rest: AtRest) -> Path:
    """Where it is kept, if it is."""
    return version_file.with_name(f"{version_file.stem}.{at_rest.key}{version_file.suffix}")


def files_of(version_file: Path) -> list[Path]:
    """A data version's file, and all that is kept beside it."""
    return [version_file, *version_file.parent.glob(f"{version_file.stem}.*{version_file.suffix}")]


def keep(version_file: Path, plan: Plan, *, key: bytes, limits: Limits) -> Kept:
    """Makes what a plan can be answered from sooner.

    Args:
      key: The workspace's secret key.
      limits: Of the work; what does not fit in memory is spilled beside the new file, and removed.

    Raises:
      FileError: it cannot be made: the data version is gone, or memory, disk or time do not suffice.
      ValueError: there is nothing to keep for this plan.
    """
    at_rest = plan.at_rest
    if at_rest is None:
        raise ValueError("nothing is kept for this plan")
    target, began = file_of(version_file, at_rest), time.monotonic()
    if not version_file.is_file():
        raise FileError(str(version_file), "is no data version any more")
    sampling_key = sampling_key_of(key)
    with whole_file(target) as made, duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:

        def make() -> None:
            connection.execute(f"ATTACH {literal(version_file)} AS dp_data (READ_ONLY)")
            connection.execute(f"ATTACH {literal(made)} AS dp_rest")
            lock_to_write(connection, limits, made.parent / "spill")
            connection.execute("USE dp_data")
            for sql in at_rest.build:
                _run(connection, sql, plan, sampling_key)
            _sign(connection, _says(version_file, at_rest, sampling_key))
            connection.execute("USE memory")
            connection.execute("DETACH dp_rest")

        if trouble_in(make):
            raise FileError(str(target), "cannot be made: too little memory or disk, or no permission")
    return Kept(target.stat().st_size, time.monotonic() - began)


def is_kept(version_file: Path, at_rest: AtRest, *, key: bytes) -> bool:
    """Whether it is there, and is what its name says."""
    path, says = file_of(version_file, at_rest), _says(version_file, at_rest, sampling_key_of(key))
    try:
        with connect(path) as connection:
            return _said(connection) == says
    except (duckdb.Error, FileError):
        return False


def _said(connection: duckdb.DuckDBPyConnection) -> str:
    found = dict(connection.execute("SELECT key, value FROM dp_meta").fetchall())
    return str(found.get("kept_of"))


def _run(connection: duckdb.DuckDBPyConnection, sql: str, plan: Plan, sampling_key: int) -> None:
    (statement,) = connection.extract_statements(sql)
    connection.execute(statement, bound(statement, plan, sampling_key))


def _says(version_file: Path, at_rest: AtRest, sampling_key: int) -> str:
    """What a file says of itself: of which data version, what, and by which key groups were chosen."""
    told = f"{version_file.name} {at_rest.key} {sampling_key}"
    return hashlib.sha256(told.encode()).hexdigest()


def _sign(connection: duckdb.DuckDBPyConnection, says: str) -> None:
    connection.execute("CREATE TABLE dp_rest.main.dp_meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)")
    connection.execute("INSERT INTO dp_rest.main.dp_meta VALUES ('kept_of', ?)", [says])


@dataclass
class _Open:
    connection: duckdb.DuckDBPyConnection
    runs: int = 0


class KeptFiles:
    """What is kept beside one open data version, opened when it is asked for. Threads may share it."""

    def __init__(self, version_file: Path, sampling_key: int, limits: Limits) -> None:
        self._version_file, self._sampling_key = version_file, sampling_key
        # As much memory as the data version's own instance has, for all of them.
        self._limits = replace(limits, memory_limit_mb=max(64, limits.memory_limit_mb // OPEN_MAX))
        self._given_up: set[str] = set()
        self._open: dict[str, _Open] = {}  # least recently asked for first
        self._lock = threading.Lock()

    @contextmanager
    def reading(self, at_rest: AtRest) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """What is kept for a plan, for as long as the `with` lasts; None where nothing is."""
        with self._lock:
            opened = self._ask(at_rest)
        try:
            yield None if opened is None else opened.connection
        finally:
            if opened is not None:
                with self._lock:
                    opened.runs -= 1
                    self._close_idle()

    def give_up(self, at_rest: AtRest) -> None:
        """Has the plan's own SQL answer from now on: what is kept did not."""
        with self._lock:
            self._given_up.add(at_rest.key)

    def close(self) -> None:
        """Closes all files. Nobody may be reading."""
        with self._lock:
            for opened in self._open.values():
                opened.connection.close()
            self._open.clear()

    def _ask(self, at_rest: AtRest) -> _Open | None:
        if at_rest.key in self._given_up:
            return None
        opened = self._open.pop(at_rest.key, None) or self._opened(at_rest)
        if opened is not None:
            self._open[at_rest.key] = opened
            opened.runs += 1
            self._close_idle()
        return opened

    def _opened(self, at_rest: AtRest) -> _Open | None:
        path = file_of(self._version_file, at_rest)
        if not path.is_file():
            return None
        says = _says(self._version_file, at_rest, self._sampling_key)
        connection = None
        try:
            connection = connect(path)
            if _said(connection) == says:
                lock(connection, self._limits)
                probe(connection, path)
                return _Open(connection)
        except (duckdb.Error, FileError, ValueError):
            pass
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if connection is not None:
            connection.close()
        return None

    def _close_idle(self) -> None:
        for key, opened in list(self._open.items())[:-OPEN_MAX]:
            if not opened.runs:
                del self._open[key]
                opened.connection.close()
