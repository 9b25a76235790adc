"""How a query's cost is shared among its draws.

Unless the query states `weights`, every statistic gets the same share, so that each measure's 95 % error is alike
relative to its own bounds (a draw's scale is its sensitivity over the square root of its share, and the sensitivity is
its bound). The draws behind an average or a variance share its part equally. Nothing here looks at data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from dpstats.catalog.query import CostAccuracy, CostEpsilon, CostRho
from dpstats.plan.analysis import Analysis
from dpstats.plan.arithmetic import draws_of
from dpstats.plan.plan import Draw, Threshold, Top
from dpstats.plan.targets import Targets, Wanted, least_alone, least_amounts
from dpstats.privacy.conversion import rho_within
from dpstats.privacy.loss import AMOUNT_STEPS, Loss, Measure, amount_down
from dpstats.privacy.mechanism import Noise, Sensitivity

AMOUNT_MAX = 10 * AMOUNT_STEPS
"""The most that one query may cost, in rho."""
EPSILON_MAX = 1000 * AMOUNT_STEPS
"""The most that one query may cost in a pure-DP dataset, in epsilon."""


@dataclass(frozen=True)
class Priced:
    """A query's draws and what they cost together, where so many groups are declared.

    `max_groups`: how many of them one unit may touch. `top`, `threshold`: what chooses groups, if anything does.
    """

    groups: int
    max_groups: int
    draws: tuple[Draw, ...]
    top: Top | None
    threshold: Threshold | None
    loss: Loss


def amounts(
    analysis: Analysis, wanted: Sequence[tuple[Noise, Sensitivity]], times: Fraction = Fraction(1)
) -> list[int]:
    """What each draw may cost, in steps of 1e-12 of rho or epsilon, each >= 1.

    Args:
      wanted: the noise and sensitivity of each draw; after them, where there is one, of the selection of the largest
        groups, which weighs as much as the measure that orders them.
      times: how much more than the query's own cost is spent, shared in the same way.

    Raises:
      ValueError: the cost is in the wrong measure, too small to share, or above what a query may cost.
    """
    cost = analysis.query.cost
    if isinstance(cost, CostAccuracy):
        shares = [int(share * times) for share in _for_accuracy(analysis, wanted, cost.accuracy)]
    else:
        shares = _split(int(_total(analysis, cost) * times), _weights(analysis)[: len(wanted)])
    most = AMOUNT_MAX if analysis.dataset.measure is Measure.ZCDP else EPSILON_MAX
    if min(shares) < 1:
        raise ValueError(f"the cost is too small to share among {len(shares)} draws of noise: raise it")
    if sum(shares) > most:
        raise ValueError("the cost of one query must be more than 0 and at most rho 10, or epsilon 1000")
    return shares


def _total(analysis: Analysis, cost: CostRho | CostEpsilon) -> int:
    pure = analysis.dataset.measure is Measure.PURE
    if isinstance(cost, CostRho):
        if pure:
            raise ValueError("a dataset with delta 0 counts epsilon: write cost: {epsilon: ..}")
        return amount_down(cost.rho)
    if pure:
        return amount_down(cost.epsilon)
    return rho_within(cost.epsilon, analysis.dataset.conversion_delta)


def _weights(analysis: Analysis) -> list[Fraction]:
    """A draw's weight: its statistic's, which is that of the weightiest measure that uses it, shared by its draws.

    Last, where there is one, the weight of the selection of the largest groups.
    """
    weights = [Fraction(0)] * len(analysis.draws)
    for statistic in analysis.statistics:
        users = [o for o in analysis.outputs if draws_of(o.expression) & set(statistic.draws)]
        weight = max((Fraction(analysis.query.weights.get(o.name, Decimal(1))) for o in users), default=Fraction(1))
        for index in statistic.draws:
            weights[index] = weight / len(statistic.draws)
    return weights if analysis.top is None else [*weights, weights[analysis.top.draw]]


def _split(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Shares in whole steps that add up to the total exactly; the last steps go to the first draws."""
    whole = sum(weights)
    shares = [int(total * weight / whole) for weight in weights]
    for i in range(total - sum(shares)):
        shares[i % len(shares)] += 1
    return shares


def _for_accuracy(analysis: Analysis, wanted: Sequence[tuple[Noise, Sensitivity]], targets: Targets) -> list[int]:
    """The least amount for each draw that a target needs; the others get as much as the dearest of those.

    A count that is drawn for the floor alone gets what tells a group at the floor from one of half its size.
    """
    drawn = [Wanted(spec, *each) for spec, each in zip(analysis.draws, wanted, strict=False)]
    needed = least_amounts([(output.name, output.expression) for output in analysis.outputs], targets, drawn)
    dearest = max(needed.values())
    floor = analysis.floor
    if floor is not None and floor.added:
        needed[floor.draw] = least_alone(drawn[floor.draw], Fraction(floor.at, 2))
    return [needed.get(index, dearest) for index in range(len(wanted))]
