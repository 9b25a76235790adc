"""Tries what must be refused, as a process of its own: `guards.py FOLDER`. Prints a line for each guard; no asserts."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from desk import ME, Desk

from dpstats.engine.noise import Exact, add_noise
from dpstats.errors import BudgetExhausted, FileError, Forbidden, Frozen, InvalidParameters, NotApproved, QueryRefused
from dpstats.ledger.records import ChargeRequest, Question
from dpstats.ledger.tokens import Role
from dpstats.plan.plan import Plan
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity, calibrate
from dpstats.privacy.repricing import price_again
from dpstats.privacy.threshold import tail
from dpstats.workspace.selftest import failed_checks

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 1.0, delta: 0}
tables:
  visits: {columns: {person: {type: bigint}, amount: {type: bigint, bounds: [0, 100]}}}
"""
QUERY = {
    "query": "spend",
    "dataset": "shop",
    "sql": "SELECT SUM(amount) AS spend FROM visits WHERE amount >= $n",
    "parameters": {"n": {"type": "integer", "min": 0, "max": 9, "default": 0}},
    "bounds": {"spend": [0, 100]},
    "contribution": {"max_groups": 1},
    "cost": {"epsilon": 0.4},
}
ONE = Sensitivity(1, 1)


def held(name: str, error: type[Exception] | tuple[type[Exception], ...], forbidden: Callable[[], object]) -> None:
    try:
        forbidden()
    except error:
        print(f"held: {name}")
    except Exception as other:
        print(f"BROKEN: {name}: {type(other).__name__}")
    else:
        print(f"BROKEN: {name}")


def of_privacy() -> None:
    for scale in (0.0, 1e-300, -1.0, float("nan"), float("inf"), 2.0**57):
        held(f"scale {scale}", ValueError, lambda scale=scale: Mechanism(Noise.GAUSSIAN, scale, ONE))
    held("nothing moves", ValueError, lambda: Sensitivity(0, 1))
    held("no cells", ValueError, lambda: Sensitivity(1, 0))
    held("a negative loss", ValueError, lambda: Loss(Measure.ZCDP, -1))
    held("a delta in pure DP", ValueError, lambda: Loss(Measure.PURE, 1, 1))
    held("two measures", ValueError, lambda: Loss(Measure.PURE, 1) + Loss(Measure.ZCDP, 1))
    held("too little noise", ValueError, lambda: calibrate(Noise.GAUSSIAN, ONE, 10**18))
    held("a threshold on Laplace", ValueError, lambda: tail(Mechanism(Noise.LAPLACE, 1.0, ONE), 2))
    held("an unknown mechanism", ValueError, lambda: price_again([{"mechanism": "other"}], Measure.ZCDP))


def of_ledger() -> None:
    def request(amount: int, scale: str) -> ChargeRequest:
        event = {"mechanism": "discrete_laplace", "scale": scale, "per_cell": 1, "cells": 1, "norm": None}
        return ChargeRequest(
            lineage="shop",
            dataset="shop",
            question=Question("spend", "sha256:", "{}"),
            data_version="dv",
            plan_hash="sha256:",
            loss=Loss(Measure.PURE, amount),
            events=(event,),
            actor="me",
            token_id=None,
            token_cap=None,
            fresh=False,
            idempotency_key=None,
        )

    held("a free charge", ValueError, lambda: request(0, "1e12"))
    held("a charge below its events", ValueError, lambda: request(10**12 - 1, "1.0"))


def of_the_road(folder: Path) -> None:
    desk = Desk(folder)
    desk.add(DATASET, visits={"person": [1, 2, 3], "amount": [1, 2, 3]})
    print("held: self-test" if failed_checks(desk.workspace.store) == () else "BROKEN: self-test")
    desk.submit(QUERY)
    held("unapproved", NotApproved, lambda: desk.ask("spend"))
    desk.approve(QUERY)
    held(
        "rows for an answer",
        QueryRefused,
        lambda: desk.approve(QUERY | {"query": "a", "sql": "SELECT amount AS spend FROM visits"}),
    )
    held(
        "another file",
        QueryRefused,
        lambda: desk.approve(QUERY | {"query": "b", "sql": "SELECT SUM(x) AS spend FROM 'x.csv'"}),
    )
    held("an unknown key", FileError, lambda: desk.approve(QUERY | {"query": "c", "seed": 7}))
    held("a parameter out of range", InvalidParameters, lambda: desk.ask("spend", n=10))
    held("an unknown parameter", InvalidParameters, lambda: desk.ask("spend", noise=0))
    of_noise(desk.plan("spend"), desk)
    desk.ask("spend", n=1)
    desk.ask("spend", n=2)
    held("an exhausted budget", BudgetExhausted, lambda: desk.ask("spend", n=3))
    held("a role that may not", Forbidden, lambda: desk.ask("spend", identity=replace(ME, role=Role.COLLECTOR)))
    held("no reason", ValueError, lambda: desk.workspace.budgets.grant(ME, "shop", epsilon=Decimal(1), reason=""))
    desk.workspace.budgets.freeze(ME, "shop", frozen=True)
    held("frozen", Frozen, lambda: desk.ask("spend", n=1))
    desk.workspace.close()


def of_noise(plan: Plan, desk: Desk) -> None:
    exact = desk.exact(plan)
    other = Plan(**(vars(plan) | {"draws": (*plan.draws, plan.draws[0])}))
    held("another plan's answer", ValueError, lambda: add_noise(other, exact))
    held("a copy of an answer", TypeError, lambda: pickle.dumps(exact))
    add_noise(plan, exact)
    held("an answer opened twice", ValueError, lambda: add_noise(plan, exact))
    held("vectors that do not fit", Exception, lambda: add_noise(plan, Exact(plan, [])))
    held("values that are not whole", Exception, lambda: add_noise(plan, Exact(plan, [[Fraction(1, 2)]])))  # type: ignore[list-item]


def main() -> None:
    print(f"asserts are {'on' if __debug__ else 'off'}")
    of_privacy()
    of_ledger()
    of_the_road(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
