"""A ledger's entry as it is told to people: the contract's fields, in plain numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from dpstats.ledger.chain import Entry
from dpstats.privacy.loss import AMOUNT_STEPS, Measure


def told(entry: Entry) -> dict[str, Any]:
    """Everything of an entry but what its hash covers word for word.

    Raises:
      ValueError: it holds what no ledger writes.
    """
    loss = entry.loss
    pure = loss.measure is Measure.PURE
    return {
        "seq": entry.seq,
        "kind": str(entry.kind),
        "rho": None if pure else float(loss.amount_decimal),
        "delta": float(loss.delta_decimal),
        "epsilon": float(Decimal(loss.amount if pure else entry.epsilon) / AMOUNT_STEPS),
        "at": entry.at,
        "actor": entry.actor,
        "confirmed_by": entry.confirmed_by,
        "role": entry.role,
        "purpose": entry.purpose,
        "release_id": entry.release_id,
        "query": entry.query,
        "query_version": entry.query_version,
        "parameters": json.loads(entry.parameters),
        "events": json.loads(entry.events),
        "reason": entry.reason,
        "blocks": None if entry.blocks is None else json.loads(entry.blocks),
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    }
