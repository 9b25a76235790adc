"""A charge below the price of its events is neither taken nor passed over by `verify`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger_asking import LINEAGE, ask_for, events_of, make_request, permit, question, rho

from dpstats.ledger.chain import Content, canonical_json
from dpstats.ledger.store import Store

TOP_K = {"mechanism": "noisy_top_k", "scale": "3.0", "k": 2}
THRESHOLD = {"mechanism": "threshold", "place": 0, "at": 4_000_000, "cells": 2, "delta_steps": 1}
FIVE = events_of(rho(5))


def enter(store: Store, **changed: Any) -> None:
    """Writes a charge as a build would that prices wrongly: well hashed, chained and signed."""
    made = ask_for(store, "q", amount=5)
    with store.ledger._growing() as chains:
        newest = chains.end(LINEAGE).newest
        content = {name: value for name, value in vars(newest).items() if name in Content.__dataclass_fields__}
        fields = content | {"release_id": f"{made.release_id}2"} | changed
        entry = chains.append(Content(**fields))
    store.ledger._heads.save(entry)


def findings(store: Store) -> list[str]:
    return [finding.removeprefix(f"{LINEAGE}: ") for finding in store.ledger.verify().findings]


def test_a_charge_of_the_price_or_more_is_in_order(store: Store) -> None:
    enter(store, amount=6, delta=3)
    assert findings(store) == []


def test_a_charge_below_the_price_of_its_events_is_a_finding(store: Store) -> None:
    enter(store, amount=4)
    assert findings(store) == ["entry 3 charges rho 0.000000000004, but its events come to rho 0.000000000005"]


def test_a_threshold_charged_below_its_tail_is_a_finding(store: Store) -> None:
    enter(store, delta=1, events=canonical_json([*FIVE, THRESHOLD | {"at": 1_000_000}]))
    (finding,) = findings(store)
    assert finding.startswith("entry 3 charges rho 0.000000000005 and delta 1E-18, but its events come to ")


@pytest.mark.parametrize(
    "events",
    [
        [TOP_K],
        [*FIVE, TOP_K],
        [{}],
        [1],
        {"a": 1},
        [FIVE[0] | {"scale": "0"}],
        [FIVE[0] | {"cells": None}],
        [THRESHOLD],
    ],
)
def test_events_that_cannot_be_priced_are_a_finding(store: Store, events: Any) -> None:
    enter(store, events=canonical_json(events))
    assert findings(store) == ["entry 3 cannot be priced again: its events are none that are known"]


def test_a_charge_in_epsilon_for_gaussian_noise_is_a_finding(store: Store) -> None:
    enter(store, measure="epsilon")
    assert "entry 3 cannot be priced again: its events are none that are known" in findings(store)


def test_a_request_below_the_price_of_its_events_is_not_charged(store: Store) -> None:
    permit(store, question())
    for wrong in (
        {"amount": 4, "events": FIVE},
        {"amount": 5, "events": (*FIVE, FIVE[0] | {"scale": "1e9"})},
        {"amount": 5, "events": (*FIVE, THRESHOLD | {"at": 1_000_000})},
        {"amount": 5, "events": (TOP_K,)},
    ):
        with pytest.raises(ValueError, match=r"what its events come to|no formula"):
            make_request(**wrong)
    with pytest.raises(ValueError, match="what its events come to"):
        replace(make_request(amount=5), loss=rho(4))
    assert len(store.ledger.entries(LINEAGE)) == 1
