"""A freeze and a revocation count inside the charge, and for everything that is given out after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from ledger_asking import LINEAGE, MONTH, HandClock, ask_for, charge, make_request, permit, question, release

from dpstats.errors import DpstatsError, Frozen, NotApproved
from dpstats.ledger.store import Store

STOPS: dict[str, tuple[Callable[[Store], object], type[DpstatsError]]] = {
    "frozen": (lambda store: store.registry.freeze("shop", "stu"), Frozen),
    "revoked": (lambda store: store.registry.revoke("q", "stu"), NotApproved),
    "this version revoked": (lambda store: store.registry.revoke("q", "stu", "sha256:q"), NotApproved),
}


DAY = timedelta(days=1)


def spent(store: Store) -> int:
    return store.ledger.budget(LINEAGE).spent.amount


@pytest.fixture(params=list(STOPS))
def stop(request: pytest.FixtureRequest) -> tuple[Callable[[Store], object], type[DpstatsError]]:
    return STOPS[request.param]


def test_a_question_that_was_never_approved_is_not_charged(store: Store) -> None:
    with pytest.raises(NotApproved):
        store.ledger.charge(make_request())
    assert len(store.ledger.entries(LINEAGE)) == 1


def test_what_a_steward_stopped_is_not_charged_and_binds_no_key(store: Store, stop) -> None:
    permit(store, question())
    stopped, error = stop
    stopped(store)
    for changed in ({}, {"fresh": True}, {"idempotency_key": "k"}):
        with pytest.raises(error):
            ask_for(store, **changed)
    assert spent(store) == 0
    assert charge(store, "other", dataset="other shop", idempotency_key="k").seq == 2


def test_what_a_steward_stopped_is_not_given_again(store: Store, stop) -> None:
    release(store, idempotency_key="k")
    stopped, error = stop
    stopped(store)
    for give in (lambda: ask_for(store), lambda: ask_for(store, idempotency_key="k")):
        with pytest.raises(error):
            give()
    with pytest.raises(error):
        store.ledger.find_fresh(question())
    assert store.ledger.find_fresh(question("never asked")) is None
    assert spent(store) == 1


def test_an_unfinished_charge_of_what_a_steward_stopped_is_not_taken_up(store: Store, stop) -> None:
    charge(store)
    stopped, error = stop
    stopped(store)
    with pytest.raises(error):
        ask_for(store)


def test_a_draw_under_way_when_a_steward_stops_it_is_stored_and_not_given_out(store: Store, stop) -> None:
    made = charge(store)
    stopped, error = stop
    stopped(store)
    for body in (b"draw", b"another draw"):
        with pytest.raises(error):
            store.ledger.store(made, body=body, fresh_for=MONTH)
    store.registry.thaw("shop", "stu")
    store.registry.approve("q", "sha256:q", 1, "stu")
    given = ask_for(store)
    assert (given.release_id, given.body) == (made.release_id, b"draw")
    assert spent(store) == 1
    assert store.ledger.verify().ok


def test_another_version_approved_is_not_this_one(store: Store) -> None:
    charge(store)
    store.registry.revoke("q", "stu")
    store.registry.approve("q", "sha256:newer", 1, "stu")
    with pytest.raises(NotApproved):
        ask_for(store)


def test_a_thawed_dataset_and_a_version_approved_again_are_charged(store: Store, stop) -> None:
    permit(store, question())
    stop[0](store)
    store.registry.thaw("shop", "stu")
    store.registry.approve("q", "sha256:q", 1, "stu")
    charge(store)


# -- approvals that end by themselves ------------------------------------------------------------------------------


def approve_for(store: Store, span: timedelta | None) -> None:
    store.registry.approve("q", "sha256:q", 1, "stu", span)


def test_an_expired_approval_is_not_charged_and_gives_nothing_again(store: Store, clock: HandClock) -> None:
    permit(store, question())
    approve_for(store, DAY)
    given = store.ledger.store(charge(store), body=b"draw", fresh_for=MONTH)
    clock.advance(hours=23, minutes=59)
    assert ask_for(store) == given
    clock.advance(minutes=1)
    for ask in (
        lambda: ask_for(store),
        lambda: ask_for(store, fresh=True),
        lambda: store.ledger.find_fresh(question()),
    ):
        with pytest.raises(NotApproved):
            ask()
    assert spent(store) == 1
    approve_for(store, DAY)
    assert ask_for(store) == given


def test_a_draw_under_way_when_its_approval_expires_is_stored_and_not_given_out(store: Store, clock: HandClock) -> None:
    permit(store, question())
    approve_for(store, DAY)
    made = charge(store)
    clock.advance(days=1)
    with pytest.raises(NotApproved):
        store.ledger.store(made, body=b"draw", fresh_for=MONTH)
    approve_for(store, None)
    given = ask_for(store)
    assert (given.release_id, given.body) == (made.release_id, b"draw")


def test_a_shorter_approval_given_later_counts_and_an_earlier_longer_one_does_not(
    store: Store, clock: HandClock
) -> None:
    permit(store, question())
    approve_for(store, DAY)
    clock.advance(days=1)
    with pytest.raises(NotApproved):
        ask_for(store)


def test_a_revocation_ends_every_approval_of_the_version_whenever_it_would_expire(store: Store) -> None:
    permit(store, question())
    approve_for(store, DAY)
    approve_for(store, 2 * DAY)
    assert store.registry.revoke("q", "stu") == 3
    with pytest.raises(NotApproved):
        ask_for(store)
