from __future__ import annotations

from datetime import date

from ledger_asking import LINEAGE, HandClock, charge, rho

from dpstats.ledger.store import Store


def test_entries_are_added_up_by_day_and_cause_and_come_to_the_budget(store: Store, clock: HandClock) -> None:
    charge(store, "a", amount=10, delta=1)
    charge(store, "a", amount=20, fresh=True)
    charge(store, "b", amount=5)
    clock.advance(days=1)
    charge(store, "b", amount=7, fresh=True)
    store.ledger.grant(LINEAGE, rho(3), epsilon=1, actor="stu", reason="more")
    sums = store.ledger.by_day(LINEAGE)
    assert [(item.day, item.kind, item.query, item.entries, item.amount, item.most_amount) for item in sums] == [
        (date(2026, 3, 1), "grant", None, 1, 100, 100),
        (date(2026, 3, 1), "charge", "a", 2, 30, 20),
        (date(2026, 3, 1), "charge", "b", 1, 5, 5),
        (date(2026, 3, 2), "grant", None, 1, 3, 3),
        (date(2026, 3, 2), "charge", "b", 1, 7, 7),
    ]
    state = store.ledger.budget(LINEAGE)
    assert sum(item.amount for item in sums if item.kind == "charge") == state.spent.amount
    assert sum(item.delta for item in sums if item.kind == "charge") == state.spent.delta
    assert sum(item.epsilon for item in sums) == state.epsilon_cap


def test_an_unknown_lineage_has_no_days(store: Store) -> None:
    assert store.ledger.by_day("nobody") == ()


def test_every_text_of_a_query_can_be_read_by_its_number(store: Store) -> None:
    store.registry.register_dataset("shop", "v1", "shoppers")
    for text in ("one", "two"):
        store.registry.submit_query("q", "shop", text, "stu")
    assert [store.registry.query_revision("q", number).text for number in (1, 2)] == ["one", "two"]
