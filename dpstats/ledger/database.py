"""Connections to the ledger's database: how they are set, how transactions begin, and what its faults mean.

A write transaction takes SQLite's write lock at its start (`BEGIN IMMEDIATE`): what it reads cannot change before it
commits, so a budget that was checked is still there when it is charged. A commit is on disk when it returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dpstats.errors import LedgerBroken, Unavailable

_WRITES = "dpstats_writes"
_MALFORMED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def sqlite_engine(path: Path, busy_timeout_ms: int) -> Engine:
    """An engine on the SQLite file at `path`; a writer waits up to `busy_timeout_ms` for another."""
    url = URL.create("sqlite", database=str(path))
    # hide_parameters: an error's text must not carry what was asked.
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": busy_timeout_ms / 1000})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        _configure(connection, busy_timeout_ms)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _configure(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    connection.isolation_level = None  # sqlite3 begins no transaction of its own: `begin` above does
    connection.execute(f"PRAGMA busy_timeout={int(busy_timeout_ms)}")
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise Unavailable
    for pragma in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: everything in it is of one moment."""
    with faults_explained(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction, alone from its start; durable when the block ends, undone if it raises."""
    with faults_explained(), engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


@contextmanager
def faults_explained() -> Iterator[None]:
    """Turns faults of the database and of files into ours.

    Raises:
      LedgerBroken: the file is not a database, or is malformed.
      Unavailable: anything else: locked, full, read-only, unreadable.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF in _MALFORMED:
            raise LedgerBroken("the ledger's database file is malformed: restore the newest backup") from error
        raise Unavailable from error
