"""Many at once: processes, threads, kills. Nothing is overspent, lost or drawn twice."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, MONTH, ask_for, charge, rho

from dpstats.errors import BudgetExhausted
from dpstats.ledger.records import Charged, StoredRelease
from dpstats.ledger.store import Store

Worker = Callable[..., "subprocess.Popen[str]"]


def test_eight_processes_on_a_budget_of_a_hundred_are_granted_exactly_a_hundred(
    store: Store, home: Path, worker: Worker
) -> None:
    processes = [worker("exhaust", home, i) for i in range(8)]
    results = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [error for error, _ in results] == ["BudgetExhausted"] * 8
    assert sum(int(granted) for _, granted in results) == 100
    assert store.ledger.budget(LINEAGE).remaining == rho(0, 50)
    report = store.ledger.verify()
    assert report.ok
    assert report.entries == 101
    assert store.ledger.head(LINEAGE).seq == 101


def test_threads_of_two_stores_on_a_small_budget_overspend_nothing(store: Store, opened: Callable[..., Store]) -> None:
    other = opened()

    def spend(i: int) -> int:
        try:
            charge((store, other)[i % 2], f"q{i}", amount=9)
        except BudgetExhausted:
            return 0
        return 9

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(24))) == 99
    assert store.ledger.budget(LINEAGE).spent == rho(99)
    assert store.ledger.verify().ok


def test_twins_end_with_one_charge_and_one_draw(store: Store) -> None:
    together = threading.Barrier(8)

    def ask(i: int) -> StoredRelease:
        together.wait()
        outcome = ask_for(store, amount=5)
        if isinstance(outcome, Charged):
            return store.ledger.store(outcome, body=b"draw %d" % i, fresh_for=MONTH)
        return outcome

    with ThreadPoolExecutor(8) as pool:
        releases = set(pool.map(ask, range(8)))
    assert len(releases) == 1
    assert store.ledger.budget(LINEAGE).spent == rho(5)


def test_one_idempotency_key_sent_by_eight_at_once_pays_once(store: Store) -> None:
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait()
        return charge(store, fresh=True, idempotency_key="k").release_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert store.ledger.budget(LINEAGE).spent == rho(1)


def test_those_who_open_a_new_workspace_at_once_all_find_one(home: Path, opened: Callable[..., Store]) -> None:
    together = threading.Barrier(6)

    def open_and_name(_: int) -> str:
        together.wait()
        opened().registry.register_dataset("shop", "text", "l")
        return (home / "ledger.key").read_text()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(open_and_name, range(6)))) == 1
    assert [item.revision for item in opened().registry.datasets()] == [1]


def test_a_kill_between_charge_and_storing_is_finished_under_the_same_charge(
    store: Store, home: Path, worker: Worker
) -> None:
    process = worker("die_after_charge", home, "-")
    release_id = process.communicate(timeout=60)[0].strip()
    assert process.returncode == -9
    assert store.ledger.budget(LINEAGE).spent == rho(1)
    again = charge(store)
    assert (again.release_id, again.resumed) == (release_id, True)
    assert store.ledger.store(again, body=b"draw", fresh_for=MONTH).release_id == release_id
    assert store.ledger.budget(LINEAGE).spent == rho(1)
    assert store.ledger.verify().ok


@pytest.mark.parametrize("after", [1, 7, 18])
def test_a_kill_at_any_moment_loses_no_charge_of_a_number_that_left(
    store: Store, home: Path, opened: Callable[..., Store], worker: Worker, after: int
) -> None:
    process = worker("release_for_ever", home, after)
    assert process.stdout
    sent = [process.stdout.readline().strip() for _ in range(after)]
    process.kill()
    sent += [line.strip() for line in process.stdout if line.endswith("\n")]
    charged = {entry.release_id for entry in store.ledger.entries(LINEAGE)}
    assert set(sent) <= charged
    for release_id in sent:
        assert store.ledger.release(release_id).body == b"draw"
    assert store.ledger.verify().ok
    assert opened().ledger.verify().ok
