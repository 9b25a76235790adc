"""A PostgreSQL server, where several replicas serve from one ledger.

All writers of the database take one lock at their start, and read what was committed before they had it. Isolation
levels alone would not do: a snapshot taken while one waits for the lock is of before, and a budget read in it is stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from dpstats.errors import FileError, Unavailable
from dpstats.ledger.database import WRITES

DRIVER = "postgresql+psycopg"
"""How the address of a ledger on PostgreSQL begins."""

WRITERS = 0x6470737461747301
"""The number of the writers' advisory lock: `dpstats` in ASCII, and 1."""

_STALLED_MS = 60_000
"""A writer that stops while it holds the lock (a suspended machine) is thrown out by the server after this long."""

_CONNECT_TIMEOUT_S = 10
_LOCK_NOT_AVAILABLE = "55P03"

_REFUSED = {
    "synchronous_commit": ("off", "a charge could be lost after its answer left: set it to on"),
    "fsync": ("off", "a charge could be lost after its answer left: set it to on"),
    "full_page_writes": ("off", "a power cut could tear the ledger: set it to on"),
}
"""Settings of the server with which a commit is not for good: the value that is refused, and why."""


def postgres_engine(address: str, lock_timeout_ms: int) -> Engine:
    """An engine on the database at `address`; a writer waits up to `lock_timeout_ms` for another. Connects to nothing.

    Raises:
      FileError: it is not an address of a PostgreSQL database, or psycopg is not installed.
    """
    url = _url(address)
    arguments = {"client_encoding": "utf8", "connect_timeout": url.query.get("connect_timeout", _CONNECT_TIMEOUT_S)}
    try:
        # hide_parameters: an error's text must not carry what was asked.
        engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    except ImportError:
        raise _refused("PostgreSQL needs psycopg: pip install 'dpstats[postgres]'") from None
    take = _take_lock(lock_timeout_ms)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        _characterise(connection.connection.dbapi_connection, writes=writes)
        if writes:
            connection.exec_driver_sql(take)

    return engine


def examine(engine: Engine) -> None:
    """Makes sure that the server is there and keeps what is committed.

    Raises:
      FileError: it cannot be reached, or a setting of it makes commits unsafe; one line says which.
    """
    with opening_explained(), engine.connect() as connection, connection.begin():
        for name, (value, why) in _REFUSED.items():
            if connection.exec_driver_sql(f"SHOW {name}").scalar() == value:
                raise _refused(f"the server's {name} is {value}: {why}")
        if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
            raise _refused("the database's encoding is not UTF8: make it with ENCODING 'UTF8'")


@contextmanager
def opening_explained() -> Iterator[None]:
    """Says what the server says when the ledger cannot be opened there: no row and nothing asked can be in it yet.

    Raises:
      FileError: anything but a lock that another holds.
    """
    try:
        yield
    except (Unavailable, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, Unavailable) else error
        said = cause.orig if isinstance(cause, DBAPIError) else cause
        if getattr(said, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise
        raise _refused(f"the database cannot be used: {_first_line(said)}") from error


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        url = None
    if url is None or url.drivername != DRIVER or not url.database:
        # The address itself is not shown: a password may be in it.
        raise _refused(f"write {DRIVER}://USER:PASSWORD@HOST/DATABASE, or nothing for SQLite in the workspace folder")
    return url


def _characterise(connection: Any, *, writes: bool) -> None:
    """Sets how the transaction begins that psycopg opens with the next statement."""
    from psycopg import IsolationLevel

    # A writer sees each time what is committed by then, which is everything once it holds the lock; a reader sees one
    # moment. Said each time: the server's own default may be another.
    connection.isolation_level = IsolationLevel.READ_COMMITTED if writes else IsolationLevel.REPEATABLE_READ
    connection.read_only = not writes


def _take_lock(lock_timeout_ms: int) -> str:
    """One statement, evaluated from left to right. Its settings hold for the transaction, through any pooler."""
    return (
        "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),"
        f" set_config('lock_timeout', '{int(lock_timeout_ms)}ms', true),"
        f" set_config('idle_in_transaction_session_timeout', '{_STALLED_MS}ms', true),"
        f" pg_advisory_xact_lock({WRITERS})"
    )


def _refused(what: str) -> FileError:
    return FileError("settings", what, key="DPSTATS_LEDGER_URL")


def _first_line(error: BaseException | None) -> str:
    return next(iter(str(error).splitlines()), "") if error else ""
