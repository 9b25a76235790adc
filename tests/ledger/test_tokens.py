from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_asking import HandClock
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from dpstats.errors import Conflict
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity, Role


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


def test_a_cap_of_nothing_is_a_token_for_replays_alone(store: Store) -> None:
    identity = store.tokens.authenticate(store.tokens.create("t", "job", (), Decimal(0), "stu"))
    assert identity is not None
    assert identity.cap_steps == 0
