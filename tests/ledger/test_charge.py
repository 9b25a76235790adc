from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from ledger_asking import LINEAGE, MONTH, HandClock, ask_for, charge, question, release, rho

from dpstats.errors import BudgetExhausted, IdempotencyConflict, NotFound
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.records import Charged, Question, StoredRelease
from dpstats.ledger.store import Store


def spent(store: Store) -> int:
    return store.ledger.budget(LINEAGE).spent.amount


def test_a_release_is_stored_whole_beside_its_charge(store: Store, clock: HandClock) -> None:
    made = charge(store, amount=3)
    clock.advance(minutes=1)
    stored = store.ledger.store(made, body=b"\x00draw", fresh_for=MONTH)
    assert stored == StoredRelease(
        release_id=made.release_id,
        dataset="shop",
        query="q",
        query_version="sha256:q",
        data_version="dv1",
        created_at=made.created_at,
        fresh_until=made.created_at + MONTH,
        body=b"\x00draw",
    )
    assert store.ledger.release(made.release_id) == stored
    assert store.ledger.entries(LINEAGE)[-1].release_id == made.release_id


def test_the_same_question_again_gives_the_same_release_for_free(store: Store) -> None:
    first = release(store)
    assert ask_for(store) == first
    assert ask_for(store, actor="bob", data_version="dv2", plan_hash="sha256:other") == first
    assert store.ledger.find_fresh(question()) == first
    assert spent(store) == 1


def test_an_exhausted_budget_still_gives_replays(store: Store) -> None:
    first = release(store, amount=100)
    assert ask_for(store, amount=100) == first


def test_a_release_is_given_again_until_its_time_is_up_and_not_a_moment_longer(store: Store, clock: HandClock) -> None:
    first = release(store)
    clock.advance(days=30, microseconds=-1)
    assert ask_for(store) == first
    clock.advance(microseconds=1)
    assert store.ledger.find_fresh(question()) is None
    assert charge(store).release_id != first.release_id
    assert spent(store) == 2
    assert store.ledger.release(first.release_id) == first


def test_other_parameters_another_version_or_another_query_are_other_questions(store: Store) -> None:
    release(store)
    others = (
        Question("q", "sha256:q", '{"since":"2017-01-02"}'),
        Question("q", "sha256:other", '{"since":"2017-01-01"}'),
        Question("twin", "sha256:q", '{"since":"2017-01-01"}'),
    )
    for other in others:
        assert store.ledger.find_fresh(other) is None
        charge(store, question=other)
    assert spent(store) == 4


def test_asking_afresh_draws_anew_and_pays_and_the_newest_draw_is_given_again(store: Store, clock: HandClock) -> None:
    release(store, body=b"one")
    clock.advance(seconds=1)
    second = release(store, body=b"two", fresh=True)
    assert spent(store) == 2
    assert ask_for(store) == second


def test_one_charge_never_shows_two_draws(store: Store) -> None:
    made = charge(store)
    first = store.ledger.store(made, body=b"first draw", fresh_for=MONTH)
    again = store.ledger.store(made, body=b"second draw", fresh_for=timedelta(days=1))
    assert again == first
    assert again.body == b"first draw"


def test_parameters_may_be_long(store: Store) -> None:
    long = canonical_json({"since": "".join(random.choices(string.printable, k=20_000))})
    first = charge(store, question=Question("q", "sha256:q", long))
    assert charge(store, question=Question("q", "sha256:q", long)) == replace(first, resumed=True)
    assert not charge(store, question=Question("q", "sha256:q", long[:-2] + '+"}')).resumed


def test_a_release_without_a_charge_is_not_stored(store: Store) -> None:
    made = charge(store)
    for forged in (replace(made, release_id="ff"), replace(made, seq=1), replace(made, lineage="other")):
        with pytest.raises(ValueError, match="charge that paid"):
            store.ledger.store(forged, body=b"", fresh_for=MONTH)
    with pytest.raises(ValueError, match="less than no time"):
        store.ledger.store(made, body=b"", fresh_for=timedelta(-1))


def test_a_release_may_stay_fresh_for_ever(store: Store) -> None:
    made = store.ledger.store(charge(store), body=b"", fresh_for=timedelta.max)
    assert made.fresh_until.year == 9999
    assert ask_for(store, fresh_for=timedelta.max) == made


def test_an_unfinished_charge_is_taken_up_again_for_the_same_answer(store: Store) -> None:
    first = charge(store, amount=5)
    again = charge(store, amount=5, actor="bob")
    assert again == replace(first, resumed=True)
    assert spent(store) == 5
    store.ledger.store(again, body=b"draw", fresh_for=MONTH)
    assert isinstance(ask_for(store, amount=5), StoredRelease)


@pytest.mark.parametrize(
    "moved_on",
    [
        {"data_version": "dv2"},
        {"plan_hash": "sha256:other"},
        {"amount": 6},
        {"delta": 1},
        {"dataset": "other"},
        {"fresh": True},
    ],
)
def test_an_unfinished_charge_pays_for_nothing_else(store: Store, moved_on: dict[str, object]) -> None:
    first = charge(store, amount=5)
    other = charge(store, **({"amount": 5} | moved_on))
    assert not other.resumed
    assert other.release_id != first.release_id


def test_an_unfinished_charge_is_not_taken_up_once_its_release_would_be_stale(store: Store, clock: HandClock) -> None:
    charge(store)
    clock.advance(days=7)
    assert charge(store, fresh_for=timedelta(days=8)).resumed
    assert not charge(store, fresh_for=timedelta(days=7)).resumed


def test_an_answered_charge_is_never_taken_up_again_though_its_release_went_stale_early(
    store: Store, clock: HandClock
) -> None:
    first = store.ledger.store(charge(store), body=b"draw", fresh_for=timedelta(days=1))
    clock.advance(days=2)
    again = charge(store)
    assert (again.resumed, again.release_id == first.release_id) == (False, False)


def test_a_charge_made_afresh_that_failed_pays_for_the_next_asker(store: Store) -> None:
    first = charge(store, fresh=True)
    assert charge(store) == replace(first, resumed=True)


def test_an_idempotency_key_gets_the_same_release_even_long_after(store: Store, clock: HandClock) -> None:
    first = release(store, fresh=True, idempotency_key="k")
    clock.advance(days=365)
    assert ask_for(store, fresh=True, idempotency_key="k") == first
    assert spent(store) == 1


def test_an_idempotency_key_takes_up_its_own_charge_though_it_asked_afresh(store: Store) -> None:
    first = charge(store, fresh=True, idempotency_key="k")
    assert charge(store, fresh=True, idempotency_key="k") == replace(first, resumed=True)
    assert spent(store) == 1


@pytest.mark.parametrize("changed", [{"name": "other"}, {"fresh": True}, {"dataset": "other"}])
def test_an_idempotency_key_is_bound_to_its_request(store: Store, changed: dict[str, object]) -> None:
    release(store, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        ask_for(store, **({"idempotency_key": "k"} | changed))
    assert spent(store) == 1


def test_an_idempotency_key_whose_charge_was_for_other_data_or_another_plan_pays_once_and_not_twice(
    store: Store,
) -> None:
    charge(store, idempotency_key="k")
    for moved_on in ({"data_version": "dv2"}, {"plan_hash": "sha256:other"}, {"amount": 2}):
        with pytest.raises(IdempotencyConflict):
            ask_for(store, **({"idempotency_key": "k"} | moved_on))
    assert spent(store) == 1


def test_idempotency_keys_of_two_actors_are_two_keys(store: Store) -> None:
    release(store, idempotency_key="k")
    charge(store, "other", idempotency_key="k", actor="bob")
    assert spent(store) == 2


def test_an_idempotency_key_that_met_a_replay_or_an_unfinished_charge_is_bound_to_it(
    store: Store, clock: HandClock
) -> None:
    first = release(store)
    ask_for(store, idempotency_key="k")
    unfinished = charge(store, "slow")
    charge(store, "slow", idempotency_key="l")
    clock.advance(days=31)
    assert ask_for(store, idempotency_key="k") == first
    assert charge(store, "slow", idempotency_key="l").release_id == unfinished.release_id


def test_a_refused_charge_leaves_its_idempotency_key_free(store: Store) -> None:
    with pytest.raises(BudgetExhausted):
        charge(store, amount=101, idempotency_key="k")
    assert charge(store, "other", idempotency_key="k").seq == 2


def test_a_clock_set_back_a_day_loses_nothing(store: Store, clock: HandClock) -> None:
    release(store)
    clock.advance(days=-1)
    charge(store, "another")
    assert isinstance(ask_for(store), StoredRelease)
    assert store.ledger.verify().ok


def test_releases_are_listed_newest_first_page_by_page(store: Store, clock: HandClock) -> None:
    for i in range(5):
        release(store, f"q{i % 2}", fresh=True, body=str(i).encode())
        clock.advance(seconds=i % 2)  # some at the same moment
    seen: list[StoredRelease] = []
    after: str | None = None
    while True:
        page = store.ledger.releases(after=after, limit=2)
        seen += page.items
        after = page.next
        if after is None:
            break
    assert len({item.release_id for item in seen}) == len(seen) == 5
    assert [item.created_at for item in seen] == sorted((item.created_at for item in seen), reverse=True)
    assert [item.body for item in store.ledger.releases(query="q1").items] == [b"3", b"1"]


def test_releases_are_listed_only_of_the_datasets_asked_for(store: Store) -> None:
    for name in ("a", "b", "c"):
        release(store, name, dataset=name)

    def listed(**asked: object) -> set[str]:
        return {item.dataset for item in store.ledger.releases(**asked).items}  # type: ignore[arg-type]

    assert listed() == {"a", "b", "c"}
    assert listed(dataset="b") == {"b"}
    assert listed(datasets=("a", "c")) == {"a", "c"}
    assert listed(dataset="b", datasets=("a", "c")) == set()


def test_a_release_that_was_never_made_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="ff"):
        store.ledger.release("ff")


def test_everything_is_there_after_opening_again(store: Store, opened: Callable[..., Store]) -> None:
    first, unfinished = release(store), charge(store, "slow", amount=9)
    store.close()
    again = opened()
    assert ask_for(again) == first
    assert ask_for(again, "slow", amount=9) == replace(unfinished, resumed=True)
    assert again.ledger.budget(LINEAGE).spent == rho(10)
    assert isinstance(unfinished, Charged)
