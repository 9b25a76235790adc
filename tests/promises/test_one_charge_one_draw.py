"""One charge shows one draw: charged before a row is read, never given back, drawn once, and then free.

Faults are real: memory that does not suffice, files that are gone, processes that are killed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from desk import ME, Desk
from one_draw_worker import digest

import dpstats
from dpstats.errors import BudgetExhausted, DpstatsError, LedgerBroken, NotLoaded, Unavailable
from dpstats.release import Ask

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 2.0, delta: 0}
tables:
  visits:
    columns:
      person: {type: bigint}
      amount: {type: bigint, bounds: [0, 100]}
  areas: {public: true, columns: {area: {type: bigint}}}
"""
LIGHT = """
query: spend
dataset: shop
sql: SELECT SUM(amount) AS spend FROM visits WHERE amount >= $n
parameters: {n: {type: integer, min: 0, max: 1000000, default: 0}}
bounds: {spend: [0, 100]}
contribution: {max_groups: 1}
cost: {epsilon: 0.1}
"""
HEAVY = """
query: heavy
dataset: shop
sql: SELECT area, AVG(amount) AS mean FROM visits CROSS JOIN areas GROUP BY area
keys: {area: {from: areas.area}}
contribution: {max_groups: 1}
cost: {epsilon: 0.1}
"""
"""Needs more than 64 MB, and takes a second."""
PRICE = 10**11
PEOPLE, AREAS = 5000, 300


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    return _set_up(new_desk())


def _set_up(desk: Desk) -> Desk:
    desk.add(DATASET, visits=_visits(1), areas={"area": list(range(AREAS))})
    desk.approve(LIGHT)
    desk.approve(HEAVY)
    return desk


def _visits(price: int) -> dict[str, list[int]]:
    return {"person": list(range(PEOPLE)), "amount": [price] * PEOPLE}


@pytest.fixture
def worker() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `one_draw_worker.py`."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(dpstats.__file__).parents[1])}
        command = [sys.executable, str(Path(__file__).parent / "one_draw_worker.py"), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _without(release: dict[str, object], *names: str) -> str:
    return json.dumps({name: value for name, value in release.items() if name not in names})


# -- the charge comes first, and stays -------------------------------------------------------------------------------


def test_what_fails_after_the_charge_stays_charged_and_the_next_try_pays_nothing(new_desk):
    desk = _set_up(new_desk(memory_limit_mb=64))
    for _ in range(2):
        with pytest.raises(Unavailable):
            desk.ask("heavy")
        assert desk.spent("shop") == PRICE
    (charge,) = desk.charges("shop")
    desk.change(memory_limit_mb=2000)
    release = desk.ask("heavy")
    assert desk.spent("shop") == PRICE
    assert release["release_id"] == charge["release_id"]
    assert release["created_at"] == charge["at"]
    assert desk.workspace.budgets.verify(ME).ok


def test_what_fails_after_the_charge_gives_nothing_back(new_desk):
    """Neither a charge taken away nor a grant that makes up for it."""
    desk = _set_up(new_desk(memory_limit_mb=64))
    before = desk.workspace.store.ledger.budget("shop")
    with pytest.raises(Unavailable):
        desk.ask("heavy")
    after = desk.workspace.store.ledger.budget("shop")
    assert after.cap == before.cap
    assert before.remaining.amount - after.remaining.amount == PRICE


def test_an_answer_whose_head_cannot_be_saved_is_neither_stored_nor_given_and_the_next_try_pays_nothing(desk):
    """Its rows are read while the head is on its way: what they said is gone with the failure."""
    lock = desk.home / "heads" / ".lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(Unavailable):
        desk.ask("spend")
    assert desk.spent("shop") == PRICE
    assert desk.workspace.releases.all(ME)["items"] == []
    lock.rmdir()
    (charge,) = desk.charges("shop")
    assert desk.ask("spend")["release_id"] == charge["release_id"]
    assert desk.spent("shop") == PRICE
    assert desk.workspace.budgets.verify(ME).ok


def test_the_charge_is_in_the_ledger_while_rows_are_read(desk, worker):
    process = worker("once", desk.home, "heavy", 1)
    (charge,) = _soon(lambda: desk.charges("shop"))
    assert process.poll() is None
    assert desk.workspace.releases.all(ME)["items"] == []
    assert process.wait(60) == 0
    (release,) = desk.workspace.releases.all(ME)["items"]
    assert release["release_id"] == charge["release_id"]


def test_a_process_killed_while_rows_are_read_leaves_a_charge_that_the_next_one_finishes(desk, worker):
    process = worker("once", desk.home, "heavy", 1)
    (charge,) = _soon(lambda: desk.charges("shop"))
    process.kill()
    process.wait()
    assert desk.workspace.releases.all(ME)["items"] == []
    desk.reopen()
    assert desk.ask("heavy")["release_id"] == charge["release_id"]
    assert desk.spent("shop") == PRICE


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("together", [False, True])
def test_an_answer_that_is_taken_out_of_the_database_is_not_drawn_again_under_its_charge(desk, key, together):
    """Whoever has the database, and asks, could have draws averaged else."""
    ask = Ask(ME, "spend", {}, idempotency_key=key)

    def answer():
        road = desk.workspace.releases._road
        return road.release_all([ask]) if together else road.release(ask)

    answer()
    desk.workspace.close()
    with closing(sqlite3.connect(desk.home / "ledger.db")) as database:
        for (guard,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {guard}")
        database.execute("DELETE FROM releases")
        database.commit()
    desk.reopen()
    (finding,) = desk.workspace.budgets.verify(ME).findings
    assert finding.startswith("shop: the answer that entry 2 paid for, ")
    with pytest.raises(LedgerBroken, match="was stored and is gone"):
        answer()
    assert desk.workspace.releases.all(ME)["items"] == []
    assert desk.spent("shop") == PRICE
    desk.ask("spend", fresh=True)
    assert desk.spent("shop") == 2 * PRICE


def _soon(found: Callable[[], list[dict[str, object]]]) -> list[dict[str, object]]:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found()


@pytest.mark.parametrize("damage", ["gone", "garbage", "empty"])
def test_data_that_cannot_be_opened_are_refused_before_the_charge_in_words_without_a_path(desk, damage):
    desk.workspace.close()
    (file,) = (desk.home / "data" / "shop").glob("*.duckdb")
    file.unlink() if damage == "gone" else file.write_bytes(b"no database" * 1000 * (damage == "garbage"))
    desk.reopen()
    with pytest.raises(NotLoaded) as refused:
        desk.ask("spend")
    assert str(desk.home) not in str(refused.value)
    assert desk.spent("shop") == 0
    desk.load("shop", visits=_visits(1), areas={"area": [1]})
    desk.ask("spend")
    assert desk.spent("shop") == PRICE


# -- replays ---------------------------------------------------------------------------------------------------------


def test_a_replay_is_the_same_release_byte_for_byte_and_free_whatever_the_data_have_done_since(desk):
    first = desk.ask("spend")
    stored = desk.workspace.store.ledger.release(first["release_id"]).body
    for step in ("again", "new data", "restarted"):
        if step == "new data":
            desk.load("shop", visits=_visits(100))
        if step == "restarted":
            desk.reopen()
        again = desk.ask("spend")
        assert _without(again, "replayed", "budget") == _without(first, "replayed", "budget")
        assert (first["replayed"], again["replayed"]) == (False, True)
        assert desk.workspace.store.ledger.release(first["release_id"]).body == stored
        assert desk.workspace.releases.earlier(ME, first["release_id"]) == again
        assert desk.spent("shop") == PRICE


def test_an_equal_question_is_a_replay_and_another_one_pays(desk):
    first = desk.ask("spend")
    assert desk.ask("spend", n=0)["release_id"] == desk.ask("spend", n="0")["release_id"] == first["release_id"]
    assert desk.ask("spend", n=1)["release_id"] != first["release_id"]
    assert desk.spent("shop") == 2 * PRICE


def test_fresh_draws_anew_and_pays_and_is_what_is_given_again_from_then_on(desk):
    first, second = desk.ask("spend"), desk.ask("spend", fresh=True)
    assert second["release_id"] != first["release_id"]
    assert desk.ask("spend")["release_id"] == second["release_id"]
    assert desk.spent("shop") == 2 * PRICE
    assert len({desk.ask("spend", fresh=True)["rows"][0]["spend"]["value"] for _ in range(8)}) > 1


def test_an_exhausted_budget_charges_nothing_and_still_gives_replays(desk):
    releases = [desk.ask("spend", n=n) for n in range(20)]
    assert desk.spent("shop") == 20 * PRICE
    for ask in (lambda: desk.ask("spend", n=20), lambda: desk.ask("spend", n=3, fresh=True), lambda: desk.ask("heavy")):
        with pytest.raises(BudgetExhausted) as refused:
            ask()
        assert (refused.value.requested, refused.value.remaining) == (Decimal("0.1"), 0)
    for n, release in enumerate(releases):
        assert desk.ask("spend", n=n)["rows"] == release["rows"]
    assert desk.spent("shop") == 20 * PRICE
    assert desk.workspace.releases.preview(ME, "spend", {"n": 20})["affordable"] is False
    assert desk.workspace.releases.preview(ME, "spend", {"n": 3})["free_replay"] is True


def test_refusals_charge_nothing(desk):
    for query, parameters in (("spend", {"n": -1}), ("spend", {"m": 1}), ("no_such_query", {})):
        with pytest.raises(DpstatsError):
            desk.ask(query, **parameters)
    desk.workspace.budgets.freeze(ME, "shop", frozen=True)
    with pytest.raises(DpstatsError):
        desk.ask("spend")
    assert desk.spent("shop") == 0


# -- many at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "callers"), [("spend", 8), ("heavy", 3)])
def test_threads_that_ask_one_question_at_once_get_one_answer_for_one_charge(desk, query, callers):
    barrier = threading.Barrier(callers)
    answers: list[tuple[bytes, bool]] = []

    def ask() -> None:
        barrier.wait()
        answer = desk.workspace.releases._road.release(Ask(ME, query, {}))
        answers.append((answer.stored.body, answer.made_now))

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == callers
    assert len({body for body, _ in answers}) == 1
    assert [made for _, made in answers].count(True) == 1
    assert desk.spent("shop") == PRICE


def test_processes_that_ask_one_question_at_once_get_one_answer_for_one_charge(desk, worker):
    lines = worker("together", desk.home, "spend", 4).communicate(timeout=60)[0].splitlines()
    assert len(lines) == 4
    assert len({tuple(line.split()[:2]) for line in lines}) == 1
    assert [line.split()[2] for line in lines].count("True") == 1
    assert desk.spent("shop") == PRICE


def test_threads_that_ask_for_more_than_is_left_get_exactly_what_is_left(desk):
    """30 questions, twice each, for a budget of 20."""
    desk.change(releases_waiting=60)
    outcomes: list[str] = []

    def ask(n: int) -> None:
        try:
            outcomes.append(desk.ask("spend", n=n // 2)["release_id"])
        except BudgetExhausted:
            outcomes.append("exhausted")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 60
    assert len(set(outcomes) - {"exhausted"}) == 20
    assert desk.spent("shop") == 20 * PRICE
    assert desk.workspace.budgets.verify(ME).ok


def test_processes_killed_at_any_moment_leave_a_sound_ledger_and_never_two_draws_for_a_charge(desk, worker):
    """15 processes, each killed within 60 ms after its first release; together they want more than the budget."""
    desk.workspace.budgets.grant(ME, "shop", epsilon=Decimal(4), reason="room for many")
    output, _ = worker("killed", desk.home, "spend", 15).communicate(timeout=120)
    given_out = [line.split() for line in output.splitlines() if line != "exhausted"]
    desk.reopen()
    charges = {charge["release_id"]: charge for charge in desk.charges("shop")}
    stored = {item["release_id"] for item in desk.workspace.releases.all(ME, limit=1000)["items"]}
    assert desk.workspace.budgets.verify(ME).findings == ()
    assert desk.spent("shop") == len(charges) * PRICE <= 60 * PRICE
    assert stored <= charges.keys()
    assert len(given_out) >= 15
    for release_id, sent in given_out:
        assert digest(desk.workspace.store.ledger.release(release_id).body) == sent
    for release_id in charges.keys() - stored:
        assert desk.ask("spend", **charges[release_id]["parameters"])["release_id"] == release_id
    assert desk.spent("shop") == len(charges) * PRICE
    assert desk.workspace.budgets.verify(ME).findings == ()
