from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_asking import HandClock, charge
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from dpstats.errors import BudgetExhausted, Conflict, NotFound
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity, Role, State


def test_a_token_says_who_calls(store: Store) -> None:
    token = store.tokens.create("ana's laptop", "analyst", ("shop", "web"), Decimal("0.0000000000019"), "stu")
    identity = store.tokens.authenticate(token)
    assert isinstance(identity, Identity)
    assert (identity.name, identity.role, identity.datasets) == ("ana's laptop", Role.ANALYST, ("shop", "web"))
    assert identity.cap_steps == 1  # what may be spent rounds down


def test_a_token_without_datasets_sees_all_and_without_a_cap_has_none(store: Store) -> None:
    identity = store.tokens.authenticate(store.tokens.create("s", Role.STEWARD, (), None, "init"))
    assert identity is not None
    assert (identity.datasets, identity.cap_steps) == ((), None)


def test_a_token_has_256_random_bits(store: Store) -> None:
    tokens = [store.tokens.create(f"t{i}", "job", (), None, "stu") for i in range(5)]
    assert len(set(tokens)) == 5
    for token in tokens:
        assert token.startswith("dps_")
        assert len(base64.urlsafe_b64decode(token.removeprefix("dps_") + "=")) == 32


def test_a_token_is_kept_nowhere_but_as_a_hash(store: Store, raw: Connection, home: Path) -> None:
    token = store.tokens.create("t", "collector", (), None, "stu")
    store.tokens.authenticate(token)
    shown = repr((store, store.tokens, store.tokens.list(), store.tokens.authenticate(token)))
    files = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    tables = [raw.exec_driver_sql(f"SELECT * FROM {name}").fetchall() for name in inspect(raw).get_table_names()]
    assert token[:8] in repr(tables)
    assert token not in shown + repr(tables)
    assert token.encode() not in files
    assert token.removeprefix("dps_")[4:].encode() not in files
    (kept,) = store.tokens.list()
    assert kept.prefix == token[:8]


@pytest.mark.parametrize("wrong", ["", "dps_", "x", "dps_" + "A" * 43, "\x00", "\ud800", "ü" * 50, "' OR 1=1 --"])
def test_an_unknown_token_is_nobody(store: Store, wrong: str) -> None:
    store.tokens.create("t", "job", (), None, "stu")
    assert store.tokens.authenticate(wrong) is None


def test_a_revoked_token_is_nobody_at_once_and_its_name_is_free_again(store: Store, clock: HandClock) -> None:
    first = store.tokens.create("t", "job", (), None, "stu")
    with pytest.raises(Conflict, match="a token named t is live"):
        store.tokens.create("t", "analyst", (), None, "stu")
    assert store.tokens.revoke("t") == 1
    assert store.tokens.authenticate(first) is None
    assert store.tokens.revoke("t") == 0
    clock.advance(seconds=1)
    second = store.tokens.create("t", "analyst", (), None, "stu")
    identity = store.tokens.authenticate(second)
    assert identity is not None
    assert [item.revoked_at is None for item in store.tokens.list()] == [False, True]
    assert store.tokens.revoke(identity.token_id) == 1
    assert store.tokens.authenticate(second) is None
    assert store.tokens.revoke("nobody") == 0


@pytest.mark.parametrize(
    ("name", "role", "cap"),
    [(" ", "job", None), ("t", "king", None)]
    + [("t", "job", Decimal(bad)) for bad in ("-0.1", "NaN", "sNaN", "Infinity", "1e30")],
)
def test_a_token_that_makes_no_sense_is_not_made(store: Store, name: str, role: str, cap: Decimal | None) -> None:
    with pytest.raises(ValueError, match=r"name|king|cap"):
        store.tokens.create(name, role, (), cap, "stu")
    assert store.tokens.list() == ()


def test_no_token_is_named_as_another_ones_id(store: Store) -> None:
    store.tokens.create("all", "steward", (), None, "stu")
    (record,) = store.tokens.list()
    with pytest.raises(Conflict, match="formed as an id"):
        store.tokens.create(record.identity.token_id, "steward", ("shop",), None, "sue")


def test_a_cap_of_nothing_is_a_token_for_replays_alone(store: Store) -> None:
    identity = store.tokens.authenticate(store.tokens.create("t", "job", (), Decimal(0), "stu"))
    assert identity is not None
    assert identity.cap_steps == 0


def test_a_token_ends_at_its_hour_and_its_name_is_free_again(store: Store, clock: HandClock) -> None:
    token = store.tokens.create("t", "job", (), None, "stu", life=timedelta(days=90))
    clock.advance(days=90, microseconds=-1)
    assert store.tokens.authenticate(token) is not None
    (kept,) = store.tokens.list()
    assert (kept.state, kept.expires_at) == (State.LIVE, clock.now + timedelta(microseconds=1))
    clock.advance(microseconds=1)
    assert store.tokens.authenticate(token) is None
    assert [item.state for item in store.tokens.list()] == [State.EXPIRED]
    assert store.tokens.revoke("t") == 0
    with pytest.raises(NotFound):
        store.tokens.rotate("t", life=timedelta(days=1))
    assert store.tokens.authenticate(store.tokens.create("t", "job", (), None, "stu")) is not None


@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1)])
def test_a_token_that_would_be_over_is_not_made(store: Store, life: timedelta) -> None:
    with pytest.raises(ValueError, match="lives"):
        store.tokens.create("t", "job", (), None, "stu", life=life)
    kept = store.tokens.create("t", "job", (), None, "stu")
    with pytest.raises(ValueError, match="lives"):
        store.tokens.rotate("t", life=life)
    with pytest.raises(ValueError, match="grace"):
        store.tokens.rotate("t", grace=timedelta(seconds=-1))
    assert store.tokens.authenticate(kept) is not None


def test_a_life_beyond_the_calendar_lasts_as_long_as_there_are_days(store: Store) -> None:
    token = store.tokens.create("t", "job", (), None, "stu", life=timedelta.max)
    assert store.tokens.authenticate(token) is not None


def test_a_new_secret_is_the_same_token_with_what_it_may_and_what_it_spent(store: Store) -> None:
    first = store.tokens.create("t", "job", ("shop",), Decimal("25e-12"), "stu", life=timedelta(days=9))
    before = store.tokens.authenticate(first)
    assert before is not None
    charge(store, "a", amount=20, token_id=before.token_id, token_cap=before.cap_steps)
    second = store.tokens.rotate("t")
    assert store.tokens.authenticate(first) is None
    after = store.tokens.authenticate(second)
    assert after == before
    assert store.caps.token_spent(after.token_id) == 20
    with pytest.raises(BudgetExhausted):
        charge(store, "b", amount=10, token_id=after.token_id, token_cap=after.cap_steps)
    (kept,) = store.tokens.list()
    assert (kept.state, kept.prefix, kept.earlier_until) == (State.LIVE, second[:8], None)
    assert kept.expires_at == kept.created_at + timedelta(days=9)


def test_the_old_secret_is_taken_for_its_grace_and_no_longer(store: Store, clock: HandClock) -> None:
    first = store.tokens.create("t", "job", (), None, "stu")
    second = store.tokens.rotate("t", grace=timedelta(hours=1))
    identity = store.tokens.authenticate(second)
    assert identity == store.tokens.authenticate(first)
    assert [item.earlier_until for item in store.tokens.list()] == [clock.now + timedelta(hours=1)]
    clock.advance(hours=1, microseconds=-1)
    assert store.tokens.authenticate(first) == identity
    clock.advance(microseconds=1)
    assert store.tokens.authenticate(first) is None
    assert store.tokens.authenticate(second) == identity
    assert [item.earlier_until for item in store.tokens.list()] == [None]


def test_the_secret_before_the_old_one_ends_whatever_its_grace_was(store: Store) -> None:
    first = store.tokens.create("t", "job", (), None, "stu")
    second = store.tokens.rotate("t", grace=timedelta(days=1))
    third = store.tokens.rotate("t", grace=timedelta(days=1))
    assert [store.tokens.authenticate(secret) is not None for secret in (first, second, third)] == [False, True, True]


def test_a_grace_does_not_lengthen_the_life_of_the_old_secret(store: Store, clock: HandClock) -> None:
    first = store.tokens.create("t", "job", (), None, "stu", life=timedelta(days=1))
    second = store.tokens.rotate("t", grace=timedelta(days=5), life=timedelta(days=90))
    clock.advance(days=1)
    assert store.tokens.authenticate(first) is None
    assert store.tokens.authenticate(second) is not None


@pytest.mark.parametrize("by", ["t", "id"])
def test_a_revocation_ends_every_secret_of_a_token(store: Store, by: str) -> None:
    first = store.tokens.create("t", "job", (), None, "stu")
    identity = store.tokens.authenticate(first)
    assert identity is not None
    second = store.tokens.rotate(identity.token_id, grace=timedelta(days=1))
    assert store.tokens.revoke("t" if by == "t" else identity.token_id) == 1
    assert [store.tokens.authenticate(secret) for secret in (first, second)] == [None, None]
    with pytest.raises(NotFound, match="no live token named 't'"):
        store.tokens.rotate("t")


def test_no_secret_of_a_rotated_token_is_kept_but_as_a_hash(store: Store, raw: Connection) -> None:
    first = store.tokens.create("t", "job", (), None, "stu")
    second = store.tokens.rotate("t", grace=timedelta(days=1))
    tables = repr([raw.exec_driver_sql(f"SELECT * FROM {name}").fetchall() for name in inspect(raw).get_table_names()])
    assert first not in tables
    assert second not in tables


def test_another_process_s_revocation_and_rotation_count_for_the_very_next_request(
    store: Store, opened: Callable[..., Store]
) -> None:
    beside = opened()
    gone = store.tokens.create("gone", "job", (), None, "stu")
    old = store.tokens.create("turned", "job", (), None, "stu")
    assert None not in (beside.tokens.authenticate(gone), beside.tokens.authenticate(old))
    store.tokens.revoke("gone")
    store.tokens.rotate("turned")
    assert (beside.tokens.authenticate(gone), beside.tokens.authenticate(old)) == (None, None)
