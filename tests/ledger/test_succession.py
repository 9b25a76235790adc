"""Charges go on from what the ones before left known: what anybody else commits counts from the next charge on."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, MONTH, ask_for, charge, make_request, permit, question, rho, token_of
from ledger_databases import ON_FILES
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from dpstats.errors import BudgetExhausted, DpstatsError, Frozen, LedgerBroken, NotApproved, Unauthorized, Unavailable
from dpstats.ledger.caps import Scope, Share
from dpstats.ledger.files import file_lock
from dpstats.ledger.growing import Growing
from dpstats.ledger.heads import Head, HeadFiles
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store

Open = Callable[..., Store]
CALLERS = 32


@contextmanager
def failing_commits(store: Store) -> Iterator[None]:
    """Every commit of the store's connections fails before it is carried out, as on a disk that is full."""

    def fail(_: object) -> None:
        raise OperationalError("COMMIT", None, OSError("no space left"))

    event.listen(store.engine, "commit", fail)
    yield
    event.remove(store.engine, "commit", fail)


@ON_FILES
def test_facts_are_read_once_while_nobody_else_commits_and_anew_after_it(store: Store) -> None:
    charge(store, "a")
    told = traced(store)
    for _ in range(2):
        store.ledger.charge(make_request("a", fresh=True))
    assert any(said.startswith("INSERT INTO entries") for said in told)
    assert not [said for said in told if said.startswith("SELECT")]
    store.registry.register_dataset("other", "dataset: other", LINEAGE)
    store.ledger.charge(make_request("a", fresh=True))
    assert [said for said in told if said.startswith("SELECT")]
    assert store.ledger.verify().ok


@ON_FILES
def test_what_is_known_is_still_known_after_a_release_is_stored(store: Store) -> None:
    charged = charge(store, "a")
    told = traced(store)
    store.ledger.store(charged, body=b"draw", fresh_for=MONTH)
    assert any(said.startswith("INSERT INTO releases") for said in told)
    told.clear()
    store.ledger.charge(make_request("a", fresh=True))
    assert any(said.startswith("INSERT INTO entries") for said in told)
    assert not [said for said in told if said.startswith("SELECT")]
    assert store.ledger.verify().ok


@ON_FILES
def test_a_store_that_is_refused_or_not_committed_leaves_nothing_and_the_next_one_goes_on(store: Store) -> None:
    charged = charge(store, "a")
    with pytest.raises(ValueError, match="the charge that paid"):
        store.ledger.store(replace(charged, seq=charged.seq + 1), body=b"other", fresh_for=MONTH)
    with failing_commits(store), pytest.raises(Unavailable):
        store.ledger.store(charged, body=b"lost", fresh_for=MONTH)
    assert store.ledger.releases().items == ()
    assert store.ledger.store(charged, body=b"draw", fresh_for=MONTH).body == b"draw"
    assert store.ledger.store(charged, body=b"again", fresh_for=MONTH).body == b"draw"
    charge(store, "b")
    assert store.ledger.verify().ok


def traced(store: Store) -> list[str]:
    """What SQLite is asked from now on by the connection through which groups are written."""
    told: list[str] = []
    connection = store.ledger._succession._connection
    assert connection is not None
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_trace_callback(told.append)
    return told


def test_what_a_steward_does_between_two_charges_counts_for_the_second(store: Store) -> None:
    token = token_of(store, "t")
    charge(store, "a", token_id=token)
    store.caps.set(LINEAGE, Share(Scope.PURPOSE, "measurement"), 5, actor="stu", reason="half")
    with pytest.raises(BudgetExhausted) as capped:
        ask_for(store, "b", amount=6, purpose="measurement")
    assert capped.value.scope == "purpose"
    charge(store, "b", amount=5, purpose="measurement")
    with pytest.raises(BudgetExhausted):
        ask_for(store, "c", amount=1, purpose="measurement")
    store.registry.freeze("shop", "stu")
    with pytest.raises(Frozen):
        store.ledger.charge(make_request("b", fresh=True))
    store.registry.thaw("shop", "stu")
    charge(store, "d", token_id=token)
    store.registry.revoke("a", "stu")
    with pytest.raises(NotApproved):
        store.ledger.charge(make_request("a", fresh=True))
    store.tokens.revoke(token)
    with pytest.raises(Unauthorized):
        ask_for(store, "e", token_id=token)
    assert store.ledger.verify().ok


def test_two_stores_that_take_turns_never_pass_the_budget_or_a_cap(store: Store, opened: Open) -> None:
    other = opened()
    store.caps.set(LINEAGE, Share(Scope.ROLE, "analyst"), 30, actor="stu", reason="a share")
    for i in range(10):
        charge(store if i % 2 else other, f"q{i}", amount=3, role="analyst")
    for one in (store, other):
        with pytest.raises(BudgetExhausted):
            ask_for(one, "more", amount=1, role="analyst")
    assert [entry.seq for entry in store.ledger.entries(LINEAGE)] == list(range(1, 12))
    assert store.ledger.budget(LINEAGE).spent == rho(30)
    assert store.ledger.verify().ok


def test_a_saved_head_that_is_gone_stops_the_next_charge(store: Store, home: Path) -> None:
    charge(store, "a")
    charge(store, "b")
    next((home / "heads").glob("*.json")).unlink()
    with pytest.raises(LedgerBroken, match="saved head is missing"):
        ask_for(store, "c")


def at_once(store: Store, names: list[str]) -> list[object]:
    """What each caller gets; all of them ask at the same moment."""
    together = threading.Barrier(len(names))

    def ask(name: str) -> object:
        together.wait()
        try:
            return store.ledger.charge(make_request(name))
        except DpstatsError as error:
            return error

    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(ask, names))


def test_many_callers_are_charged_once_each_and_every_receipt_is_behind_the_saved_head(
    store: Store, home: Path
) -> None:
    for turn in range(2):
        names = [f"{turn}q{i}" for i in range(CALLERS)]
        for name in names:
            permit(store, question(name))
        told = at_once(store, names)
        seqs = sorted(one.seq for one in told if isinstance(one, Charged))
        first = turn * CALLERS + 2
        assert seqs == list(range(first, first + CALLERS))
        saved = HeadFiles(home / "heads").read(LINEAGE)
        assert saved is not None
        assert saved.seq == seqs[-1]
    assert store.ledger.budget(LINEAGE).spent == rho(2 * CALLERS)
    assert store.ledger.verify().ok


def test_a_commit_that_fails_charges_nobody_and_the_next_charge_is_served(store: Store) -> None:
    """What was known before it is read anew, as what a lost commit left is not."""
    names = [f"q{i}" for i in range(CALLERS)]
    for name in ("before", *names):
        permit(store, question(name))
    store.ledger.charge(make_request("before"))
    with failing_commits(store):
        told = at_once(store, names)
    assert {type(one) for one in told} == {Unavailable}
    assert store.ledger.budget(LINEAGE).spent == rho(1)
    assert {type(one) for one in at_once(store, names)} == {Charged}
    assert store.ledger.budget(LINEAGE).spent == rho(1 + CALLERS)
    assert store.ledger.verify().ok


def test_who_is_killed_between_a_group_s_commit_and_its_saved_head_told_nobody_and_loses_nothing(
    store: Store, opened: Open, home: Path, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its head waits for the lock that this test holds."""
    for i in range(CALLERS):
        permit(store, question(f"q{i}"))
    with file_lock(home / "heads" / ".lock"):
        killed = worker("charge_at_once", home, CALLERS)
        while store.ledger.head(LINEAGE).seq < 2:
            assert killed.poll() is None
        killed.kill()
        assert killed.communicate(timeout=60)[0] == ""
    left = store.ledger.head(LINEAGE).seq - 1
    again = opened()
    saved = HeadFiles(home / "heads").read(LINEAGE)
    assert saved is not None
    assert saved.seq == left + 1  # whoever opens the ledger brings it up
    told = [again.ledger.charge(make_request(f"q{i}")) for i in range(CALLERS)]
    assert sum(isinstance(one, Charged) and one.resumed for one in told) == left
    assert again.ledger.budget(LINEAGE).spent == rho(CALLERS)
    assert again.ledger.verify().ok


def test_the_head_of_a_charge_that_is_taken_up_is_saved_before_it_is_given(store: Store, home: Path) -> None:
    charge(store, "a")
    lock = home / "heads" / ".lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(Unavailable):
        ask_for(store, "b")
    lock.rmdir()
    again = charge(store, "b")
    assert again.resumed
    assert HeadFiles(home / "heads").read(LINEAGE) == Head(LINEAGE, again.seq, again.hash, again.signature)


def test_a_store_is_closed_once_the_charge_under_way_is_durable(store: Store, opened: Open) -> None:
    """Its connection, ended under the transaction, would take the charge along without a word."""
    permit(store, question("a"))
    other = opened()
    before_commit, go_on = threading.Event(), threading.Event()
    real, told = Growing.close, []

    def held_up(chains: Growing) -> None:
        real(chains)
        before_commit.set()
        go_on.wait(60)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(Growing, "close", held_up)
        charging = pool.submit(lambda: told.append(other.ledger.charge(make_request("a"))))
        assert before_commit.wait(60)
        closing = pool.submit(other.ledger.close)
        with pytest.raises(TimeoutError):
            closing.result(timeout=0.2)
        go_on.set()
        charging.result(60)
        closing.result(60)
    (charged,) = told
    assert [entry.seq for entry in store.ledger.entries(LINEAGE)] == [1, charged.seq]
    assert store.ledger.verify().ok
