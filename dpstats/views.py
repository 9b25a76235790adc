"""Records as the JSON of the contract: budgets, costs, releases, previews, ledger entries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.chain import Entry
from dpstats.ledger.packed import is_packed, packed, unpacked
from dpstats.ledger.records import BudgetState, Charged, LineageTerms, StoredRelease
from dpstats.ledger.told import told
from dpstats.plan.analysis import Analysis
from dpstats.plan.answer import measures
from dpstats.plan.costs import other_costs
from dpstats.plan.plan import Plan
from dpstats.privacy.conversion import epsilon_of_rho, shown
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS, Loss, Measure

AFTER_AS_OF, AFTER_COST = "as_of", "cost"
ROWS, END, _CLOSED = b',"rows":[', b"]}", b"}"
"""What comes before and after the rows of a stored release."""


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


def release_body(core: Mapping[str, Any], rows: Iterable[str]) -> bytes:
    """The body of a release that is stored: of a large one deflated, and never held as anything else.

    Args:
      core: everything but its rows.
      rows: as JSON, one or more a text, with commas in between.
    """
    return packed(_written(core, rows))


def _written(core: Mapping[str, Any], rows: Iterable[str]) -> Iterator[bytes]:
    yield _compact(core)[:-1] + ROWS
    after_first = False
    for row in rows:
        yield f",{row}".encode() if after_first else row.encode()
        after_first = True
    yield END


def head(body: bytes) -> dict[str, Any]:
    """Everything of a stored release but its rows, which are not read."""
    found: dict[str, Any] = json.loads(bytes(next(_parted(body))) + b"}")
    return found


def whole(body: bytes) -> dict[str, Any]:
    """All of a stored release, rows read."""
    found: dict[str, Any] = json.loads(b"".join(unpacked(body)))
    return found


def release(stored: StoredRelease, *, replayed: bool, budget_now: Mapping[str, Any], mark: Mapping[str, Any]) -> Sent:
    """A release as it is sent: `mark`, then what is stored, with `replayed` and `budget` put in their places."""
    told: dict[str, Any] = dict(mark)
    for key, value in head(stored.body).items():
        told[key] = value
        if key == AFTER_AS_OF:
            told["replayed"] = replayed
        if key == AFTER_COST:
            told["budget"] = dict(budget_now)
    return Sent(told, stored.body)


@dataclass(frozen=True)
class Sent:
    """A release as it is sent. Its rows stay the bytes that are stored until somebody asks for them.

    `head`: everything but the rows, which come last.
    """

    head: dict[str, Any]
    stored: bytes = field(repr=False)

    @property
    def body(self) -> dict[str, Any]:
        """All of it, rows read."""
        return self.head | {"rows": json.loads(b"".join(self._rows())[: -len(_CLOSED)])}

    @property
    def json(self) -> bytes:
        """All of it as JSON: the same bytes as `body` would be written."""
        return b"".join(self.pieces())

    @property
    def large(self) -> bool:
        """Whether it should be sent in pieces."""
        return is_packed(self.stored)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """`json` in pieces of 1 MiB or so where it is large."""
        yield _compact(self.head)[:-1] + b',"rows":'
        yield from self._rows()

    def _rows(self) -> Iterator[bytes | memoryview]:
        """The rows, and what closes the object that they end."""
        parts = _parted(self.stored)
        next(parts)
        return parts


def _parted(stored: bytes) -> Iterator[bytes | memoryview]:
    """A stored release: first what comes before its rows, then its rows with what closes the whole, in pieces.

    Nothing before the rows has such a key with a list: in a text its quotation marks would be escaped; other keys that
    hold lists are named otherwise; rows come last.
    """
    if not is_packed(stored) and not stored.endswith(END):
        raise ValueError("no stored release")
    pieces, first = unpacked(stored), b""
    while (at := first.find(ROWS)) < 0:
        piece = next(pieces, None)
        if piece is None:
            raise ValueError("no stored release")
        first = first + piece if first else piece
    yield memoryview(first)[:at]
    yield memoryview(first)[at + len(ROWS) - 1 :]
    yield from pieces


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


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
    limit: Mapping[str, str | None],
    costs: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """What a query would cost and how sure its answer would be; reads no data.

    Args:
      times: how many more answers of this price are covered.
      limit: whose budget or cap covers the fewest, as `scope` and `name`.
      costs: the same query at other costs.
      notes: what else there is to know beforehand, in sentences.
    """
    affordable = times > 0 or free_replay
    return {
        "query": plan.query,
        "query_version": plan.query_version,
        "parameters": dict(plan.parameters),
        "cost": dict(price),
        "affordable": affordable,
        "limited_by": None if affordable else dict(limit),
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
    return told(item) | {"content": {key: value for key, value in asdict(item).items() if value is not None}}
