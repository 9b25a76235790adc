"""Short ways to ask the ledger, for the tests and for the processes that they start."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from dpstats.ledger.records import Charged, ChargeRequest, Question, StoredRelease
from dpstats.ledger.store import Store
from dpstats.privacy.loss import AMOUNT_STEPS, Loss, Measure

LINEAGE = "shoppers"
MONTH = timedelta(days=30)


class HandClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


def rho(amount: int, delta: int = 0) -> Loss:
    return Loss(Measure.ZCDP, amount, delta)


def question(name: str = "q") -> Question:
    return Question(name, f"sha256:{name}", '{"since":"2017-01-01"}')


def events_of(loss: Loss) -> tuple[dict[str, object], ...]:
    """One draw that costs as much as the loss's amount, or a hair less."""
    amount = max(1, loss.amount) / AMOUNT_STEPS
    pure = loss.measure is Measure.PURE
    noise, scale = ("discrete_laplace", 1 / amount) if pure else ("discrete_gaussian", math.sqrt(1 / (2 * amount)))
    return ({"mechanism": noise, "scale": repr(scale * (1 + 1e-15)), "per_cell": 1, "cells": 1, "norm": None},)


def make_request(name: str = "q", *, amount: int = 1, delta: int = 0, **changed: Any) -> ChargeRequest:
    fields: dict[str, Any] = {
        "lineage": LINEAGE,
        "dataset": "shop",
        "question": question(name),
        "data_version": "dv1",
        "plan_hash": "sha256:plan",
        "loss": rho(amount, delta),
        "events": events_of(changed.get("loss", rho(amount, delta))),
        "actor": "ana",
        "token_id": None,
        "token_cap": None,
        "fresh": False,
        "idempotency_key": None,
    }
    return ChargeRequest(**(fields | changed))


def open_lineage(store: Store, **changed: Any) -> Any:
    terms: dict[str, Any] = {
        "measure": Measure.ZCDP,
        "conversion_delta": 5 * 10**11,
        "privacy_unit": "household_id",
        "cap": rho(100, 50),
        "epsilon": 1000,
        "actor": "stu",
    }
    return store.ledger.open_lineage(changed.pop("lineage", LINEAGE), **(terms | changed))


def permit(store: Store, asked: Question) -> None:
    """Approves the question's query, unless it ever was: what a test revokes stays revoked."""
    if not any(approval.version == asked.query_version for approval in store.registry.approvals(asked.query)):
        store.registry.register_dataset("shop", "dataset: shop", LINEAGE)
        revision = store.registry.submit_query(asked.query, "shop", f"query: {asked.query}", "stu").revision
        store.registry.approve(asked.query, asked.query_version, revision, "stu")


def token_of(store: Store, name: str) -> str:
    """The id of a new token of this name."""
    identity = store.tokens.authenticate(store.tokens.create(name, "analyst", (), None, "stu"))
    assert identity is not None
    return identity.token_id


def ask_for(store: Store, name: str = "q", **changed: Any) -> Charged | StoredRelease:
    """Charges for an approved query's answer, or gets it."""
    asked = make_request(name, **changed)
    permit(store, asked.question)
    return store.ledger.charge(asked)


def charge(store: Store, name: str = "q", **changed: Any) -> Charged:
    outcome = ask_for(store, name, **changed)
    assert isinstance(outcome, Charged), outcome
    return outcome


def release(store: Store, name: str = "q", *, body: bytes = b"draw", **changed: Any) -> StoredRelease:
    return store.ledger.store(charge(store, name, **changed), body=body, fresh_for=MONTH)
