"""What a year of a query costs at its stated cadence. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.query import QueryFile
from dpstats.plan.cadence import charges_a_year
from dpstats.privacy.loss import Loss, Measure, no_loss


@dataclass(frozen=True)
class Year:
    """How often a year brings a charge, and what they cost together."""

    charges: int
    loss: Loss


def year_of(query: QueryFile, dataset: DatasetFile, price: Loss) -> Year:
    """A year of a query, always asked with the same parameters; of one without a cadence, a single asking.

    Args:
      price: what one release costs.
    """
    charges = charges_a_year(query.cadence, query.fresh_for or dataset.fresh_for)
    return Year(charges, Loss(price.measure, price.amount * charges, price.delta * charges))


def together(measure: Measure, years: Iterable[Year]) -> Loss:
    """What the years cost together."""
    return sum((year.loss for year in years), start=no_loss(measure))


def days_covered(year: Loss, remaining: Loss) -> int | None:
    """For how many days what is left would do at an even pace; None where the year takes nothing."""
    parts = [(left, taken) for left, taken in ((remaining.amount, year.amount), (remaining.delta, year.delta)) if taken]
    return min(365 * left // taken for left, taken in parts) if parts else None
