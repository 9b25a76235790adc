"""How a budget begins and grows: a lineage's terms and first grant, and every grant after. There is no way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from dpstats.errors import Conflict, LedgerBroken
from dpstats.ledger import journal, policies, schema
from dpstats.ledger.blocks import BlockTerms, read_terms, terms_text
from dpstats.ledger.chain import Content, Entry, Kind, canonical_json
from dpstats.ledger.clock import stamp
from dpstats.ledger.growing import Growing
from dpstats.ledger.heads import HeadFiles, check_lineage_name
from dpstats.ledger.records import BudgetState, LineageTerms
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS, Loss, Measure

EPSILON_CAP = 1000
"""The largest budget of a lineage, as epsilon."""
_STEPS_MAX = 2**62
"""Above this, a sum of steps could leave the database's 64 bits."""


@dataclass(frozen=True)
class Opening:
    """A lineage as a dataset file states it: its terms, its budget for life, and the same budget as epsilon (steps).

    `confirmed_by`: the second steward, where policy asks for one.

    Raises:
      ValueError: a number is out of its range, or the cap is of another measure than the lineage.
    """

    terms: LineageTerms
    cap: Loss
    epsilon: int
    actor: str
    confirmed_by: str | None = None

    def __post_init__(self) -> None:
        check_lineage_name(self.terms.lineage)
        if self.cap.measure is not self.terms.measure:
            raise ValueError("a lineage's budget is of the lineage's own measure")
        if not 0 <= self.terms.conversion_delta < DELTA_STEPS:
            raise ValueError("a conversion delta is at least 0 and below 1")
        if self.cap.amount < 1:
            raise ValueError("a budget is at least one step of 1e-12")
        _check_range(self.cap, self.epsilon)
        if self.terms.blocks is not None:
            self._check_blocks(self.terms.blocks)

    def _check_blocks(self, blocks: BlockTerms) -> None:
        if blocks.cap.measure is not self.terms.measure:
            raise ValueError("a block's budget is of the lineage's own measure")
        if not 0 <= blocks.conversion_delta < DELTA_STEPS or blocks.cap.amount < 1:
            raise ValueError("a block's budget is at least one step of 1e-12, and its conversion delta below 1")
        _check_range(blocks.cap, blocks.epsilon)


def open_lineage(chains: Growing, heads: HeadFiles, opening: Opening) -> Entry | None:
    """Writes a new lineage and its first grant; checks a known one and writes nothing.

    Raises:
      Conflict: the lineage is known on other terms, or with a smaller budget.
      SecondStewardNeeded: it is new, and policy asks for a second steward.
      LedgerBroken: its chain cannot be trusted, or is gone.
    """
    known = journal.terms(chains.connection, opening.terms.lineage)
    if known is not None:
        end = chains.end(known.lineage)
        _check_same(known, opening.terms)
        _check_no_raise(end.sums.budget(known.measure), opening)
        return None
    if heads.read(opening.terms.lineage) is not None:
        raise LedgerBroken(
            f"lineage {opening.terms.lineage} has a saved head but no entries: restore the ledger's newest backup"
        )
    if opening.confirmed_by is None:
        policies.check_new_lineage(chains.connection)
    chains.connection.execute(insert(schema.lineages).values(**_row(opening.terms)))
    return chains.begin(_first_grant(opening))


def grant(chains: Growing, content: Content) -> Entry:
    """Writes a later grant.

    Raises:
      NotFound: the lineage was never opened. LedgerBroken: its chain cannot be trusted.
      SecondStewardNeeded: one steward may not add so much alone.
      ValueError: nothing is added, the reason is empty, it is of another measure, or the cap leaves its range.
    """
    added = content.loss
    if not (added.amount or added.delta):
        raise ValueError("a grant adds at least one step of rho, epsilon or delta")
    if not content.reason.strip():
        raise ValueError("a grant needs a reason")
    measure = chains.known_terms(content.lineage).measure
    budget = chains.end(content.lineage).sums.budget(measure)
    _check_range(added, content.epsilon)
    _check_range(budget.cap + added, budget.epsilon_cap + content.epsilon)
    if content.confirmed_by is None:
        policies.check_grant(chains.connection, content.lineage, content.epsilon)
    return chains.append(content)


def recorded_terms(terms: LineageTerms) -> str:
    """The terms as the first grant records them, so that the chain covers them."""
    recorded: dict[str, object] = {
        "conversion_delta": terms.conversion_delta,
        "measure": terms.measure,
        "privacy_unit": terms.privacy_unit,
    }
    if terms.blocks is not None:  # from before there were blocks, nothing is said
        recorded["blocks"] = terms_text(terms.blocks)
    return canonical_json(recorded)


def _first_grant(opening: Opening) -> Content:
    return Content(
        lineage=opening.terms.lineage,
        kind=Kind.GRANT,
        measure=opening.terms.measure,
        amount=opening.cap.amount,
        delta=opening.cap.delta,
        epsilon=opening.epsilon,
        at=stamp(opening.terms.created_at),
        actor=opening.actor,
        reason="the budget stated when the lineage was opened",
        parameters=recorded_terms(opening.terms),
        confirmed_by=opening.confirmed_by,
    )


def opening_content(opening: Opening) -> dict[str, Any]:
    """An opening as a proposal keeps it: all but who and when."""
    terms, cap = opening.terms, opening.cap
    return {
        "lineage": terms.lineage,
        "terms": json.loads(recorded_terms(terms)),
        "amount": cap.amount,
        "delta": cap.delta,
        "epsilon": opening.epsilon,
    }


def read_opening(content: Mapping[str, Any], actor: str, at: datetime, confirmed_by: str) -> Opening:
    """What `opening_content` wrote, with who and when."""
    fixed = content["terms"]
    measure = Measure(fixed["measure"])
    blocks = read_terms(fixed.get("blocks"), measure)
    terms = LineageTerms(content["lineage"], measure, fixed["conversion_delta"], fixed["privacy_unit"], at, blocks)
    return Opening(terms, Loss(measure, content["amount"], content["delta"]), content["epsilon"], actor, confirmed_by)


def _row(terms: LineageTerms) -> dict[str, object]:
    return {
        "lineage": terms.lineage,
        "measure": terms.measure,
        "conversion_delta": terms.conversion_delta,
        "privacy_unit": terms.privacy_unit,
        "created_at": stamp(terms.created_at),
        "blocks": terms_text(terms.blocks),
    }


def _check_same(known: LineageTerms, asked: LineageTerms) -> None:
    for what, is_now, wanted in (
        ("privacy unit", known.privacy_unit, asked.privacy_unit),
        ("measure", _measure_text(known.measure), _measure_text(asked.measure)),
        (
            "conversion delta",
            _number(known.conversion_delta, DELTA_STEPS),
            _number(asked.conversion_delta, DELTA_STEPS),
        ),
        ("blocks", _blocks_text(known), _blocks_text(asked)),
    ):
        if is_now != wanted:
            raise Conflict(
                f"lineage {known.lineage} is fixed at {what} {is_now}, not {wanted}: keep it, or name another lineage "
                "if these are other people"
            )


def _check_no_raise(budget: BudgetState, opening: Opening) -> None:
    if opening.epsilon > budget.epsilon_cap or opening.cap.delta > budget.cap.delta:
        has = f"epsilon {_number(budget.epsilon_cap, AMOUNT_STEPS)} and delta {_number(budget.cap.delta, DELTA_STEPS)}"
        asks = f"epsilon {_number(opening.epsilon, AMOUNT_STEPS)} and delta {_number(opening.cap.delta, DELTA_STEPS)}"
        raise Conflict(
            f"lineage {opening.terms.lineage} was granted {has} for charges, and this asks for {asks}: "
            "raising is a grant, made with `dpstats budget grant`"
        )


def _check_range(cap: Loss, epsilon: int) -> None:
    if not 0 <= epsilon <= _STEPS_MAX or cap.amount > _STEPS_MAX or cap.delta >= DELTA_STEPS:
        raise ValueError("a budget's epsilon and rho are at least 0 and below 4,000,000, its delta below 1")


def _blocks_text(terms: LineageTerms) -> str:
    blocks = terms.blocks
    if blocks is None:
        return "none"
    epsilon, deltas = _number(blocks.epsilon, AMOUNT_STEPS), blocks.cap.delta + blocks.conversion_delta
    return f"of a {blocks.every} by {blocks.column} with epsilon {epsilon} and delta {_number(deltas, DELTA_STEPS)}"


def _measure_text(measure: Measure) -> str:
    return "zCDP (delta above 0)" if measure is Measure.ZCDP else "pure DP (delta 0)"


def _number(steps: int, in_one: int) -> str:
    """Steps as a plain number: `in_one` of them make 1."""
    whole, part = divmod(steps, in_one)
    return f"{whole}.{part:0{len(str(in_one)) - 1}d}".rstrip("0").rstrip(".")
