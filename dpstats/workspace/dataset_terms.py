"""What a dataset's file says of its lineage's budget, in the ledger's units."""

from __future__ import annotations

from datetime import UTC, datetime

from dpstats.catalog.dataset import DatasetFile
from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.granting import Opening
from dpstats.ledger.records import LineageTerms
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


def _block_terms(dataset: DatasetFile) -> BlockTerms | None:
    blocks = dataset.blocks
    if blocks is None:
        return None
    epsilon = amount_down(blocks.budget.epsilon)
    pure = dataset.measure is Measure.PURE
    amount = epsilon if pure else rho_within(blocks.budget.epsilon, blocks.conversion_delta)
    cap = Loss(dataset.measure, amount, delta_down(blocks.delta_thresholds))
    return BlockTerms(blocks.column, blocks.every, cap, epsilon, delta_down(blocks.conversion_delta))
