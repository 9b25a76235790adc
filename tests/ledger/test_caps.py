"""Caps by role and purpose share a budget out: held in the charge's own transaction, and never more than the budget."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from ledger_asking import (
    LINEAGE,
    HandClock,
    ask_for,
    charge,
    make_request,
    open_lineage,
    permit,
    question,
    rho,
    token_of,
)
from sqlalchemy.engine import Connection

from dpstats.errors import BudgetExhausted, NotFound, Unauthorized
from dpstats.ledger.caps import Scope, Share
from dpstats.ledger.store import Store

Open = Callable[..., Store]
STEP = Decimal("1e-12")
ANALYSTS, MARKETING = Share(Scope.ROLE, "analyst"), Share(Scope.PURPOSE, "marketing")


def cap(store: Store, share: Share, amount: int | None, reason: str = "a share") -> None:
    store.caps.set(LINEAGE, share, amount, actor="stu", reason=reason)


def test_a_role_and_a_purpose_pay_at_most_their_caps_and_others_what_is_left(store: Store) -> None:
    cap(store, ANALYSTS, 30)
    cap(store, MARKETING, 20)
    charge(store, "a", amount=15, role="analyst", purpose="marketing")
    for share, role, purpose, left in ((MARKETING, "job", "marketing", 5), (ANALYSTS, "analyst", "reports", 15)):
        with pytest.raises(BudgetExhausted) as refused:
            ask_for(store, "b", amount=16, role=role, purpose=purpose)
        assert (refused.value.scope, refused.value.name) == (share.scope, share.name)
        assert refused.value.remaining == left * STEP
    charge(store, "b", amount=85, role="job", purpose="reports")
    with pytest.raises(BudgetExhausted) as refused:
        ask_for(store, "c", amount=1, role="analyst", purpose="marketing")
    assert refused.value.scope == "dataset"
    assert [(state.amount, state.spent, state.left) for state in store.caps.of(LINEAGE)] == [(30, 15, 15), (20, 15, 5)]
    assert store.ledger.verify().ok


def test_a_refused_charge_writes_nothing(store: Store) -> None:
    cap(store, ANALYSTS, 1)
    head = store.ledger.head(LINEAGE)
    with pytest.raises(BudgetExhausted):
        ask_for(store, "a", amount=2, role="analyst", idempotency_key="k")
    assert store.ledger.head(LINEAGE) == head
    charge(store, "b", amount=2, role="job", idempotency_key="k")


def test_a_cap_counts_what_was_charged_before_it_was_set(store: Store) -> None:
    charge(store, "a", amount=15, role="analyst")
    cap(store, ANALYSTS, 10)
    assert [state.left for state in store.caps.of(LINEAGE)] == [0]
    with pytest.raises(BudgetExhausted):
        ask_for(store, "b", role="analyst")


def test_what_was_released_is_given_again_whatever_the_caps_say(store: Store) -> None:
    paid = charge(store, "a", amount=5, role="analyst")
    store.ledger.store(paid, body=b"draw", fresh_for=timedelta(days=1))
    cap(store, ANALYSTS, 0)
    assert ask_for(store, "a", amount=5, role="analyst").release_id == paid.release_id


def test_every_change_of_a_cap_is_kept_with_who_when_and_why(store: Store, clock: HandClock) -> None:
    cap(store, ANALYSTS, 30, "a third")
    clock.advance(days=1)
    cap(store, ANALYSTS, 60, "more than that")
    cap(store, ANALYSTS, None, "no more caps")
    history = store.caps.history(LINEAGE)
    assert [(one.amount, one.reason) for one in history] == [
        (30, "a third"),
        (60, "more than that"),
        (None, "no more caps"),
    ]
    assert {one.actor for one in history} == {"stu"}
    assert (history[1].at - history[0].at).days == 1
    assert store.caps.of(LINEAGE) == ()
    charge(store, "a", amount=100, role="analyst")


def test_what_is_no_cap_is_refused(store: Store) -> None:
    for share, amount, reason, match in (
        (ANALYSTS, -1, "why", "at least 0"),
        (ANALYSTS, 2**62 + 1, "why", "at least 0"),
        (ANALYSTS, 1, "  ", "reason"),
        (ANALYSTS, None, "why", "no cap to end"),
        (Share(Scope.TOKEN, "tok"), 1, "why", "token's"),
    ):
        with pytest.raises(ValueError, match=match):
            cap(store, share, amount, reason)
    with pytest.raises(NotFound):
        store.caps.set("nobody", ANALYSTS, 1, actor="stu", reason="why")
    assert store.caps.history(LINEAGE) == ()


def test_caps_are_of_one_lineage_and_a_token_s_of_all(store: Store) -> None:
    open_lineage(store, lineage="others")
    cap(store, ANALYSTS, 10)
    token = {"token_id": token_of(store, "t"), "token_cap": 25}
    charge(store, "a", amount=20, lineage="others", role="analyst", **token)
    with pytest.raises(BudgetExhausted) as refused:
        ask_for(store, "b", amount=6, role="job", **token)
    assert refused.value.scope == "token"
    charge(store, "b", amount=5, role="analyst", **token)
    assert store.caps.token_spent(str(token["token_id"])) == 25


def test_several_who_charge_at_once_never_pass_a_cap_together(store: Store) -> None:
    cap(store, MARKETING, 20)
    for i in range(40):
        permit(store, question(f"q{i}"))

    def ask(i: int) -> str:
        try:
            store.ledger.charge(make_request(f"q{i}", purpose="marketing", role="analyst"))
        except BudgetExhausted as error:
            return error.scope
        return ""

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(ask, range(40))) == [""] * 20 + ["purpose"] * 20
    assert store.ledger.budget(LINEAGE).spent == rho(20)
    assert store.ledger.verify().ok


def test_charges_together_are_told_what_those_of_the_same_purpose_cost(store: Store) -> None:
    cap(store, MARKETING, 30)
    asked = (("a", 10, "reports"), ("b", 20, "marketing"), ("c", 15, "marketing"))
    for name, _, _ in asked:
        permit(store, question(name))
    with pytest.raises(BudgetExhausted) as refused:
        store.ledger.charge_all([make_request(name, amount=amount, purpose=of) for name, amount, of in asked])
    assert (refused.value.requested, refused.value.remaining) == (35 * STEP, 30 * STEP)
    assert (refused.value.scope, refused.value.name) == ("purpose", "marketing")
    assert store.ledger.budget(LINEAGE).spent == rho(0)


def test_a_charge_of_a_token_that_was_revoked_or_is_expired_by_now_is_refused(store: Store, clock: HandClock) -> None:
    revoked, live = token_of(store, "gone"), token_of(store, "live")
    charge(store, "a", token_id=revoked)
    store.tokens.revoke("gone")
    text = store.tokens.create("short", "analyst", (), None, "stu", life=timedelta(days=1))
    short = store.tokens.authenticate(text)
    assert short is not None
    clock.advance(days=1)
    for token in (revoked, short.token_id, "tok_never"):
        with pytest.raises(Unauthorized):
            ask_for(store, "b", token_id=token)
    charge(store, "b", token_id=live)


def test_running_totals_that_were_changed_are_seen(store: Store, raw: Connection) -> None:
    charge(store, "a", amount=15, role="analyst", purpose="marketing", token_id=token_of(store, "t"))
    finding = f"{LINEAGE}: the running totals of tokens, roles and purposes are not what its charges add up to"
    for change in ("UPDATE cap_totals SET amount = 1 WHERE scope = 'role'", "DELETE FROM cap_totals"):
        raw.exec_driver_sql(change)
        assert finding in store.ledger.verify().findings


def test_an_entry_says_its_role_and_purpose_and_its_hash_covers_them(
    store: Store, vandal: Callable[..., None], opened: Open
) -> None:
    charge(store, "a", role="analyst", purpose="marketing")
    charge(store, "b")
    entries = store.ledger.entries(LINEAGE)
    assert [(entry.role, entry.purpose) for entry in entries] == [(None, None), ("analyst", "marketing"), (None, None)]
    vandal("UPDATE entries SET purpose = 'reports' WHERE seq = 2")
    assert (
        f"{LINEAGE}: entry 2 was changed: its hash does not match its content"
        in opened(check=False).ledger.verify().findings
    )
