"""The two databases that a ledger can be in, as those see them who go around dpstats."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from sqlalchemy import NullPool, create_engine
from sqlalchemy.engine import Connection

from dpstats.ledger.postgres import WRITERS

ON_FILES = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For a test that is about SQLite's file itself."""

ON_SERVERS = pytest.mark.parametrize("database", ["postgres"], indirect=True)
"""For a test that is about the server itself."""


class FileDatabase:
    """The SQLite file in the workspace."""

    url = ""
    replacing = "REPLACE INTO {table} SELECT * FROM {table}"
    write_lock = "BEGIN IMMEDIATE"

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection without a transaction of its own."""
        yield from _connected(f"sqlite:///{self._path}")

    def take_guards_off(self, connection: Connection) -> None:
        """Drops triggers, and ignores checks."""
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")

    def save(self) -> None:
        """Makes a backup; the workspace is closed."""
        shutil.copy(self._path, self._backup)

    def restore(self) -> None:
        """Puts the backup back; the workspace is closed."""
        shutil.copy(self._backup, self._path)

    def copy_for(self, home: Path) -> str:
        """The address of a copy of the ledger for a copy of the workspace in `home`, which has the file already."""
        return ""

    def another(self) -> str:
        """The address of an empty ledger for another workspace."""
        return ""

    def lose(self) -> None:
        """Nothing is left of it."""
        self._path.unlink()

    @property
    def _backup(self) -> Path:
        return self._path.with_name("backup.db")


class ServerDatabase:
    """A database of a PostgreSQL server."""

    replacing = (
        "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {column} = EXCLUDED.{column}"
    )
    write_lock = f"BEGIN; SELECT pg_advisory_xact_lock({WRITERS})"

    def __init__(self, server: PostgresServer) -> None:
        self.server, self.name = server, server.new_database()
        self.url = server.url(self.name)
        self._backup = ""

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection without a transaction of its own."""
        yield from _connected(self.url)

    def take_guards_off(self, connection: Connection) -> None:
        """Disables triggers, and drops checks."""
        connection.exec_driver_sql("SET session_replication_role = replica")
        checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c'"
        for table, name in connection.exec_driver_sql(checks).fetchall():
            if table == "entries":
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    def save(self) -> None:
        """Makes a backup; the workspace is closed."""
        self._backup = self.server.new_database(f"TEMPLATE {self.name}")

    def restore(self) -> None:
        """Puts the backup back; the workspace is closed."""
        self.server.execute("postgres", f"DROP DATABASE {self.name}")
        self.server.execute("postgres", f"CREATE DATABASE {self.name} TEMPLATE {self._backup}")

    def copy_for(self, home: Path) -> str:
        """The address of a copy of the ledger for a copy of the workspace in `home`."""
        return self.server.url(self.server.new_database(f"TEMPLATE {self.name}"))

    def another(self) -> str:
        """The address of an empty ledger for another workspace."""
        return self.server.url(self.server.new_database())

    def lose(self) -> None:
        """Nothing is left of it but an empty database of its name."""
        self.server.execute("postgres", f"DROP DATABASE {self.name}", f"CREATE DATABASE {self.name}")


LedgerDatabase = FileDatabase | ServerDatabase


def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
