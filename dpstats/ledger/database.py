"""Transactions on the ledger's database, whichever it is, and what its faults mean.

A write transaction is alone from its start: SQLite's write lock (`sqlite`), or on PostgreSQL one lock for all writers
of the database (`postgres`). What it reads cannot change before it commits, so a budget that was checked is still
there when it is charged. A commit is on disk when it returns.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dpstats.errors import LedgerBroken, Unavailable

WRITES = "dpstats_writes"
"""The execution option by which an engine's `begin` knows a write transaction."""

_MALFORMED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MALFORMED_STATES = {"XX001", "XX002"}  # PostgreSQL: data_corrupted, index_corrupted
_LOOK_AGAIN_S = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2)


_moment: ContextVar[tuple[Engine, Connection] | None] = ContextVar("dpstats_moment", default=None)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: everything in it is of one moment; that of `one_moment` around it, if there is one."""
    around = _moment.get()
    if around is not None and around[0] is engine:
        yield around[1]
        return
    with faults_explained(), _begun(engine.connect, writes=False) as connection:
        yield connection


@contextmanager
def one_moment(engine: Engine) -> Iterator[None]:
    """Whatever this thread reads inside is of one moment, and costs one transaction.

    Nothing may be written meanwhile: what is read after it would still be of before.
    """
    with reading(engine) as connection:
        before = _moment.set((engine, connection))
        try:
            yield
        finally:
            _moment.reset(before)


@contextmanager
def writing(
    engine: Engine,
    done: Callable[[Connection], bool] | None = None,
    connected: Callable[[], AbstractContextManager[Connection]] | None = None,
) -> Iterator[Connection]:
    """One write transaction, alone from its start; durable when the block ends, undone if it raises.

    Args:
      done: says, in a later transaction, whether this one was committed. It is asked where the connection was lost at
        COMMIT, which a server may or may not have carried out. Without it, and where no connection is to be had, the
        outcome stays unknown and the block ends as if nothing was done.
      connected: gives the connection, where it is not to be any of the engine's.
    """
    if _moment.get() is not None:
        raise RuntimeError("nothing is written inside of one moment that is read")
    with faults_explained():
        ended = False
        try:
            with _begun(connected or engine.connect, writes=True) as connection:
                yield connection
                ended = True
        except DBAPIError as error:
            lost_at_commit = ended and error.connection_invalidated
            if not (lost_at_commit and done is not None and _came_through(engine, done)):
                raise


@contextmanager
def faults_explained() -> Iterator[None]:
    """Turns faults of the database and of files into ours.

    Raises:
      LedgerBroken: the file is not a database, or the database is malformed.
      Unavailable: anything else: locked, full, read-only, unreadable, not to be reached.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        if _malformed(error.orig if isinstance(error, DBAPIError) else error):
            raise LedgerBroken("the ledger's database is malformed: restore the newest backup") from error
        raise Unavailable from error


@lru_cache
def adding(table: str, columns: tuple[str, ...], dialect: Dialect) -> str:
    """The statement that adds a row, as the driver takes it: SQLAlchemy would turn over every value of each."""
    places = ", ".join(_place(name, dialect) for name in columns)
    quoted = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({quoted}) VALUES ({places})"


@lru_cache
def changing(table: str, columns: tuple[str, ...], key: str, dialect: Dialect) -> str:
    """The statement that changes every column of the row with this key, in the same way."""
    changed = ", ".join(f'"{name}" = {_place(name, dialect)}' for name in columns if name != key)
    return f'UPDATE {table} SET {changed} WHERE "{key}" = {_place(key, dialect)}'


def _place(name: str, dialect: Dialect) -> str:
    return f"%({name})s" if dialect.paramstyle == "pyformat" else f":{name}"


@contextmanager
def _begun(connected: Callable[[], AbstractContextManager[Connection]], *, writes: bool) -> Iterator[Connection]:
    with connected() as connection:
        connection.execution_options(**{WRITES: writes})
        with connection.begin():
            yield connection


def _came_through(engine: Engine, done: Callable[[Connection], bool]) -> bool:
    # The lost transaction keeps the writers' lock until it has ended one way or the other. So a transaction that holds
    # the lock sees its outcome for good, while a mere read could look before a COMMIT that is still under way.
    for pause_s in _LOOK_AGAIN_S:
        time.sleep(pause_s)
        try:
            with _begun(engine.connect, writes=True) as connection:
                return done(connection)
        except DBAPIError:
            continue
    return False


def _malformed(cause: BaseException | None) -> bool:
    code = (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF
    return code in _MALFORMED or getattr(cause, "sqlstate", None) in _MALFORMED_STATES
