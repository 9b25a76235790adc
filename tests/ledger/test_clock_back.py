"""A clock that is set back a day: nothing is charged less, twice or past what a month may hold, and the chain holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from ledger_asking import LINEAGE, HandClock, ask_for, charge, release, rho

from dpstats.errors import BudgetExhausted
from dpstats.ledger.records import Envelope
from dpstats.ledger.store import Store

Open = Callable[..., Store]


def test_charges_go_on_the_budget_is_exact_and_the_clock_is_known_to_be_wrong(
    store: Store, clock: HandClock, opened: Open
) -> None:
    charge(store, "a", amount=10)
    assert store.ledger.clock_is_right()
    clock.advance(days=-1)
    assert not store.ledger.clock_is_right()
    assert charge(store, "b", amount=20).seq == 3
    store.ledger.grant(LINEAGE, rho(5), epsilon=5, actor="stu", reason="more")
    store.close()
    again = opened()
    assert again.ledger.budget(LINEAGE).remaining == rho(75, 50)
    assert again.ledger.verify().ok


def test_what_was_released_or_paid_is_given_again_and_not_charged_twice(store: Store, clock: HandClock) -> None:
    first = release(store, "a", amount=10)
    unanswered = charge(store, "b", amount=20, idempotency_key="k")
    clock.advance(days=-1)
    assert ask_for(store, "a", amount=10).release_id == first.release_id
    for key in (None, "k"):
        assert ask_for(store, "b", amount=20, idempotency_key=key).release_id == unanswered.release_id
    assert store.ledger.budget(LINEAGE).spent == rho(30)


def test_a_month_that_comes_twice_holds_no_more(store: Store, clock: HandClock) -> None:
    envelope = Envelope("feature view v", 10)
    clock.now = datetime(2026, 5, 1, 6, tzinfo=UTC)
    charge(store, "a", amount=10, envelope=envelope)
    clock.advance(days=-1)
    with pytest.raises(BudgetExhausted) as refused:
        charge(store, "b", amount=1, envelope=envelope)
    assert refused.value.scope == "envelope"


def test_a_token_that_was_revoked_stays_so(store: Store, clock: HandClock) -> None:
    text = store.tokens.create("t", "analyst", (), None, "stu", life=timedelta(days=30))
    store.tokens.revoke("t")
    clock.advance(days=-1)
    assert store.tokens.authenticate(text) is None
