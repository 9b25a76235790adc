"""Workers that start at once on a new workspace make one of everything, and agree on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_databases import LedgerDatabase

import dpstats

WORKERS = 2
STARTS = """
import sys
from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
print("ready", flush=True)
sys.stdin.readline()
workspace = Workspace.open(read_settings())
token = workspace.tokens.create(operator("stu"), f"worker {sys.argv[1]}", "analyst")
names = [made["name"] for made in workspace.tokens.all(operator("stu"))]
print(workspace.store.ledger.public_key, f"worker {sys.argv[1]}" in names, flush=True)
workspace.close()
"""


@pytest.fixture
def workers(home: Path, database: LedgerDatabase) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that loaded everything and wait to be told to start."""
    package = str(Path(dpstats.__file__).parents[1])
    settings = {"PYTHONPATH": package, "DPSTATS_HOME": str(home), "DPSTATS_LEDGER_URL": database.url}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTS, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )
        for number in range(WORKERS)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_workers_that_start_at_once_on_a_new_workspace_make_one_of_everything(
    workers: list[subprocess.Popen[str]], home: Path, database: LedgerDatabase
) -> None:
    for process in workers:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in workers:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].split() for process in workers]
    keys, seen = zip(*said, strict=True)
    assert len(set(keys)) == 1
    assert set(seen) == {"True"}
    with database.connected() as raw:
        assert raw.exec_driver_sql("SELECT COUNT(*) FROM alembic_version").scalar() == 1
        assert raw.exec_driver_sql("SELECT COUNT(*) FROM tokens").scalar() == WORKERS
    assert [path.name for path in home.rglob(".*")] == [".ledger.lock"]  # nothing half made is left beside anything
