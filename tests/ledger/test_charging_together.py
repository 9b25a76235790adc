"""Several answers are charged together or not at all, and never past what a month's envelope holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from ledger_asking import LINEAGE, HandClock, make_request, permit, question, release, rho, token_of

from dpstats.errors import BudgetExhausted, NotApproved
from dpstats.ledger.records import Charged, ChargeRequest, Envelope, StoredRelease
from dpstats.ledger.store import Store

STEP = Decimal("1e-12")


def requests(store: Store, *named: tuple[str, int], **changed: object) -> list[ChargeRequest]:
    for name, _ in named:
        permit(store, question(name))
    return [make_request(name, amount=amount, **changed) for name, amount in named]


def test_several_answers_are_charged_in_one_transaction_each_with_an_entry(store: Store) -> None:
    made = store.ledger.charge_all(requests(store, ("a", 10), ("b", 20), ("c", 30)))
    assert [charged.seq for charged in made if isinstance(charged, Charged)] == [2, 3, 4]
    assert store.ledger.budget(LINEAGE).spent == rho(60)
    assert store.ledger.head(LINEAGE).seq == 4
    assert store.ledger.verify().ok


def test_if_one_does_not_fit_none_is_charged_and_the_refusal_tells_of_all_of_them(store: Store) -> None:
    with pytest.raises(BudgetExhausted) as caught:
        store.ledger.charge_all(requests(store, ("a", 60), ("b", 30), ("c", 20)))
    assert (caught.value.requested, caught.value.remaining) == (110 * STEP, 100 * STEP)
    assert store.ledger.budget(LINEAGE).spent == rho(0)
    assert len(store.ledger.entries(LINEAGE)) == 1
    assert store.ledger.verify().ok


def test_if_one_is_not_approved_none_is_charged(store: Store) -> None:
    asked = [*requests(store, ("a", 10)), make_request("b", amount=10)]
    with pytest.raises(NotApproved):
        store.ledger.charge_all(asked)
    assert store.ledger.budget(LINEAGE).spent == rho(0)


def test_what_was_released_or_paid_before_is_not_charged_again(store: Store) -> None:
    stored = release(store, "a", amount=10)
    (paid,) = store.ledger.charge_all(requests(store, ("b", 20)))
    first, second, third = store.ledger.charge_all(requests(store, ("a", 10), ("b", 20), ("c", 30)))
    assert isinstance(first, StoredRelease)
    assert first.release_id == stored.release_id
    assert isinstance(second, Charged)
    assert second.resumed
    assert second.release_id == paid.release_id
    assert isinstance(third, Charged)
    assert store.ledger.budget(LINEAGE).spent == rho(60)


def test_the_cap_of_a_token_holds_for_all_of_them(store: Store) -> None:
    token = token_of(store, "t")
    with pytest.raises(BudgetExhausted) as caught:
        store.ledger.charge_all(requests(store, ("a", 10), ("b", 20), token_id=token, token_cap=25))
    assert (caught.value.scope, caught.value.remaining) == ("token", 25 * STEP)
    assert store.caps.token_spent(token) == 0


def test_an_envelope_holds_what_is_charged_for_its_reason_in_a_calendar_month(store: Store, clock: HandClock) -> None:
    inside = {"envelope": Envelope("refreshes a view", 30)}
    store.ledger.charge_all(requests(store, ("a", 10), **inside))
    store.ledger.charge_all(requests(store, ("other", 10)))
    with pytest.raises(BudgetExhausted) as caught:
        store.ledger.charge_all(requests(store, ("b", 10), ("c", 20), **inside))
    assert (caught.value.scope, caught.value.requested, caught.value.remaining) == ("envelope", 30 * STEP, 20 * STEP)
    assert store.ledger.spent_this_month(LINEAGE, "refreshes a view") == 10
    clock.advance(days=30, hours=23, minutes=59)
    assert store.ledger.spent_this_month(LINEAGE, "refreshes a view") == 10
    clock.advance(minutes=1)
    assert store.ledger.spent_this_month(LINEAGE, "refreshes a view") == 0
    store.ledger.charge_all(requests(store, ("b", 10), ("c", 20), **inside))
    assert [entry.reason for entry in store.ledger.entries(LINEAGE)][1:] == [
        "refreshes a view",
        "",
        "refreshes a view",
        "refreshes a view",
    ]
    assert store.ledger.verify().ok


def test_many_who_charge_one_envelope_at_once_never_charge_more_than_it_holds(store: Store) -> None:
    envelope = Envelope("refreshes a view", 25)
    asked = [requests(store, (f"a{n}", 2), (f"b{n}", 3), envelope=envelope) for n in range(10)]

    def refused(both: list[ChargeRequest]) -> bool:
        try:
            store.ledger.charge_all(both)
        except BudgetExhausted:
            return True
        return False

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(refused, asked))
    assert outcomes.count(False) == 5
    assert store.ledger.spent_this_month(LINEAGE, envelope.reason) == 25
    assert store.ledger.verify().ok


def test_a_release_is_found_again_when_it_is_no_longer_fresh_but_not_when_it_was_withdrawn(
    store: Store, clock: HandClock
) -> None:
    def newest() -> str | None:
        found = store.ledger.find_newest(question("a"))
        return found and found.release_id

    assert newest() is None
    first = release(store, "a", body=b"first")
    clock.advance(days=90)
    assert store.ledger.find_fresh(question("a")) is None
    assert newest() == first.release_id
    second = release(store, "a", body=b"second")
    assert newest() == second.release_id
    store.ledger.withdraw(second.release_id, actor="stu", reason="a mistake")
    assert newest() == first.release_id
    assert store.ledger.times_released(question("a")) == 2
