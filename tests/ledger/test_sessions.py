"""Sign-ins of browsers: they end with their token, at once, whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ledger_asking import HandClock
from sqlalchemy import text

from dpstats.ledger.sessions import LIFE
from dpstats.ledger.store import Store


def signed_in(store: Store, **token: object) -> tuple[str, str]:
    """A token, and the secret of a sign-in with it."""
    made = store.tokens.create("ana", "analyst", ("shop",), None, "stu", **token)  # type: ignore[arg-type]
    secret = store.sessions.begin(made)
    assert secret is not None
    return made, secret


def test_a_sign_in_is_its_tokens(store: Store) -> None:
    token, secret = signed_in(store)
    assert store.sessions.find(secret) == store.tokens.authenticate(token)


def test_nobody_signs_in_with_what_is_no_token(store: Store) -> None:
    token, _ = signed_in(store)
    store.tokens.revoke("ana")
    assert [store.sessions.begin(wrong) for wrong in ("", "dps_unknown", token)] == [None] * 3


def test_a_secret_is_kept_nowhere_but_as_a_hash_and_is_not_the_token(store: Store) -> None:
    token, secret = signed_in(store)
    with store.engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM sessions")).fetchall())
    assert secret not in kept
    assert token not in kept
    assert secret != token
    assert store.tokens.authenticate(secret) is None
    assert store.sessions.find(token) is None


def test_a_revoked_token_ends_its_sign_ins_at_once_for_every_process(opened: Callable[..., Store]) -> None:
    here, there = opened(), opened()
    _, secret = signed_in(here)
    assert there.sessions.find(secret) is not None
    there.tokens.revoke("ana")
    assert here.sessions.find(secret) is None


def test_an_expired_token_ends_its_sign_ins(store: Store, clock: HandClock) -> None:
    _, secret = signed_in(store, life=timedelta(minutes=5))
    clock.now += timedelta(minutes=5)
    assert store.sessions.find(secret) is None


def test_a_new_secret_ends_the_sign_ins_of_the_old_one_after_its_grace(store: Store, clock: HandClock) -> None:
    _, secret = signed_in(store)
    store.tokens.rotate("ana", grace=timedelta(minutes=5))
    assert store.sessions.find(secret) is not None
    clock.now += timedelta(minutes=5)
    assert store.sessions.find(secret) is None


def test_a_sign_in_lasts_a_days_work_and_is_then_forgotten(store: Store, clock: HandClock) -> None:
    token, secret = signed_in(store)
    clock.now += LIFE
    assert store.sessions.find(secret) is None
    assert store.sessions.begin(token) is not None
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sessions")).scalar() == 1


def test_signing_out_ends_one_sign_in_and_no_other(store: Store) -> None:
    token, secret = signed_in(store)
    other = store.sessions.begin(token)
    assert other is not None
    store.sessions.end(secret)
    store.sessions.end(secret)
    assert (store.sessions.find(secret), store.sessions.find(other) is None) == (None, False)
