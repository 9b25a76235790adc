"""How wide the 95 % interval of an average, a ratio or a variance is for public reference denominators.

Such an interval depends on how many rows or units a group has, which only the noisy answer tells. So it is given for
groups of 100, 1,000 and 10,000, or of a tenth, as much and ten times of what the query's file states, from the noise
alone:

- an average: the widest, which is that of a group whose rows all lie at one end of the bounds;
- a ratio of sums or counts: for a group where it is what the bounds of both make it. Where the denominator is a sum,
  it is so many times the most that one unit adds to it;
- a variance or standard deviation: for rows spread evenly between the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dpstats.plan.arithmetic import Expression, Linear, Ratio, Spread, shape_of
from dpstats.plan.estimating import Estimator, ratio_half_width
from dpstats.plan.plan import Draw
from dpstats.privacy.accuracy import Term

SIZES = (100, 1_000, 10_000)
COUNTED = {"units": "units", "count": "rows", "distinct": "values"}
"""The kinds of draws that count something, and what."""
Drawings = Sequence[Draw] | Mapping[int, Draw]
"""Draws by their index."""


class Counted(Protocol):
    """What is known of a draw before it has a price: what it counts."""

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Reference:
    """Half-widths by denominator, and what that counts: "rows", "units", "values"; "denominator" where it is a sum.

    None: the interval is no narrower than what is known beforehand.
    """

    of: str
    half_widths: Mapping[str, float | None]


def reference(
    expression: Expression, draws: Sequence[Draw], terms: Mapping[int, Term], stated: float | None = None
) -> Reference | None:
    """The reference half-widths of a measure; None where its interval does not hang on one denominator.

    Args:
      stated: the denominator that the query's file names; it is then the middle one.
    """
    of = denominator_of(expression, draws)
    if of is None:
        return None
    unit = _unit_of(expression, draws)
    sizes = [size * unit for size in SIZES] if stated is None else [stated / 10, stated, stated * 10]
    return Reference(of, {f"{size:.12g}": width_at(expression, draws, terms, size) for size in sizes})


def denominator_of(expression: Expression, draws: Sequence[Counted]) -> str | None:
    """What a measure's interval hangs on: "rows", "units", "values", "denominator"; None: on no denominator."""
    if isinstance(expression, Spread):
        return "rows"
    shape = shape_of(expression)
    return _counts(shape.denominator, draws) or "denominator" if isinstance(shape, Ratio) else None


def width_at(expression: Expression, draws: Drawings, terms: Mapping[int, Term], size: float) -> float | None:
    """The half-width for a denominator of `size`, > 0; None where it tells no more than is known beforehand.

    Raises:
      TypeError: the measure has no denominator.
    """
    if isinstance(expression, Spread):
        return _spread_width(expression, size, terms)
    shape = shape_of(expression)
    if not isinstance(shape, Ratio):
        raise TypeError("no measure that hangs on a denominator")
    return _ratio_width(shape, draws, terms, size)


def _unit_of(expression: Expression, draws: Sequence[Draw]) -> float:
    """What 1 of the denominator is: for what is not a count, the most that one unit adds."""
    shape = shape_of(expression)
    if not isinstance(shape, Ratio) or _counts(shape.denominator, draws) is not None:
        return 1.0
    return _most(shape.denominator, draws)


def _counts(linear: Linear, draws: Sequence[Counted]) -> str | None:
    """What the denominator counts, None where it is not one count."""
    index, coefficient = linear.coefficients[0]
    alone = len(linear.coefficients) == 1 and (coefficient, linear.constant) == (1.0, 0.0)
    return COUNTED.get(draws[index].kind) if alone else None


def _most(linear: Linear, draws: Drawings) -> float:
    """The most that one unit adds to it in a group."""
    return math.fsum(
        abs(c) * float(draws[i].mechanism.sensitivity.per_cell * draws[i].grid) for i, c in linear.coefficients
    )


def _ratio_width(ratio: Ratio, draws: Drawings, terms: Mapping[int, Term], bottom: float) -> float | None:
    try:
        if math.isfinite(ratio.low) and math.isfinite(ratio.high):
            truths = [ratio.low - ratio.offset, ratio.high - ratio.offset]
            at_most = (ratio.high - ratio.low) / 2
        else:
            truths, at_most = [_most(ratio.numerator, draws) / _most(ratio.denominator, draws)], math.inf
        widths = [ratio_half_width(ratio, terms, truth, bottom) for truth in truths]
    except (ArithmeticError, ValueError):
        return None
    return _if_it_tells(max(math.inf if width is None else width for width in widths), at_most)


def _spread_width(spread: Spread, rows: float, terms: Mapping[int, Term]) -> float | None:
    draws = {spread.total: 0.0, spread.count: rows, spread.squares: rows * spread.most / 3}
    try:
        found = Estimator(spread, terms).estimate(draws)
    except (ArithmeticError, ValueError):
        return None
    if found.low is None or found.high is None:
        return None
    return _if_it_tells((found.high - found.low) / 2, (math.sqrt(spread.most) if spread.root else spread.most) / 2)


def _if_it_tells(width: float, at_most: float) -> float | None:
    """The width, None where as much was known beforehand."""
    return width if width < at_most * (1 - 1e-9) else None
