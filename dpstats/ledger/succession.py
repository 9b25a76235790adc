"""Groups of changes written one after the other through one connection: what one left known, the next need not read.

Claim: the chains that `growing` gives say what reading the database anew in this transaction would.
Argument: a write transaction is alone from its start, so nothing changes while it reads, and its own changes are
followed in memory (`Growing`). SQLite's `data_version`, asked within it, is that of the transaction before only if no
other connection, of this process or any other, committed in between; and this connection commits nothing but what is
written here. Whatever raises, a commit too, ends the connection, and all that was known by it is forgotten. What is not
in the database, the saved heads, is looked at in each transaction.

Where that cannot be said, on a server, every transaction reads for itself.

Source: https://www.sqlite.org/pragma.html#pragma_data_version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from dpstats.ledger.database import writing
from dpstats.ledger.growing import Growing
from dpstats.ledger.writer import ChainWriter

_KNOWN = 10_000
"""Facts that are remembered at most: callers, queries' versions, caps and chains, one each."""


class Succession:
    """Write transactions of one caller at a time, who must not be interrupted by another of this process."""

    def __init__(self, engine: Engine, writer: ChainWriter) -> None:
        self._engine, self._writer = engine, writer
        # Held around a transaction: if its connection ended under it, SQLAlchemy would leave the block without a commit
        # and without an error.
        self._busy = threading.Lock()
        self._connection: Connection | None = None
        self._version: int | None = None
        self._chains: Growing | None = None

    @contextmanager
    def growing(self, done: Callable[[Connection], bool]) -> Iterator[Growing]:
        """A write transaction for chains, all of which is written when it ends; `done` as for `writing`."""
        with self._busy:
            with writing(self._engine, done, self._connected) as connection:
                chains = self._known(connection)
                yield chains
                chains.close()
            # A commit that was carried out though its connection was lost ends here too, and its facts with it.
            if self._connection is connection and self._version is not None:
                self._chains = chains

    def close(self) -> None:
        """Ends the connection, once no transaction is under way; the next one makes another."""
        with self._busy:
            self._end()

    def _end(self) -> None:
        connection, self._connection, self._chains = self._connection, None, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            yield self._connection
        except BaseException:
            self._end()
            raise
        if self._engine.dialect.name != "sqlite":
            self._end()

    def _known(self, connection: Connection) -> Growing:
        version = _version(connection)
        known, self._chains = self._chains, None
        if known is None or version is None or version != self._version or known.size > _KNOWN:
            known = Growing(connection, self._writer)
        else:
            known.go_on()
        self._version = version
        return known


def _version(connection: Connection) -> int | None:
    """Another one than before if another connection committed since; None where that cannot be told."""
    if connection.dialect.name != "sqlite":
        return None
    ((version,),) = connection.exec_driver_sql("PRAGMA data_version").fetchall()
    return int(version)
