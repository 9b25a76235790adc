"""The embedded database: one SQLite file in the workspace's folder, for any number of processes on one machine."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from dpstats.errors import Unavailable
from dpstats.ledger.database import WRITES


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
        writes = connection.get_execution_options().get(WRITES, False)
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
