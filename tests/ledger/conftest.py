"""A workspace of its own for each test, on each database, and a clock that the test moves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from ledger_asking import HandClock, open_lineage  # noqa: E402
from ledger_databases import FileDatabase, LedgerDatabase, ServerDatabase  # noqa: E402

import dpstats  # noqa: E402
from dpstats.ledger.store import Store, open_store  # noqa: E402


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, home: Path) -> LedgerDatabase:
    """Where the workspace's ledger is. Every test that opens one runs on both, unless it is about files alone."""
    if request.param == "sqlite":
        return FileDatabase(home / "ledger.db")
    return ServerDatabase(request.getfixturevalue("postgres"))


@pytest.fixture
def opened(home: Path, clock: HandClock, database: LedgerDatabase) -> Iterator[Callable[..., Store]]:
    """Opens the workspace, as often as wanted; all are closed in the end."""
    stores: list[Store] = []

    def open_(**options: object) -> Store:
        stores.append(open_store(home, clock, url=database.url, **options))  # type: ignore[arg-type]
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    """A workspace with one lineage of 100 steps of rho and 50 of delta."""
    made = opened()
    open_lineage(made)
    return made


@pytest.fixture
def worker(database: LedgerDatabase) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes of their own, as a second server or a command beside one would be."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        settings = {"PYTHONPATH": str(Path(dpstats.__file__).parents[1]), "LEDGER_URL": database.url}
        command = [sys.executable, str(HERE / "worker.py"), *map(str, arguments)]
        environment = os.environ | settings
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def raw(database: LedgerDatabase, store: Store) -> Iterator[Connection]:
    """A connection that dpstats knows nothing of, with the database's own defaults, to the store's ledger."""
    with database.connected() as connection:
        yield connection


@pytest.fixture
def vandal(database: LedgerDatabase, store: Store) -> Callable[..., None]:
    """Runs SQL on the closed ledger with every guard taken off, as whoever has the database can."""

    def run(*statements: str) -> None:
        store.close()
        with database.connected() as connection:
            database.take_guards_off(connection)
            for statement in statements:
                connection.exec_driver_sql(statement)

    return run
