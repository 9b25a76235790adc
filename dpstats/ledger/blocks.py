"""What each time block was charged: running totals beside the chain, changed in the transaction of the charge.

Claim: no block is charged more than its budget, whoever asks at once.
Argument: `check` and `add` run in one write transaction, and writers are alone (`database.writing`), so the totals that
are looked at are those that are added to. A charge of the blocks from `first` to `last` adds to the total of each. One
with an open start ("every block that there is") is kept once, under its last block, and counts for every block up to
it, among them those that were never named. So a block's charge is its own total and the open ones that reach it; over
all blocks up to `last`, the largest is at a block that has a total of its own, or before all of them. `verify` adds
everything up again from the entries, which are hashed and signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from dpstats.errors import BudgetExhausted
from dpstats.ledger import schema
from dpstats.ledger.chain import canonical_json
from dpstats.privacy.blocks import STATIC, Grain, Touched
from dpstats.privacy.loss import Loss, Measure, no_loss

_TOTALS = schema.block_totals.c
EARLIEST = ""
"""Stands for the blocks before every one that has a total: it sorts before all names."""


@dataclass(frozen=True)
class BlockTerms:
    """The blocks of a lineage, fixed for its life: their column, how long one is, and the budget of each.

    `epsilon` is that budget as epsilon, steps of 1e-12; `conversion_delta` is in steps of 1e-18, 0 for pure DP.
    """

    column: str
    every: Grain
    cap: Loss
    epsilon: int
    conversion_delta: int


@dataclass
class Totals:
    """What was charged: to `own` blocks by name, and to every block up to a name (`open_to`)."""

    measure: Measure
    own: dict[str, Loss] = field(default_factory=dict)
    open_to: dict[str, Loss] = field(default_factory=dict)

    def of(self, block: str) -> Loss:
        """Everything that was charged to one block, by its name."""
        spent = self.own.get(block, no_loss(self.measure))
        if block == STATIC:
            return spent
        return sum((loss for last, loss in self.open_to.items() if block <= last), start=spent)

    def spent_most(self, grain: Grain, touched: Touched) -> Iterator[str]:
        """The blocks of `touched` among which is the one that was charged most."""
        if touched.static:
            yield STATIC
        if touched.open_start:
            yield EARLIEST
            yield from sorted(name for name in self.own if name != STATIC and name <= str(touched.last))
        elif touched.first is not None and touched.last is not None:
            yield from grain.names(touched.first, touched.last)

    def add(self, grain: Grain, touched: Touched, loss: Loss) -> list[tuple[str, bool]]:
        """Adds a charge, and gives the totals that changed: the block's name, and whether it is an open one."""
        changed = [(STATIC, False)] if touched.static else []
        if touched.open_start:
            changed.append((str(touched.last), True))
        elif touched.first is not None and touched.last is not None:
            changed += [(name, False) for name in grain.names(touched.first, touched.last)]
        for name, is_open in changed:
            kept = self.open_to if is_open else self.own
            kept[name] = kept.get(name, no_loss(self.measure)) + loss
        return changed


def totals(connection: Connection, lineage: str, measure: Measure) -> Totals:
    """The running totals of a lineage."""
    found = Totals(measure)
    query = select(_TOTALS.block, _TOTALS.open_start, _TOTALS.amount, _TOTALS.delta).where(_TOTALS.lineage == lineage)
    for block, is_open, amount, delta in connection.execute(query):
        (found.open_to if is_open else found.own)[block] = Loss(measure, amount, delta)
    return found


def charge(connection: Connection, lineage: str, terms: BlockTerms, touched: Touched, loss: Loss) -> None:
    """Charges the blocks, all or none.

    Raises:
      BudgetExhausted: one of them has less left, in rho (or epsilon) or in delta; it is named.
    """
    kept = totals(connection, lineage, loss.measure)
    for block in kept.spent_most(terms.every, touched):
        _check_fits(terms, block or "earliest", kept.of(block), loss)
    before = {(name, False) for name in kept.own} | {(name, True) for name in kept.open_to}
    for name, is_open in kept.add(terms.every, touched, loss):
        total = (kept.open_to if is_open else kept.own)[name]
        values = {"amount": total.amount, "delta": total.delta}
        if (name, is_open) in before:
            here = (_TOTALS.lineage == lineage, _TOTALS.block == name, _TOTALS.open_start == is_open)
            connection.execute(update(schema.block_totals).where(*here).values(**values))
        else:
            row = {"lineage": lineage, "block": name, "open_start": is_open}
            connection.execute(insert(schema.block_totals).values(**row, **values))


def _check_fits(terms: BlockTerms, block: str, spent: Loss, loss: Loss) -> None:
    left, left_delta = max(0, terms.cap.amount - spent.amount), max(0, terms.cap.delta - spent.delta)
    if loss.amount > left:
        told = (loss.measure.unit, loss.amount_decimal, Loss(loss.measure, left).amount_decimal)
    elif loss.delta > left_delta:
        told = ("delta", loss.delta_decimal, Loss(loss.measure, 0, left_delta).delta_decimal)
    else:
        return
    measure, requested, remaining = told
    raise BudgetExhausted(measure=measure, requested=requested, remaining=remaining, scope="block", name=block)


def recorded(touched: Touched | None) -> str | None:
    """The blocks as an entry says them, canonical JSON; None for a lineage without blocks."""
    if touched is None:
        return None
    return canonical_json({"first": touched.first, "last": touched.last, "static": touched.static})


def read(text: str) -> Touched:
    """What `recorded` wrote.

    Raises:
      ValueError, TypeError, KeyError: it did not write this.
    """
    said = json.loads(text)
    if not isinstance(said, Mapping) or said.keys() != {"first", "last", "static"} or type(said["static"]) is not bool:
        raise ValueError("an entry's blocks are a first, a last and whether the static one is among them")
    if not all(said[end] is None or isinstance(said[end], str) for end in ("first", "last")):
        raise TypeError("a block's name is text")
    return Touched(said["first"], said["last"], said["static"])


def terms_text(terms: BlockTerms | None) -> str | None:
    """The terms as the lineage's row and its first grant keep them, canonical JSON; None without blocks."""
    if terms is None:
        return None
    return canonical_json(
        {
            "amount": terms.cap.amount,
            "column": terms.column,
            "conversion_delta": terms.conversion_delta,
            "delta": terms.cap.delta,
            "epsilon": terms.epsilon,
            "every": str(terms.every),
        }
    )


def read_terms(text: str | None, measure: Measure) -> BlockTerms | None:
    """What `terms_text` wrote.

    Raises:
      ValueError, TypeError, KeyError: it did not write this.
    """
    if text is None:
        return None
    said = json.loads(text)
    cap = Loss(measure, said["amount"], said["delta"])
    return BlockTerms(said["column"], Grain(said["every"]), cap, said["epsilon"], said["conversion_delta"])
