"""The register of a workspace, only looked at: nothing is made, brought up to date, locked or written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event

from dpstats.errors import FileError, Unavailable
from dpstats.ledger.clock import utc_now
from dpstats.ledger.database import WRITES, reading
from dpstats.ledger.migrating import HEAD, revision_of
from dpstats.ledger.postgres import postgres_engine
from dpstats.ledger.registry import Registry
from dpstats.ledger.store import BUSY_TIMEOUT_MS, DATABASE


@contextmanager
def looked_at(home: Path, url: str = "") -> Iterator[Registry]:
    """The register of the workspace at `home`, through connections that cannot write.

    SQLite opens the file with `mode=ro`; on PostgreSQL a transaction that reads is READ ONLY, and no other begins.

    Args:
      url: the ledger's database where it is on a server.

    Raises:
      FileError: the ledger is of another version. LedgerBroken, Unavailable: it cannot be read.
    """
    engine = postgres_engine(url, BUSY_TIMEOUT_MS) if url else _read_only(home / DATABASE)
    _refuse_writes(engine)
    try:
        with reading(engine) as connection:
            if revision_of(connection) != HEAD:
                what = "its ledger is of another version: `dpstats doctor` brings an older one up to date"
                raise FileError(str(home), what)
        yield Registry(engine, utc_now)
    finally:
        engine.dispose()


def _refuse_writes(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            raise Unavailable


def _read_only(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        address = f"{path.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only=ON")
        return connection

    engine = create_engine("sqlite://", creator=connect, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
