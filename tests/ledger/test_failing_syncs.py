"""A disk that fails to sync: strace makes the kernel answer EIO to real fsync and fdatasync calls of a real process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, charge, open_lineage, permit, question
from ledger_databases import ON_FILES, LedgerDatabase

import dpstats
from dpstats.ledger.store import Store

Open = Callable[..., Store]

RELEASES = 6
EVERY = 5
"""Which syncs fail: one in as many. A release makes another number of them, so each of its syncs fails in turn."""
MISSING = "no strace is installed: on Debian, `apt-get install strace`"


@pytest.fixture
def strace() -> str:
    """Where strace is. Without it the tests that need it fail: they are not skipped."""
    found = shutil.which("strace")
    assert found, MISSING
    return found


class Traced:
    """A worker whose syncs fail, all or one in so many: what it printed, and how many failed.

    Opening a ledger that is there syncs nothing, so the first sync is that of the first charge.
    """

    def __init__(self, strace: str, home: Path, url: str, failing: str) -> None:
        log = home.with_name("trace")
        inject = f"inject=fsync,fdatasync:error=EIO:when={failing}"
        traced = [strace, "-f", "--seccomp-bpf", "-o", str(log), "-e", "trace=fsync,fdatasync", "-e", inject]
        worker = [sys.executable, str(Path(__file__).with_name("worker.py")), "release_with_keys", str(home)]
        settings = {"PYTHONPATH": str(Path(dpstats.__file__).parents[1]), "LEDGER_URL": url}
        ran = subprocess.run(
            [*traced, *worker, str(RELEASES)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=300,
            env=os.environ | settings,
        )
        self.said = [line.split(maxsplit=3) for line in ran.stdout.splitlines()]
        self.failed = log.read_text().count("(INJECTED)")


def check(store: Store, worker: Traced) -> None:
    """Every number that left has one charge, and is the one that is stored; no key has two."""
    assert store.ledger.verify().ok
    charges = Counter(entry.release_id for entry in store.ledger.entries(LINEAGE)[1:])
    for _, _, release_id, body in (line for line in worker.said if line[0] == "left"):
        assert charges[release_id] == 1
        assert store.ledger.release(release_id).body.decode() == body
    assert charges.total() == store.ledger.budget(LINEAGE).spent.amount <= RELEASES


@pytest.fixture
def begun(opened: Open) -> None:
    """A workspace that may be asked all of it."""
    store = opened()
    open_lineage(store)
    for i in range(RELEASES):
        permit(store, question(f"q{i}"))
    store.close()


def test_whichever_sync_fails_what_left_was_charged_once(
    strace: str, begun: None, opened: Open, home: Path, database: LedgerDatabase
) -> None:
    """A server syncs its log itself, and its faults are its own; the saved heads are files here either way."""
    faulty = Traced(strace, home, database.url, f"1+{EVERY}")
    assert faulty.failed >= 2 * RELEASES // EVERY
    outcomes = Counter(line[0] for line in faulty.said)
    assert (outcomes["left"], outcomes.keys()) == (RELEASES, {"left", "Unavailable"})
    store = opened()
    check(store, faulty)
    assert charge(store, "after").seq == RELEASES + 2


@ON_FILES
def test_where_no_sync_works_nothing_leaves(strace: str, begun: None, opened: Open, home: Path) -> None:
    dead = Traced(strace, home, "", "1+")
    assert dead.failed >= RELEASES
    assert {line[0] for line in dead.said} == {"Unavailable"}
    store = opened()
    check(store, dead)
    assert store.ledger.releases().items == ()
