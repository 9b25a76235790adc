"""A release that a steward withdrew is given to nobody; its charge stays, and the next answer is paid for anew."""

from __future__ import annotations

import pytest
from ledger_asking import LINEAGE, MONTH, ask_for, charge, question, release

from dpstats.errors import IdempotencyConflict, NotFound
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store


def withdraw(store: Store, release_id: str) -> bool:
    return store.ledger.withdraw(release_id, actor="stu", reason="a wrong file")


def spent(store: Store) -> int:
    return store.ledger.budget(LINEAGE).spent.amount


def test_a_withdrawn_release_is_drawn_and_charged_anew(store: Store) -> None:
    first = release(store)
    assert withdraw(store, first.release_id)
    assert store.ledger.find_fresh(question()) is None
    again = ask_for(store)
    assert isinstance(again, Charged)
    assert again.release_id != first.release_id
    assert spent(store) == 2
    second = store.ledger.store(again, body=b"another draw", fresh_for=MONTH)
    assert ask_for(store) == second
    assert store.ledger.verify().ok


def test_a_withdrawn_release_is_on_no_list_and_under_no_id(store: Store) -> None:
    kept, gone = release(store, "kept"), release(store, "gone")
    withdraw(store, gone.release_id)
    assert store.ledger.releases().items == (kept,)
    with pytest.raises(NotFound):
        store.ledger.release(gone.release_id)


def test_a_key_whose_release_was_withdrawn_pays_for_no_other(store: Store) -> None:
    withdraw(store, release(store, idempotency_key="k").release_id)
    with pytest.raises(IdempotencyConflict):
        ask_for(store, idempotency_key="k")
    assert spent(store) == 1


def test_a_second_draw_under_a_withdrawn_charge_finds_it_withdrawn(store: Store) -> None:
    made = charge(store)
    store.ledger.store(made, body=b"draw", fresh_for=MONTH)
    withdraw(store, made.release_id)
    with pytest.raises(NotFound):
        store.ledger.store(made, body=b"draw", fresh_for=MONTH)


def test_a_withdrawal_needs_a_reason_and_a_release_and_is_made_once(store: Store) -> None:
    made = release(store)
    with pytest.raises(ValueError, match="needs a reason"):
        store.ledger.withdraw(made.release_id, actor="stu", reason=" ")
    with pytest.raises(NotFound):
        withdraw(store, "nope")
    with pytest.raises(NotFound):
        withdraw(store, charge(store, "unanswered").release_id)
    assert (withdraw(store, made.release_id), withdraw(store, made.release_id)) == (True, False)
