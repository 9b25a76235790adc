"""What a dataset's file says of its lineage's budget, in the ledger's units."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dpstats.catalog.dataset import BudgetSpec, DatasetFile
from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.granting import Opening
from dpstats.ledger.records import LineageTerms
from dpstats.plan.wording import plainly
from dpstats.privacy.conversion import rho_within
from dpstats.privacy.loss import Loss, Measure, amount_down, delta_down


def opening(dataset: DatasetFile, actor: str) -> Opening:
    """How a dataset's lineage is opened, if nobody did."""
    terms = LineageTerms(
        dataset.lineage,
        dataset.measure,
        delta_down(dataset.conversion_delta),
        dataset.privacy_unit,
        datetime.now(UTC),
        _block_terms(dataset),
    )
    return Opening(terms, stated_cap(dataset), amount_down(dataset.budget.epsilon), actor)


def stated_cap(dataset: DatasetFile) -> Loss:
    """What a dataset's file lets be charged for life."""
    epsilon = dataset.budget.epsilon
    pure = dataset.measure is Measure.PURE
    amount = amount_down(epsilon) if pure else rho_within(epsilon, dataset.conversion_delta)
    return Loss(dataset.measure, amount, delta_down(dataset.delta_thresholds))


def beyond(dataset: DatasetFile, loss: Loss) -> Iterator[str]:
    """Says where one answer costs more than all that the file lets be charged, for whoever writes the query."""
    if not loss.fits(stated_cap(dataset)):
        yield (
            f"one answer costs more than the whole budget that dataset.yaml states (epsilon {_plain(dataset.budget)}): "
            "lower its cost, or it is answered only after a grant"
        )
    terms = _block_terms(dataset)
    if terms is not None and dataset.blocks is not None and not loss.fits(terms.cap):
        yield (
            f"one answer costs more than the whole budget of a block (epsilon {_plain(dataset.blocks.budget)}), which "
            "nobody can raise: lower its cost, or it is never answered"
        )


def _plain(budget: BudgetSpec) -> str:
    return plainly(float(budget.epsilon))


def _block_terms(dataset: DatasetFile) -> BlockTerms | None:
    blocks = dataset.blocks
    if blocks is None:
        return None
    epsilon = amount_down(blocks.budget.epsilon)
    pure = dataset.measure is Measure.PURE
    amount = epsilon if pure else rho_within(blocks.budget.epsilon, blocks.conversion_delta)
    cap = Loss(dataset.measure, amount, delta_down(blocks.delta_thresholds))
    return BlockTerms(blocks.column, blocks.every, cap, epsilon, delta_down(blocks.conversion_delta))
