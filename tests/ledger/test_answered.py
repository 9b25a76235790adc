"""Notes of which charges were answered: an answer that is gone from the database is missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ledger_asking import LINEAGE, charge, open_lineage, release

from dpstats.ledger.store import Store

Open = Callable[..., Store]
Vandal = Callable[..., None]
GONE = f"{LINEAGE}: the answer that entry {{}} paid for, release {{}}, was stored and is gone"


def answered(store: Store, name: str) -> str:
    made = release(store, name)
    store.answered.note(made.release_id)
    return made.release_id


def test_an_answer_that_is_taken_out_is_missed_by_name(store: Store, opened: Open, vandal: Vandal) -> None:
    first, second = answered(store, "a"), answered(store, "b")
    charge(store, "c")
    assert store.verify().ok
    vandal(f"DELETE FROM releases WHERE release_id = '{first}'")
    report = opened().verify()
    assert report.findings == (GONE.format(2, first),)
    assert (report.entries, report.ok) == (4, False)
    assert first in opened().answered
    assert second in opened().answered


def test_a_charge_that_was_never_answered_is_not_missed(store: Store) -> None:
    charged = charge(store, "a")
    answered(store, "b")
    assert charged.release_id not in store.answered
    assert store.verify().ok


def test_an_answer_that_a_steward_took_back_is_not_missed(store: Store, opened: Open, vandal: Vandal) -> None:
    made = answered(store, "a")
    store.ledger.withdraw(made, actor="stu", reason="wrong")
    vandal("DELETE FROM releases")
    assert opened().verify().ok


def test_the_walk_of_one_lineage_misses_its_own_answers_alone(store: Store, opened: Open, vandal: Vandal) -> None:
    open_lineage(store, lineage="other")
    made = answered(store, "a")
    vandal("DELETE FROM releases")
    assert opened().verify("other").ok
    assert opened().verify(LINEAGE).findings == (GONE.format(2, made),)


def test_the_answers_of_a_ledger_from_before_there_were_notes_are_noted_when_it_is_opened(
    store: Store, opened: Open, vandal: Vandal, home: Path
) -> None:
    made = release(store, "a")
    store.close()
    assert not (home / "answered").exists()
    opened().close()
    vandal("DELETE FROM releases")
    assert opened().verify().findings == (GONE.format(2, made.release_id),)


def test_a_note_that_cannot_be_written_takes_nothing_from_the_answer(store: Store, home: Path) -> None:
    (home / "answered").mkdir()
    made = answered(store, "a")
    assert made not in store.answered
    assert store.verify().ok
