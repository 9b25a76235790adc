"""Files of an older time beside a newer database: what cannot be trusted is refused, and no budget comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, HandClock, ask_for, charge, rho
from ledger_databases import ON_FILES

from dpstats.errors import LedgerBroken, NotFound, Unavailable
from dpstats.ledger.store import Store, open_store

pytestmark = ON_FILES

Open = Callable[..., Store]
LOG, INDEX = "ledger.db-wal", "ledger.db-shm"


@pytest.fixture
def earlier(store: Store, home: Path, tmp_path: Path) -> Path:
    """SQLite's log and its index as they were after the first of three charges, the log not yet in the database."""
    folder = tmp_path / "earlier"
    folder.mkdir()
    charge(store, "a", amount=10)
    for name in (LOG, INDEX):
        shutil.copy(home / name, folder / name)
    charge(store, "b", amount=20)
    charge(store, "c", amount=30)
    return folder


def refused(home: Path, clock: HandClock) -> None:
    """The ledger is not opened; and opened without a look at it, it charges and grants nothing."""
    with pytest.raises((LedgerBroken, Unavailable)):
        open_store(home, clock)
    try:
        unchecked = open_store(home, clock, check=False)
    except LedgerBroken:  # not even its schema can be read
        return
    assert not unchecked.ledger.verify().ok
    for ask in (
        lambda: ask_for(unchecked, "d"),
        lambda: unchecked.ledger.grant(LINEAGE, rho(1), epsilon=1, actor="stu", reason="more"),
    ):
        with pytest.raises((LedgerBroken, Unavailable, NotFound)):  # not found: all of it was in the log
            ask()
    unchecked.close()


def test_an_older_log_beside_a_database_that_was_closed_gives_no_budget_back(
    store: Store, earlier: Path, home: Path, clock: HandClock
) -> None:
    store.close()
    assert not (home / LOG).exists()
    for name in (LOG, INDEX):
        shutil.copy(earlier / name, home / name)
    refused(home, clock)


def test_an_older_log_in_the_place_of_the_newer_one_gives_no_budget_back(
    store: Store, earlier: Path, home: Path, clock: HandClock, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    shutil.copytree(home, crashed)  # as a power cut leaves it: the log is not in the database
    for name in (LOG, INDEX):
        shutil.copy(earlier / name, crashed / name)
    refused(crashed, clock)


def test_a_log_that_is_gone_gives_no_budget_back(
    store: Store, earlier: Path, home: Path, clock: HandClock, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    shutil.copytree(home, crashed)
    (crashed / LOG).unlink()
    refused(crashed, clock)


@pytest.mark.parametrize("index", ["older", "gone", "torn"])
def test_an_index_that_does_not_fit_the_log_is_made_anew_and_nothing_is_lost(
    store: Store, earlier: Path, home: Path, clock: HandClock, tmp_path: Path, index: str
) -> None:
    crashed = tmp_path / "crashed"
    shutil.copytree(home, crashed)
    if index == "older":
        shutil.copy(earlier / INDEX, crashed / INDEX)
    elif index == "torn":
        (crashed / INDEX).write_bytes((crashed / INDEX).read_bytes()[:100] + b"\xff" * 1000)
    else:
        (crashed / INDEX).unlink()
    again = open_store(crashed, clock)
    assert again.ledger.budget(LINEAGE).spent == rho(60)
    assert again.ledger.verify().ok
    assert charge(again, "d").seq == 5
    again.close()
