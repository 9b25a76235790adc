"""How many answers of a price each budget and cap covers that an answer must fit in, in the order of a charge.

From the ledger and the caller alone, as a refusal says it: nothing here depends on data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from dpstats.catalog.parameters import BoundParameters
from dpstats.ledger.caps import Scope, Share
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Known
from dpstats.plan.analysis import Analysis
from dpstats.privacy.loss import Loss
from dpstats.release import loaded_on


@dataclass(frozen=True)
class Cover:
    """Covers `times` more answers of a price, >= 0. `scope` and `name` are those of `BudgetExhausted`."""

    scope: str
    name: str
    times: int


@dataclass(frozen=True)
class Asked:
    """An approved query with its parameters, and what one answer to it costs."""

    known: Known
    analysis: Analysis
    bound: BoundParameters
    loss: Loss


def tightest(store: Store, identity: Identity, asked: Asked) -> Cover:
    """What covers the fewest answers; of those that cover none, the one by which a charge is refused."""
    return min(_covers(store, identity, asked), key=lambda cover: cover.times)


def _covers(store: Store, identity: Identity, asked: Asked) -> Iterator[Cover]:
    lineage = asked.known.dataset.lineage
    yield Cover("dataset", "", _times(store.ledger.budget(lineage).remaining, asked.loss))
    if identity.cap_steps is not None:
        own = identity.cap_steps - store.caps.token_spent(identity.token_id)
        yield Cover(Scope.TOKEN, "", max(0, own) // asked.loss.amount)
    shares = {Share(Scope.ROLE, str(identity.role)), Share(Scope.PURPOSE, asked.known.query.purpose)}
    for cap in store.caps.of(lineage):  # roles first, as in a charge
        if cap.cap.share in shares:
            yield Cover(cap.cap.share.scope, cap.cap.share.name, cap.left // asked.loss.amount)
    yield from _blocks(store, asked)


def _blocks(store: Store, asked: Asked) -> Iterator[Cover]:
    """The blocks that the answer touches; nothing without blocks."""
    dataset = asked.known.dataset
    terms = store.ledger.terms(dataset.lineage).blocks
    if terms is None or asked.analysis.blocks is None:
        return
    versions = store.registry.data_versions(dataset.dataset)
    day = loaded_on(versions[-1]) if versions else datetime.now(UTC).date()
    totals = store.ledger.block_totals(dataset.lineage)
    for block in totals.spent_most(terms.every, asked.analysis.blocks.touched(asked.bound, day)):
        spent = totals.of(block)
        left = Loss(asked.loss.measure, max(0, terms.cap.amount - spent.amount), max(0, terms.cap.delta - spent.delta))
        yield Cover("block", block or "earliest", _times(left, asked.loss))


def _times(left: Loss, loss: Loss) -> int:
    """How often a loss fits, in both its parts."""
    times = left.amount // loss.amount
    return min(times, left.delta // loss.delta) if loss.delta else times
