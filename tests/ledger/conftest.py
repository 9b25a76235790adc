"""A workspace of its own for each test, and a clock that the test moves."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from ledger_asking import HandClock, open_lineage  # noqa: E402

import dpstats  # noqa: E402
from dpstats.ledger.store import Store, open_store  # noqa: E402


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def opened(home: Path, clock: HandClock) -> Iterator[Callable[..., Store]]:
    """Opens the workspace, as often as wanted; all are closed in the end."""
    stores: list[Store] = []

    def open_(**options: object) -> Store:
        stores.append(open_store(home, clock, **options))  # type: ignore[arg-type]
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
def worker() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes of their own, as a second server or a command beside one would be."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(dpstats.__file__).parents[1])}
        command = [sys.executable, str(HERE / "worker.py"), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def vandal(home: Path, store: Store) -> Callable[..., None]:
    """Runs SQL on the closed database's file with every guard taken off, as whoever has the file can."""

    def run(*statements: str) -> None:
        store.close()
        with closing(sqlite3.connect(home / "ledger.db", isolation_level=None)) as raw:
            names = raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            raw.execute("PRAGMA ignore_check_constraints=ON")
            for statement in (*(f"DROP TRIGGER {name}" for (name,) in names), *statements):
                raw.execute(statement)

    return run
