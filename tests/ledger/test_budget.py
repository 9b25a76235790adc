from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from ledger_asking import LINEAGE, ask_for, charge, make_request, open_lineage, rho, token_of

from dpstats.errors import BudgetExhausted, Conflict, NotFound
from dpstats.ledger.store import Store
from dpstats.privacy.loss import Loss, Measure


def test_a_budget_of_a_hundred_steps_pays_for_exactly_a_hundred_charges_of_one(store: Store) -> None:
    for i in range(100):
        charge(store, f"q{i}")
    assert store.ledger.budget(LINEAGE).remaining == rho(0, 50)
    with pytest.raises(BudgetExhausted) as refused:
        charge(store, "one more")
    assert (refused.value.requested, refused.value.remaining) == (Decimal("1E-12"), Decimal(0))
    assert refused.value.scope == "dataset"
    assert refused.value.measure == "rho"
    assert store.ledger.budget(LINEAGE).spent == rho(100)
    assert store.ledger.verify().ok


def test_a_charge_that_does_not_fit_charges_nothing_and_a_smaller_one_still_fits(store: Store) -> None:
    charge(store, "a", amount=60)
    with pytest.raises(BudgetExhausted, match="41"):
        charge(store, "b", amount=41)
    assert store.ledger.budget(LINEAGE).remaining == rho(40, 50)
    charge(store, "c", amount=40)


def test_delta_is_a_budget_of_its_own(store: Store) -> None:
    charge(store, "a", delta=30)
    with pytest.raises(BudgetExhausted) as refused:
        charge(store, "b", delta=21)
    assert refused.value.measure == "delta"
    assert (refused.value.requested, refused.value.remaining) == (Decimal("21E-18"), Decimal("20E-18"))
    assert store.ledger.budget(LINEAGE).remaining == rho(99, 20)


def test_a_charge_is_never_free(store: Store) -> None:
    with pytest.raises(ValueError, match="at least one step"):
        make_request(amount=0, delta=1)


def test_a_charge_of_another_measure_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="counted in rho"):
        ask_for(store, loss=Loss(Measure.PURE, 1))


def test_a_lineage_that_was_never_opened_is_not_found(opened: Callable[..., Store]) -> None:
    store = opened()
    for ask in (
        lambda: ask_for(store),
        lambda: store.ledger.budget(LINEAGE),
        lambda: store.ledger.head(LINEAGE),
        lambda: store.ledger.terms(LINEAGE),
        lambda: store.ledger.grant(LINEAGE, rho(1), epsilon=0, actor="stu", reason="more"),
    ):
        with pytest.raises(NotFound, match=LINEAGE):
            ask()


def test_a_grant_raises_the_cap_by_exactly_what_it_adds_and_says_who_and_why(store: Store) -> None:
    charge(store, amount=100)
    entry = store.ledger.grant(LINEAGE, rho(7, 3), epsilon=11, actor="stu", reason="a second year")
    state = store.ledger.budget(LINEAGE)
    assert (state.cap, state.epsilon_cap, state.remaining) == (rho(107, 53), 1011, rho(7, 53))
    assert (entry.kind, entry.actor, entry.reason, entry.seq) == ("grant", "stu", "a second year", 3)
    assert store.ledger.entries(LINEAGE)[-1] == entry
    assert store.ledger.verify().ok


def test_a_grant_of_nothing_or_without_a_reason_or_past_all_range_is_refused(store: Store) -> None:
    for added, epsilon, reason in ((rho(0), 1, "why"), (rho(1), 0, " "), (rho(1), -1, "why"), (rho(2**62), 0, "why")):
        with pytest.raises(ValueError, match=r"grant|budget"):
            store.ledger.grant(LINEAGE, added, epsilon=epsilon, actor="stu", reason=reason)
    with pytest.raises(ValueError, match="delta below 1"):
        store.ledger.grant(LINEAGE, rho(0, 10**18 - 50), epsilon=0, actor="stu", reason="why")
    with pytest.raises(ValueError, match="measure"):
        store.ledger.grant(LINEAGE, Loss(Measure.PURE, 1), epsilon=0, actor="stu", reason="why")
    assert len(store.ledger.entries(LINEAGE)) == 1


@pytest.mark.parametrize("smaller", [{}, {"epsilon": 1}, {"cap": rho(1, 0)}, {"cap": rho(100, 49), "epsilon": 999}])
def test_opening_a_known_lineage_again_grants_nothing(store: Store, smaller: dict[str, object]) -> None:
    charge(store, amount=40)
    assert open_lineage(store, **smaller).remaining == rho(60, 50)
    assert len(store.ledger.entries(LINEAGE)) == 2


@pytest.mark.parametrize("bigger", [{"epsilon": 1001}, {"cap": rho(100, 51)}])
def test_a_bigger_budget_under_a_known_lineage_is_a_grant_and_not_an_opening(
    store: Store, bigger: dict[str, object]
) -> None:
    with pytest.raises(Conflict, match="raising is a grant"):
        open_lineage(store, **bigger)
    store.ledger.grant(LINEAGE, rho(1, 1), epsilon=1, actor="stu", reason="more")
    assert open_lineage(store, **bigger).cap == rho(101, 51)


@pytest.mark.parametrize(
    "other",
    [
        {"privacy_unit": "person_id"},
        {"conversion_delta": 1},
        {"measure": Measure.PURE, "cap": Loss(Measure.PURE, 100), "conversion_delta": 0},
    ],
)
def test_a_lineage_keeps_its_terms_for_life(store: Store, other: dict[str, object]) -> None:
    with pytest.raises(Conflict, match="fixed at"):
        open_lineage(store, **other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lineage": ""},
        {"lineage": "../x"},
        {"lineage": "x" * 201},
        {"cap": rho(0, 1)},
        {"cap": Loss(Measure.PURE, 1)},
        {"cap": rho(1, 10**18)},
        {"conversion_delta": 10**18},
        {"epsilon": -1},
    ],
)
def test_an_opening_out_of_range_is_refused_and_leaves_nothing(store: Store, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"lineage|budget|delta"):
        open_lineage(store, **({"lineage": "other"} | wrong))
    assert store.ledger.verify().lineages == (LINEAGE,)


def test_a_pure_lineage_adds_epsilon_up_exactly(store: Store) -> None:
    open_lineage(
        store, lineage="pure", measure=Measure.PURE, conversion_delta=0, cap=Loss(Measure.PURE, 3 * 10**11), epsilon=300
    )
    for i in range(3):
        charge(store, f"q{i}", lineage="pure", loss=Loss(Measure.PURE, 10**11))
    assert store.ledger.budget("pure").remaining == Loss(Measure.PURE, 0)
    with pytest.raises(BudgetExhausted) as refused:
        charge(store, "more", lineage="pure", loss=Loss(Measure.PURE, 1))
    assert refused.value.measure == "epsilon"


def test_lineages_do_not_share_a_budget_and_any_name_in_any_script_will_do(store: Store) -> None:
    open_lineage(store, lineage="Käufer/'日本\" x")
    charge(store, amount=100)
    charge(store, lineage="Käufer/'日本\" x", amount=100)
    assert store.ledger.verify().ok


def test_a_token_pays_at_most_its_cap_over_everything_it_ever_charged(store: Store) -> None:
    first, second = token_of(store, "first"), token_of(store, "second")
    token = {"token_id": first, "token_cap": 10}
    charge(store, "a", amount=6, **token)
    with pytest.raises(BudgetExhausted) as refused:
        charge(store, "b", amount=5, **token)
    assert (refused.value.scope, refused.value.remaining) == ("token", Decimal("4E-12"))
    charge(store, "b", amount=5, token_id=second, token_cap=5)
    charge(store, "c", amount=4, **token)
    assert store.caps.token_spent(first) == 10
    assert store.caps.token_spent("unknown") == 0
    with pytest.raises(BudgetExhausted):
        charge(store, "d", token_id=first, token_cap=3)


def test_a_token_cap_without_a_token_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="token's id"):
        make_request(token_cap=1)


def test_entries_come_oldest_first_page_by_page(store: Store) -> None:
    for i in range(5):
        charge(store, f"q{i}")
    first = store.ledger.entries(LINEAGE, 0, 4)
    rest = store.ledger.entries(LINEAGE, first[-1].seq, 4)
    assert [entry.seq for entry in (*first, *rest)] == [1, 2, 3, 4, 5, 6]
    assert first[0].loss == rho(100, 50)
    assert store.ledger.head(LINEAGE).seq == 6
