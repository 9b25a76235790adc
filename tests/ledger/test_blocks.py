"""Time blocks in the ledger: one charge pays in every scope or in none."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from ledger_asking import LINEAGE, ask_for, charge, events_of, make_request, open_lineage, permit, release, rho
from sqlalchemy.engine import Connection

from dpstats.errors import BudgetExhausted, Conflict
from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store
from dpstats.privacy.blocks import STATIC, Grain, Touched
from dpstats.privacy.loss import Loss, Measure

TERMS = BlockTerms("transactions.at", Grain.MONTH, rho(10, 5), 500, 5 * 10**11)


def span(first: str | None, last: str | None = None, *, static: bool = False) -> Touched:
    return Touched(first, last or first, static)


EVERYTHING = Touched(None, "2017-06", static=True)
ONLY_STATIC = Touched(None, None, static=True)


def opened(store: Store, **changed: Any) -> None:
    open_lineage(store, lineage="timed", blocks=TERMS, **changed)


def pay(store: Store, blocks: Touched, name: str = "q", **changed: Any) -> Charged:
    return charge(store, name, lineage="timed", blocks=blocks, fresh=True, **changed)


def spent(store: Store, block: str) -> int:
    return store.ledger.block_totals("timed").of(block).amount


def test_a_charge_pays_in_each_block_of_its_span_in_static_and_in_the_dataset(store: Store) -> None:
    opened(store)
    pay(store, span("2017-02", "2017-04", static=True), amount=3)
    pay(store, span("2017-03"), amount=4)
    pay(store, ONLY_STATIC, amount=1)
    months = ("2017-01", "2017-02", "2017-03", "2017-04", "2017-05", STATIC)
    assert [spent(store, month) for month in months] == [0, 3, 7, 3, 0, 4]
    assert store.ledger.budget("timed").spent.amount == 8
    assert store.ledger.verify().ok


def test_an_exhausted_block_refuses_by_name_charges_nothing_and_another_still_answers(store: Store) -> None:
    opened(store)
    pay(store, span("2017-03"), amount=10)
    before = store.ledger.head("timed")
    for blocks in (span("2017-03"), span("2017-01", "2017-03"), span("2017-03", "2017-05", static=True), EVERYTHING):
        with pytest.raises(BudgetExhausted, match="block 2017-03's privacy budget") as refused:
            pay(store, blocks)
        assert (refused.value.scope, refused.value.name, refused.value.remaining) == ("block", "2017-03", 0)
    assert store.ledger.head("timed") == before
    assert [spent(store, block) for block in ("2017-01", "2017-02", "2017-04", "2017-05", STATIC)] == [0] * 5
    pay(store, span("2017-02"), amount=10)
    pay(store, span("2017-04"), amount=10)
    assert store.ledger.verify().ok


def test_the_last_step_of_a_block_is_given_and_no_more(store: Store) -> None:
    opened(store)
    pay(store, span("2017-03"), amount=9)
    with pytest.raises(BudgetExhausted):
        pay(store, span("2017-03"), amount=2)
    pay(store, span("2017-03"), amount=1)
    with pytest.raises(BudgetExhausted):
        pay(store, span("2017-03"), amount=1)


def test_a_charge_of_every_block_reaches_back_to_blocks_never_named_and_not_past_its_end(store: Store) -> None:
    opened(store)
    pay(store, EVERYTHING, amount=6)
    assert [spent(store, block) for block in ("0001-01", "2017-06", "2017-07", STATIC)] == [6, 6, 0, 6]
    with pytest.raises(BudgetExhausted, match="block 1999-12's"):
        pay(store, span("1999-12"), amount=5)
    pay(store, span("2017-07"), amount=10)  # a later block is fresh
    with pytest.raises(BudgetExhausted, match="block 2017-07's"):
        pay(store, Touched(None, "2017-07", static=False))
    with pytest.raises(BudgetExhausted, match="block earliest's"):
        pay(store, Touched(None, "2017-06", static=False), amount=5)
    pay(store, Touched(None, "2017-06", static=False), amount=4)
    assert store.ledger.verify().ok


def test_charges_of_every_block_with_other_ends_add_up(store: Store) -> None:
    opened(store)
    pay(store, Touched(None, "2017-05", static=False), amount=4)
    pay(store, Touched(None, "2017-06", static=False), amount=5)
    assert [spent(store, block) for block in ("2017-05", "2017-06", "2017-07")] == [9, 5, 0]
    with pytest.raises(BudgetExhausted):
        pay(store, Touched(None, "2017-06", static=False), amount=2)
    pay(store, span("2017-06"), amount=5)


def test_the_datasets_cap_holds_over_many_blocks_and_a_grant_raises_it_but_no_block(store: Store) -> None:
    opened(store)
    for month in range(1, 11):
        pay(store, span(f"2017-{month:02d}"), amount=10)
    with pytest.raises(BudgetExhausted) as refused:
        pay(store, span("2017-11"))
    assert refused.value.scope == "dataset"
    store.ledger.grant("timed", rho(50), epsilon=1, actor="stu", reason="a new year")
    pay(store, span("2017-11"), amount=10)
    with pytest.raises(BudgetExhausted) as refused:
        pay(store, span("2017-11"))
    assert refused.value.scope == "block"


def test_a_blocks_delta_is_filtered_like_its_rho(store: Store) -> None:
    opened(store)
    pay(store, span("2017-03"), delta=4)
    with pytest.raises(BudgetExhausted) as refused:
        pay(store, span("2017-03", "2017-04"), delta=2)
    assert (refused.value.measure, refused.value.scope) == ("delta", "block")
    pay(store, span("2017-04"), delta=5)
    pay(store, span("2017-03"), delta=1)


def test_a_block_of_a_pure_lineage_is_filtered_in_epsilon(store: Store) -> None:
    def epsilon(amount: int) -> dict[str, Any]:
        loss = Loss(Measure.PURE, amount)
        return {"loss": loss, "events": events_of(loss)}

    terms = BlockTerms("transactions.at", Grain.MONTH, Loss(Measure.PURE, 10), 10, 0)
    pure = {"measure": Measure.PURE, "conversion_delta": 0, "cap": Loss(Measure.PURE, 15)}
    open_lineage(store, lineage="timed", blocks=terms, **pure)
    pay(store, span("2017-03"), **epsilon(9))
    with pytest.raises(BudgetExhausted) as refused:
        pay(store, span("2017-02", "2017-03"), **epsilon(2))
    assert (refused.value.measure, refused.value.scope, refused.value.name) == ("epsilon", "block", "2017-03")
    pay(store, span("2017-02", "2017-03", static=True), **epsilon(1))
    assert [spent(store, block) for block in ("2017-02", "2017-03", STATIC)] == [1, 10, 1]
    with pytest.raises(BudgetExhausted) as refused:
        pay(store, span("2017-04"), **epsilon(6))
    assert (refused.value.scope, refused.value.remaining) == ("dataset", Loss(Measure.PURE, 5).amount_decimal)
    with pytest.raises(ValueError, match="counted in epsilon"):
        pay(store, span("2017-04"), amount=1)
    assert store.ledger.verify().ok


def test_a_replay_of_an_exhausted_block_is_free(store: Store) -> None:
    opened(store)
    first = release(store, lineage="timed", blocks=span("2017-03"), amount=10)
    assert ask_for(store, lineage="timed", blocks=span("2017-03"), amount=10) == first
    assert spent(store, "2017-03") == 10


def test_callers_at_once_get_exactly_what_a_block_holds(store: Store) -> None:
    opened(store)
    requests = [make_request(lineage="timed", blocks=span("2017-03", static=True), fresh=True) for _ in range(24)]
    permit(store, requests[0].question)
    outcomes: list[bool] = []

    def ask(mine: int) -> None:
        for request in requests[mine::4]:
            try:
                store.ledger.charge(request)
                outcomes.append(True)
            except BudgetExhausted:
                outcomes.append(False)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count(True), len(outcomes)) == (10, 24)
    assert spent(store, "2017-03") == spent(store, STATIC) == 10
    assert store.ledger.verify().ok


def test_a_charge_names_blocks_if_and_only_if_its_lineage_has_any(store: Store) -> None:
    opened(store)
    with pytest.raises(ValueError, match="names blocks if"):
        ask_for(store, lineage="timed")
    with pytest.raises(ValueError, match="names blocks if"):
        ask_for(store, blocks=span("2017-03"))
    assert store.ledger.budget("timed").spent == store.ledger.budget(LINEAGE).spent == rho(0)


@pytest.mark.parametrize(
    "terms",
    [
        None,
        BlockTerms("transactions.at", Grain.WEEK, rho(10, 5), 500, 5 * 10**11),
        BlockTerms("transactions.other", Grain.MONTH, rho(10, 5), 500, 5 * 10**11),
        BlockTerms("transactions.at", Grain.MONTH, rho(11, 5), 501, 5 * 10**11),
        BlockTerms("transactions.at", Grain.MONTH, rho(10, 6), 500, 6 * 10**11),
    ],
)
def test_a_known_lineage_keeps_its_blocks(store: Store, terms: BlockTerms | None) -> None:
    opened(store)
    with pytest.raises(Conflict, match="is fixed at blocks"):
        open_lineage(store, lineage="timed", blocks=terms)
    opened(store)  # as they were
    with pytest.raises(Conflict, match="is fixed at blocks none"):
        open_lineage(store, blocks=TERMS)
    open_lineage(store)


def test_what_says_nothing_of_blocks_hashes_as_it_did_before_there_were_any(store: Store) -> None:
    charge(store)
    entry = store.ledger.entries(LINEAGE)[-1]
    assert entry.blocks is None
    assert '"blocks"' not in store.ledger.entries(LINEAGE)[0].parameters
    opened(store)
    pay(store, span("2017-03", "2017-04"))
    assert store.ledger.entries("timed")[-1].blocks == '{"first":"2017-03","last":"2017-04","static":false}'
    assert '"every\\":\\"month' in store.ledger.entries("timed")[0].parameters


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("DELETE FROM block_totals WHERE block = '2017-03'", "running totals"),
        ("UPDATE block_totals SET amount = 1", "running totals"),
        ("UPDATE entries SET blocks = NULL WHERE lineage = 'timed' AND seq = 2", "charges no blocks where it must"),
        ("UPDATE entries SET blocks = '{}' WHERE lineage = 'timed' AND seq = 2", "names blocks that are none"),
        ("UPDATE lineages SET blocks = NULL WHERE lineage = 'timed'", "its terms are not those"),
    ],
)
def test_a_block_that_was_not_charged_is_found(
    store: Store, vandal: Any, opened: Any, statement: str, finding: str
) -> None:
    open_lineage(store, lineage="timed", blocks=TERMS)
    pay(store, span("2017-03"), amount=4)
    vandal(statement)
    report = opened(check=False).ledger.verify("timed")
    assert any(finding in line for line in report.findings), report.findings


def test_a_block_that_was_overcharged_is_found(store: Store, raw: Connection) -> None:
    opened(store)
    pay(store, span("2017-03"), amount=8)
    raw.exec_driver_sql("UPDATE block_totals SET amount = 0")
    pay(store, span("2017-03"), amount=8)
    found = store.ledger.verify("timed").findings
    assert any("charges a block more than was left of it (2017-03)" in line for line in found), found


def test_nobody_is_told_to_ask_about_other_blocks_where_the_static_one_is_exhausted() -> None:
    def told(name: str) -> str:
        one = Decimal(1)
        return str(BudgetExhausted(measure="rho", requested=one, remaining=one, scope="block", name=name))

    assert told("2017-03").endswith("ask about other blocks")
    assert told("static").endswith("pays for every question about a table without time blocks: ask about others")
