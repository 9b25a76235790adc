"""The consent database: a file of its own in the workspace, readable by its owner only.

No raw id is in it but those of rights requests that are open, and of notices that their recipients do not have yet.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import BigInteger, Column, Connection, Engine, Index, Integer, MetaData, Table, Text, insert, select

from dpstats.errors import FileError, LedgerBroken
from dpstats.ledger.database import faults_explained, reading, writing
from dpstats.ledger.files import PRIVATE, file_lock
from dpstats.ledger.sqlite import sqlite_engine

VERSION = 1
"""The version of the tables below."""
BUSY_TIMEOUT_MS = 30_000

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("identity", Text, nullable=False, unique=True),
    Column("lineage", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("confirms", Text, nullable=False),
    Column("observed_at", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Index("events_unit", "lineage", "unit"),
    Index("events_event", "event"),
    sqlite_autoincrement=True,  # a number is never given twice, so that what an epoch holds stays what it holds
)

shown = Table(
    "shown",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("notice_version", Text, nullable=False),
    Column("notice_sha256", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("method", Text, nullable=False),
)
"""What a person was shown when an event was made, of events that say so."""

minors = Table(
    "minors",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("turns_16_on", Text, nullable=False),
)
"""The day on which a known minor turns 16, of events that say so."""

epochs = Table(
    "epochs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("closed_at", Text, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)


class ConsentDatabase:
    """Transactions on the file at `path`, which is made when it is first used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction: everything in it is of one moment."""
        with self._explained(), reading(self._opened()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction, alone from its start; durable when the block ends, undone if it raises."""
        with self._explained(), writing(self._opened()) as connection:
            yield connection

    def empty_log(self) -> None:
        """Takes what was deleted out of SQLite's write-ahead log too.

        Where somebody still reads what was there before, it goes the next time: what was committed stands either way.
        """
        with closing(self._opened().raw_connection()) as raw, suppress(sqlite3.Error):
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Closes every connection."""
        if self._engine is not None:
            self._engine.dispose()

    def _opened(self) -> Engine:
        if self._engine is None:
            with faults_explained():
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                engine = sqlite_engine(self._path, BUSY_TIMEOUT_MS)
                with file_lock(self._path.with_name(f".{self._path.name}.lock")):
                    os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, PRIVATE))
                    self._prepare(engine)
            self._engine = engine
        return self._engine

    def _prepare(self, engine: Engine) -> None:
        with writing(engine) as connection:
            metadata.create_all(connection)
            for index in events.indexes:  # one that came after the table is not made with it
                index.create(connection, checkfirst=True)
            found = connection.execute(select(schema_version.c.version)).scalar()
            if found is None:
                connection.execute(insert(schema_version).values(version=VERSION))
            elif found != VERSION:
                raise FileError(str(self._path), "was written by another dpstats: use that one, or a newer one")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except LedgerBroken:
            raise FileError(str(self._path), "is not a consent database: restore it from a backup") from None
