"""What each draw must cost so that measures have the 95 % half-widths that their query asks for. Pure.

The half-width of a count, a sum, or a linear function of them is the same in every group. That of an average, a ratio
or a variance depends on how large a group is. It is solved for a size that the query's file states, a public number
that a steward wrote there; nothing is ever solved from the data, and a group of another size has another half-width.

Nothing but the noise is in a half-width, and less noise never makes one wider, so the cheapest cost is found by
bisection. The draws of one measure share its cost equally: each side of an average or a ratio then adds as much to the
width at the end of the bounds, for which it is told, and the sum of the two is the least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from dpstats.catalog.query import AccuracyAt
from dpstats.errors import Refusal
from dpstats.plan.arithmetic import Drawn, Expression, Linear, draws_of, quantiles_of, shape_of
from dpstats.plan.denominators import denominator_of, width_at
from dpstats.plan.estimating import half_width_of
from dpstats.plan.moments import DrawSpec
from dpstats.plan.plan import Draw
from dpstats.privacy.accuracy import Term, half_width_steps
from dpstats.privacy.loss import AMOUNT_STEPS
from dpstats.privacy.mechanism import Noise, Sensitivity, calibrate

AMOUNT_MOST = 1000 * AMOUNT_STEPS
"""The dearest draw that is looked at: what a query may cost at most in a pure-DP dataset."""
Targets = Mapping[str, Decimal | AccuracyAt]
"""The half-width that is asked for, by measure."""
SIZE_EXAMPLE = 1000
"""The size of a group in what a refusal tells to write."""


@dataclass(frozen=True)
class Wanted:
    """A draw before it has a price: what it is, the noise that it gets, and how far one unit moves it."""

    spec: DrawSpec
    noise: Noise
    sensitivity: Sensitivity

    def draw(self, index: int, amount: int) -> Draw:
        """The draw at a price.

        Raises:
          ValueError: that is too little noise to be a mechanism, or too much to draw.
        """
        mechanism = calibrate(self.noise, self.sensitivity, amount)
        return Draw(index, self.spec.name, self.spec.kind, self.spec.grid, mechanism, self.spec.words)


def least_amounts(
    measures: Sequence[tuple[str, Expression]], targets: Targets, wanted: Sequence[Wanted]
) -> dict[int, int]:
    """The least amount, in steps of 1e-12 of rho or epsilon, of each draw that a target needs, by its index.

    What a single draw must cost for its own target is settled first; a measure of several then pays what is missing.

    Args:
      measures: all of the query's, by name.
      targets: checked by `wrong_targets`.
    """
    needed: dict[int, int] = {}
    asked = [(expression, targets[name]) for name, expression in measures if name in targets]
    for expression, target in sorted(asked, key=lambda each: not isinstance(each[0], Drawn)):
        for index, amount in _least(expression, target, wanted, needed):
            needed[index] = max(amount, needed.get(index, 0))  # two measures may share a draw
    return needed


def wrong_targets(
    measures: Sequence[tuple[str, Expression]], targets: Targets, draws: Sequence[DrawSpec]
) -> list[Refusal]:
    """Why half-widths cannot be solved for, and what to write instead; empty if they can."""
    found = [_wrong(name, each, targets[name], draws) for name, each in measures if name in targets]
    return [wrong for wrong in found if wrong is not None]


def _wrong(
    name: str, expression: Expression, target: Decimal | AccuracyAt, draws: Sequence[DrawSpec]
) -> Refusal | None:
    what = f"cost: accuracy: {name}"
    if quantiles_of(expression):
        return Refusal(f"{what}: a quantile has no half-width before it is drawn", "Give targets for other measures")
    of = denominator_of(expression, draws)
    if of is None and not isinstance(shape_of(expression), Linear):
        return Refusal(f"{what}: it has no half-width before it is drawn", "Give targets for what it is made of")
    if of is None and isinstance(target, AccuracyAt):
        return Refusal(f"{what}: its half-width is the same in every group", f"Write {name}: {target.half_width}")
    if of is not None and not (isinstance(target, AccuracyAt) and target.of == of):
        width = target.half_width if isinstance(target, AccuracyAt) else target
        return Refusal(
            f"{what}: its half-width depends on {'its denominator' if of == 'denominator' else f'the {of} of a group'}",
            f"Say of how many, from public knowledge: {name}: {{half_width: {width}, {of}: {SIZE_EXAMPLE}}}",
        )
    return None


def _least(
    expression: Expression, target: Decimal | AccuracyAt, wanted: Sequence[Wanted], needed: Mapping[int, int]
) -> list[tuple[int, int]]:
    if isinstance(expression, Drawn) and not isinstance(target, AccuracyAt):
        draw = wanted[expression.index]
        steps = int(Fraction(target) / draw.spec.grid)
        return [(expression.index, _least_alone(draw.noise, draw.sensitivity, steps))]
    used = tuple((index, wanted[index], needed.get(index, 0)) for index in sorted(draws_of(expression)))
    amount = _least_together(expression, target, used)
    return [(index, amount) for index, _, _ in used]


def least_alone(wanted: Wanted, half_width: Fraction) -> int:
    """The least amount, in steps of 1e-12 of rho or epsilon, at which a draw has this half-width, up to a grid step."""
    return _least_alone(wanted.noise, wanted.sensitivity, math.ceil(half_width / wanted.spec.grid))


@lru_cache(maxsize=1024)
def _least_alone(noise: Noise, sensitivity: Sensitivity, half_width: int) -> int:
    return _least_where(lambda amount: half_width_steps(calibrate(noise, sensitivity, amount)) <= half_width)


@lru_cache(maxsize=1024)
def _least_together(
    expression: Expression, target: Decimal | AccuracyAt, used: tuple[tuple[int, Wanted, int], ...]
) -> int:
    """The least amount for each of the draws of a measure, those that cost more already left at that."""

    def enough(amount: int) -> bool:
        draws = {index: wanted.draw(index, max(amount, already)) for index, wanted, already in used}
        terms = {i: Term(d.mechanism.noise, d.mechanism.scale, float(d.grid), 1.0) for i, d in draws.items()}
        return _reaches(expression, target, draws, terms)

    return _least_where(enough)


def _reaches(
    expression: Expression, target: Decimal | AccuracyAt, draws: Mapping[int, Draw], terms: Mapping[int, Term]
) -> bool:
    if isinstance(target, AccuracyAt):
        width = width_at(expression, draws, terms, float(target.size))
        return width is not None and width <= target.half_width
    width = half_width_of(expression, terms)
    return width is not None and width <= target


def _least_where(enough: Callable[[int], bool]) -> int:
    """By bisection: the half-width falls as the amount grows."""
    low, high = 1, AMOUNT_MOST
    while low < high:
        middle = (low + high) // 2
        try:
            reached = enough(middle)
        except ValueError:  # too little noise to be a mechanism, or too much to draw
            reached = middle > AMOUNT_STEPS
        low, high = (low, middle) if reached else (middle + 1, high)
    if low == AMOUNT_MOST and not enough(low):
        raise ValueError("no loss reaches it that one query may spend: at most rho 10, or epsilon 1000")
    return low
