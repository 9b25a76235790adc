"""What answers about the ledger, and about what stewards do with budgets, hold, for OpenAPI."""

from __future__ import annotations

from typing import Any, Literal

from dpstats.api.answers import Answer, ChargedBlocks


class Entry(Answer):
    """A ledger entry; `content` is everything that its hash covers, in whole steps."""

    seq: int
    kind: Literal["grant", "charge"]
    rho: float | None
    delta: float
    epsilon: float
    at: str
    actor: str
    confirmed_by: str | None
    role: str | None
    purpose: str | None
    release_id: str | None
    query: str | None
    query_version: str | None
    parameters: dict[str, Any]
    events: list[dict[str, Any]]
    reason: str
    blocks: ChargedBlocks | None
    prev_hash: str
    hash: str
    content: dict[str, Any]


class Head(Answer):
    seq: int
    hash: str
    signature: str


class Ledger(Answer):
    entries: list[Entry]
    head: Head


class Asking(Answer):
    number: int
    at: str
    request_id: str
    actor: str
    token_id: str
    role: str
    method: str
    route: str
    dataset: str
    query: str
    status: int
    outcome: str


class Askings(Answer):
    items: list[Asking]
    next: str | None


class Withdrawal(Answer):
    release_id: str
    reason: str
    actor: str


class Proposal(Answer):
    """What one steward proposes and another confirms. `asks`: what would be done."""

    proposal_id: str
    kind: Literal["grant", "lineage", "approval", "policy"]
    dataset: str | None
    subject: str
    asks: dict[str, Any]
    outcome: Literal["pending", "confirmed", "declined", "expired"]
    proposed_by: str
    proposed_at: str
    expires_at: str
    decided_by: str | None
    decided_at: str | None


class Proposals(Answer):
    items: list[Proposal]
    next: str | None


class CapChange(Answer):
    """A cap as a steward set it: rho, or epsilon where charges are counted in it; null where it was ended."""

    scope: Literal["role", "purpose"]
    name: str
    rho: float | None = None
    epsilon: float | None = None
    actor: str
    at: str
    reason: str


class Cap(CapChange):
    """A cap in force, and what was charged."""

    rho_spent: float | None = None
    rho_remaining: float | None = None
    epsilon_spent: float | None = None
    epsilon_remaining: float | None = None


class Caps(Answer):
    items: list[Cap]
    next: str | None
    history: list[CapChange]


class FreezeState(Answer):
    dataset: str
    frozen: bool
    actor: str
    at: str
