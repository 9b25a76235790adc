"""Records as the JSON of the contract: budgets, costs, releases, previews, ledger entries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.chain import Entry
from dpstats.ledger.records import BudgetState, Charged, LineageTerms, StoredRelease
from dpstats.plan.analysis import Analysis
from dpstats.plan.answer import measures
from dpstats.plan.costs import other_costs
from dpstats.plan.plan import Plan
from dpstats.privacy.conversion import epsilon_of_rho, shown
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS, Loss, Measure

AFTER_AS_OF, AFTER_COST = "as_of", "cost"


def cost(loss: Loss, conversion_delta: Decimal) -> dict[str, Any]:
    """What one release costs: rho (None for pure DP), delta, and the epsilon it amounts to alone."""
    if loss.measure is Measure.PURE:
        return {"rho": None, "delta": 0.0, "epsilon": float(loss.amount_decimal)}
    epsilon = shown(epsilon_of_rho(loss.amount, conversion_delta))
    return {"rho": float(loss.amount_decimal), "delta": float(loss.delta_decimal), "epsilon": float(epsilon)}


def budget(state: BudgetState, terms: LineageTerms) -> dict[str, Any]:
    """A dataset's budget: the cap, what is spent and what is left. Exact to a step of 1e-12; epsilons rounded up."""
    cap = Decimal(state.epsilon_cap) / AMOUNT_STEPS
    conversion_delta = Decimal(terms.conversion_delta) / DELTA_STEPS
    body: dict[str, Any] = {"epsilon": float(cap), "delta": float(2 * conversion_delta)}
    amounts: dict[str, float | None]
    if state.measure is Measure.PURE:
        spent = state.spent.amount_decimal
        amounts = {"rho": None, "rho_spent": None, "rho_remaining": None}
    else:
        spent = shown(epsilon_of_rho(state.spent.amount, conversion_delta), at_most=cap)
        amounts = {
            "rho": float(state.cap.amount_decimal),
            "rho_spent": float(state.spent.amount_decimal),
            "rho_remaining": float(state.remaining.amount_decimal),
        }
    body |= {"epsilon_spent": float(spent), "epsilon_remaining": float(cap - spent)} | amounts
    return body | {"delta_remaining": float(state.remaining.delta_decimal)}


def block(name: str, spent: Loss, terms: BlockTerms) -> dict[str, Any]:
    """One time block's budget: what is spent and left, at the block's own conversion delta.

    `epsilon_spent` is for the data of one unit that has rows in this block alone; a unit's whole history is the
    dataset's number.
    """
    cap = Decimal(terms.epsilon) / AMOUNT_STEPS
    left = Loss(spent.measure, max(0, terms.cap.amount - spent.amount), max(0, terms.cap.delta - spent.delta))
    amounts: dict[str, float | None]
    if spent.measure is Measure.PURE:
        epsilon = spent.amount_decimal
        amounts = {"rho": None, "rho_spent": None, "rho_remaining": None}
    else:
        epsilon = shown(epsilon_of_rho(spent.amount, Decimal(terms.conversion_delta) / DELTA_STEPS), at_most=cap)
        amounts = {
            "rho": float(terms.cap.amount_decimal),
            "rho_spent": float(spent.amount_decimal),
            "rho_remaining": float(left.amount_decimal),
        }
    told = {"epsilon": float(cap), "epsilon_spent": float(epsilon), "epsilon_remaining": float(cap - epsilon)}
    return {"block": name} | amounts | told | {"delta_remaining": float(left.delta_decimal)}


def receipt(charged: Charged) -> dict[str, Any]:
    """The signed head of the ledger that a release's charge was: whoever keeps it can tell if that was rewritten."""
    return {"seq": charged.seq, "hash": charged.hash, "signature": charged.signature}


def release_body(core: Mapping[str, Any]) -> bytes:
    """The bytes of a release that are stored."""
    return json.dumps(core, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def release(stored: StoredRelease, *, replayed: bool, budget_now: Mapping[str, Any]) -> dict[str, Any]:
    """A release as it is sent: what is stored, with `replayed` and `budget` put in their places."""
    body: dict[str, Any] = {}
    for key, value in json.loads(stored.body).items():
        body[key] = value
        if key == AFTER_AS_OF:
            body["replayed"] = replayed
        if key == AFTER_COST:
            body["budget"] = dict(budget_now)
    return body


def costs(analysis: Analysis, plan: Plan) -> list[dict[str, Any]]:
    """A query at other costs, cheapest first, its own among them: each with the 95 % half-widths that it buys."""
    return [
        cost(other.loss, analysis.dataset.conversion_delta) | _half_widths(measures(other))
        for other in other_costs(analysis, plan)
    ]


def _half_widths(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    told = {"measures": {name: body["half_width_95"] for name, body in found.items()}}
    return told | {
        error: {name: body[error] for name, body in found.items() if error in body}
        for error in ("half_width_95_at", "rank_error_95")
    }


def preview(
    plan: Plan,
    price: Mapping[str, Any],
    *,
    free_replay: bool,
    times: int,
    costs: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """What a query would cost and how sure its answer would be; reads no data.

    Args:
      times: how many more answers of this price are covered.
      costs: the same query at other costs.
      notes: what else there is to know beforehand, in sentences.
    """
    return {
        "query": plan.query,
        "query_version": plan.query_version,
        "parameters": dict(plan.parameters),
        "cost": dict(price),
        "affordable": times > 0 or free_replay,
        "free_replay": free_replay,
        "remaining_like_this": times,
        "groups": None if plan.private_keys else plan.groups,
        "measures": measures(plan),
        "costs": list(costs),
        "notes": list(notes),
        "proof": list(plan.proof),
    }


def entry(item: Entry) -> dict[str, Any]:
    """A ledger entry: the contract's fields, and everything that its hash covers."""
    loss = item.loss
    pure = loss.measure is Measure.PURE
    body = {
        "seq": item.seq,
        "kind": str(item.kind),
        "rho": None if pure else float(loss.amount_decimal),
        "delta": float(loss.delta_decimal),
        "epsilon": float(Decimal(loss.amount if pure else item.epsilon) / AMOUNT_STEPS),
        "at": item.at,
        "actor": item.actor,
        "confirmed_by": item.confirmed_by,
        "role": item.role,
        "purpose": item.purpose,
        "release_id": item.release_id,
        "query": item.query,
        "query_version": item.query_version,
        "parameters": json.loads(item.parameters),
        "events": json.loads(item.events),
        "reason": item.reason,
        "blocks": None if item.blocks is None else json.loads(item.blocks),
        "prev_hash": item.prev_hash,
        "hash": item.hash,
    }
    return body | {"content": {key: value for key, value in asdict(item).items() if value is not None}}
