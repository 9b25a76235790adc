"""One decision, inside one write transaction: give what is there, take up what was paid, or charge; or refuse."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from dpstats.errors import BudgetExhausted, IdempotencyConflict
from dpstats.ledger import blocks, journal, shelf
from dpstats.ledger.caps import Scope, Share
from dpstats.ledger.chain import Content, Entry, Kind, canonical_json
from dpstats.ledger.clock import moment_of, month_of, stamp
from dpstats.ledger.growing import Growing
from dpstats.ledger.records import BudgetState, Charged, ChargeRequest, StoredRelease
from dpstats.privacy.loss import AMOUNT_STEPS

Decision = StoredRelease | Charged | Entry
"""A stored release; a charge taken up again; or the entry of a new charge."""


def decide(chains: Growing, request: ChargeRequest, now: datetime) -> Decision:
    """What the request gets. The caller holds the write lock, so nothing read here changes before the commit.

    Whatever refuses it does so before anything is written for it.

    Raises:
      NotFound: the lineage was never opened. ValueError: the loss is of another measure than the lineage.
      Unauthorized: the token was revoked or is expired by now.
      Frozen, NotApproved: the dataset is frozen, or the query's version is not approved, by now.
      IdempotencyConflict: the key was used for another request, its charge was for other data or another plan, or its
        release was withdrawn.
      BudgetExhausted: the loss does not fit in what the lineage, the token, the role, the purpose, the month's envelope
        or one of the blocks has left.
      LedgerBroken: the end of the chain cannot be trusted.
      Torn: it was written in part and cannot be written whole: the transaction must go.
    """
    terms = chains.known_terms(request.lineage)
    measure = terms.measure
    if request.loss.measure is not measure:
        raise ValueError(f"lineage {request.lineage} is counted in {measure.unit}")
    if (request.blocks is None) is not (terms.blocks is None):
        raise ValueError(f"a charge of lineage {request.lineage} names blocks if, and only if, the lineage has any")
    chains.check_caller(request.token_id, now)
    chains.check_standing(request.dataset, request.question.query, request.question.query_version, now)
    end = chains.end(request.lineage)
    bound = None if request.idempotency_key is None else _under_key(chains.connection, request)
    if bound is not None:
        return bound
    decision: Decision | None = None if request.fresh else _earlier(chains.connection, request, now)
    if decision is None:
        _check_fits(end.sums.budget(measure), request)
        _check_caps(chains, request)
        _check_envelope(chains, request, now)
        content = _content(request, now)
        if terms.blocks is not None and request.blocks is not None:
            blocks.charge(chains.connection, request.lineage, terms.blocks, request.blocks, request.loss)
        with chains.whole():
            decision = chains.append(content)
            _bind(chains, request, decision)
    else:
        _bind(chains, request, decision)
    return decision


def together(error: BudgetExhausted, before: Sequence[Entry]) -> BudgetExhausted:
    """The refusal of one of several charges, told of all of them up to it: `before` are undone with it."""
    if error.scope == "block":  # those before may have been of other blocks
        return error
    losses = [entry.loss for entry in before if error.scope != "purpose" or entry.purpose == error.name]
    amounts = (loss.delta_decimal if error.measure == "delta" else loss.amount_decimal for loss in losses)
    undone = sum(amounts, start=Decimal(0))
    return BudgetExhausted(
        measure=error.measure,
        requested=error.requested + undone,
        remaining=error.remaining + undone,
        scope=error.scope,
        name=error.name,
    )


def taken_up(entry: Entry, *, resumed: bool) -> Charged:
    """The charge of an entry, as the caller holds it."""
    return Charged(
        str(entry.release_id), entry.lineage, entry.seq, moment_of(entry.at), resumed, entry.hash, entry.signature
    )


def _bind(chains: Growing, request: ChargeRequest, decision: Decision) -> None:
    if request.idempotency_key is not None:
        shelf.bind(chains.connection, request, str(decision.release_id))


def _under_key(connection: Connection, request: ChargeRequest) -> StoredRelease | Charged | None:
    bound = shelf.bound_release(connection, request)
    if bound is None:
        return None
    fingerprint, release_id = bound
    if fingerprint != request.fingerprint:
        raise IdempotencyConflict
    if shelf.is_withdrawn(connection, release_id):  # the answer is paid for anew, under a key of its own
        raise IdempotencyConflict
    stored = shelf.find(connection, release_id)
    if stored is not None:
        return stored
    entry = journal.of_release(connection, release_id)
    # A key pays once. If the data or the plan moved on before its answer was stored, that charge cannot pay for the
    # new answer, and charging again under the same key would break the client's trust in it.
    if entry is None or not journal.pays_for(entry, request):
        raise IdempotencyConflict
    return taken_up(entry, resumed=True)


def _earlier(connection: Connection, request: ChargeRequest, now: datetime) -> StoredRelease | Charged | None:
    stored = shelf.find_fresh(connection, request.question, now)
    if stored is not None:
        return stored
    entry = journal.unfinished(connection, request, now)
    return None if entry is None else taken_up(entry, resumed=True)


def _check_fits(budget: BudgetState, request: ChargeRequest) -> None:
    loss, remaining = request.loss, budget.remaining
    if loss.amount > remaining.amount:
        raise BudgetExhausted(
            measure=loss.measure.unit,
            requested=loss.amount_decimal,
            remaining=remaining.amount_decimal,
        )
    if loss.delta > remaining.delta:
        raise BudgetExhausted(
            measure="delta",
            requested=loss.delta_decimal,
            remaining=remaining.delta_decimal,
        )


def _check_caps(chains: Growing, request: ChargeRequest) -> None:
    for share, cap in _capped(chains, request):
        token = share.scope is Scope.TOKEN
        spent = chains.charged.of_all(share) if token else chains.charged.of(share, request.lineage)
        left = max(0, cap - spent)
        if request.loss.amount > left:
            raise BudgetExhausted(
                measure=request.loss.measure.unit,
                requested=request.loss.amount_decimal,
                remaining=Decimal(left) / AMOUNT_STEPS,
                scope=share.scope,
                name="" if token else share.name,
            )


def _capped(chains: Growing, request: ChargeRequest) -> Iterator[tuple[Share, int]]:
    """The caps that the charge must fit in, in steps of 1e-12."""
    if request.token_cap is not None and request.token_id is not None:
        yield Share(Scope.TOKEN, request.token_id), request.token_cap
    caps = chains.caps(request.lineage)
    for scope, name in ((Scope.ROLE, request.role), (Scope.PURPOSE, request.purpose)):
        cap = None if name is None else caps.get(Share(scope, name))
        if cap is not None and cap.amount is not None:
            yield cap.share, cap.amount


def _check_envelope(chains: Growing, request: ChargeRequest, now: datetime) -> None:
    """The month's charges are added up in the charge's own transaction: two who charge at once cannot both fit."""
    envelope = request.envelope
    if envelope is None:
        return
    spent = journal.spent_since(chains.connection, request.lineage, envelope.reason, month_of(now))
    left = max(0, envelope.amount - spent)
    if request.loss.amount > left:
        raise BudgetExhausted(
            measure=request.loss.measure.unit,
            requested=request.loss.amount_decimal,
            remaining=Decimal(left) / AMOUNT_STEPS,
            scope="envelope",
        )


def _content(request: ChargeRequest, now: datetime) -> Content:
    return Content(
        lineage=request.lineage,
        kind=Kind.CHARGE,
        measure=request.loss.measure,
        amount=request.loss.amount,
        delta=request.loss.delta,
        epsilon=0,
        at=stamp(now),
        actor=request.actor,
        reason=request.envelope.reason if request.envelope else "",
        token_id=request.token_id,
        release_id=secrets.token_hex(16),
        dataset=request.dataset,
        query=request.question.query,
        query_version=request.question.query_version,
        parameters=request.question.parameters,
        data_version=request.data_version,
        plan_hash=request.plan_hash,
        events=canonical_json([dict(event) for event in request.events]),
        blocks=blocks.recorded(request.blocks),
        role=request.role,
        purpose=request.purpose,
    )
