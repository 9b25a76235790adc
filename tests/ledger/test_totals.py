"""Running totals stand in for adding up every entry, and are never believed without their signature and their entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest
from ledger_asking import LINEAGE, ask_for, charge, make_request, open_lineage, permit, question, rho
from ledger_databases import LedgerDatabase
from sqlalchemy.engine import Connection

from dpstats.errors import LedgerBroken
from dpstats.ledger import journal, running, writer
from dpstats.ledger.chain import Entry
from dpstats.ledger.database import reading
from dpstats.ledger.store import Store

Open = Callable[..., Store]
Vandal = Callable[..., None]


def fill(store: Store) -> None:
    for name, amount in (("a", 10), ("b", 20), ("c", 30)):
        charge(store, name, amount=amount)


def test_totals_are_kept_with_every_grant_and_charge_and_are_what_the_entries_add_up_to(store: Store) -> None:
    open_lineage(store, lineage="others")
    for step in (
        lambda: charge(store, "a", amount=10, delta=3),
        lambda: store.ledger.grant(LINEAGE, rho(7, 1), epsilon=5, actor="stu", reason="more"),
        lambda: charge(store, "b", amount=20),
    ):
        step()
        with reading(store.engine) as connection:
            kept, newest = running.kept(connection, LINEAGE), journal.newest(connection, LINEAGE)
            assert kept is not None
            assert newest is not None
            assert asdict(running.sums_of(kept)) == asdict(journal.sums(connection, LINEAGE))
            assert (kept["seq"], kept["hash"]) == (newest.seq, newest.hash)
    assert store.ledger.budget(LINEAGE).remaining == rho(77, 48)


def test_a_ledger_without_totals_is_added_up_once_and_keeps_them_from_then_on(
    store: Store, opened: Open, vandal: Vandal
) -> None:
    fill(store)
    vandal("DELETE FROM chain_totals")
    assert opened(check=False).ledger.budget(LINEAGE).spent == rho(60)
    again = opened()
    with reading(again.engine) as connection:
        assert running.kept(connection, LINEAGE) is not None
    assert again.ledger.verify().ok


def test_an_entry_gone_from_far_back_gives_nothing_back_and_is_seen_by_verify(
    store: Store, opened: Open, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening counts the newest entries alone; the totals, which are signed, still hold what the lost one charged."""
    monkeypatch.setattr(writer, "COUNTED", 2)
    fill(store)  # a grant and three charges
    vandal("DELETE FROM entries WHERE seq = 2")
    again = opened()
    assert again.ledger.budget(LINEAGE).spent == rho(60)
    assert not again.ledger.verify().ok
    vandal("DELETE FROM entries WHERE seq = 3")
    with pytest.raises(LedgerBroken):
        opened()


@pytest.mark.parametrize("change", ["charged_amount = 0", "granted_amount = 999", "signature = 'ed25519:'", "seq = 3"])
def test_changed_totals_are_refused_by_a_running_ledger_and_by_opening_and_seen(
    change: str, store: Store, opened: Open, raw: Connection
) -> None:
    fill(store)
    raw.exec_driver_sql(f"UPDATE chain_totals SET {change}")
    for ask in (lambda: ask_for(store), lambda: store.ledger.budget(LINEAGE), opened):
        with pytest.raises(LedgerBroken, match="running totals are not signed"):
            ask()
    assert f"{LINEAGE}: its running totals are not signed with this workspace's key" in store.ledger.verify().findings


def test_totals_of_an_earlier_moment_give_no_budget_back(store: Store, opened: Open, raw: Connection) -> None:
    charge(store, "a", amount=10)
    raw.exec_driver_sql("CREATE TABLE earlier AS SELECT * FROM chain_totals")
    charge(store, "b", amount=20)
    raw.exec_driver_sql("DELETE FROM chain_totals")
    raw.exec_driver_sql("INSERT INTO chain_totals SELECT * FROM earlier")
    for ask in (lambda: ask_for(store), lambda: store.ledger.budget(LINEAGE), opened):
        with pytest.raises(LedgerBroken, match="go up to entry 2, and the ledger to entry 3"):
            ask()
    assert store.ledger.verify().findings == (f"{LINEAGE}: its running totals are not what its entries add up to",)


def test_an_entry_removed_within_a_running_ledger_gives_no_budget_back_and_is_seen(
    store: Store, opened: Open, raw: Connection, database: LedgerDatabase
) -> None:
    fill(store)
    database.take_guards_off(raw)
    raw.exec_driver_sql("DELETE FROM entries WHERE seq = 3")
    assert store.ledger.budget(LINEAGE).spent == rho(60)
    assert not store.ledger.verify().ok
    with pytest.raises(LedgerBroken, match="3 entries are there where 4 belong"):
        opened()


def test_what_cannot_be_written_fails_alone_and_leaves_nothing(store: Store) -> None:
    for name in "abc":
        permit(store, question(name))
    group = [
        make_request("a", amount=10),
        make_request("b", amount=20, actor="\ud800"),
        make_request("c", amount=30, idempotency_key="k"),
    ]
    first, refused, third = store.ledger._charge_group(group)
    assert isinstance(first, Entry)
    assert isinstance(third, Entry)
    assert isinstance(refused, UnicodeEncodeError)
    assert [entry.amount for entry in store.ledger.entries(LINEAGE)] == [100, 10, 30]
    assert store.ledger.verify().ok


def test_twins_in_one_group_are_charged_once(store: Store) -> None:
    permit(store, question("a"))
    first, second = store.ledger._charge_group([make_request("a", amount=10), make_request("a", amount=10)])
    assert isinstance(first, Entry)
    assert not isinstance(second, Exception)
    assert second.release_id == first.release_id
    assert store.ledger.budget(LINEAGE).spent == rho(10)
