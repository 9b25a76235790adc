"""How wide the 95 % interval of an average, a ratio or a variance is for public reference denominators.

Such an interval depends on how many rows or units a group has, which only the noisy answer tells. So it is given for
groups of 100, 1,000 and 10,000, from the noise alone:

- an average: the widest, which is that of a group whose rows all lie at one end of the bounds;
- a ratio of sums or counts: for a group where it is what the bounds of both make it. Where the denominator is a sum,
  it is so many times the most that one unit adds to it;
- a variance or standard deviation: for rows spread evenly between the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dpstats.plan.arithmetic import Estimator, Expression, Linear, Ratio, Spread, ratio_half_width, shape_of
from dpstats.plan.plan import Draw
from dpstats.privacy.accuracy import Term

SIZES = (100, 1_000, 10_000)
COUNTED = {"units": "units", "count": "rows", "distinct": "values"}
"""The kinds of draws that count something, and what."""


@dataclass(frozen=True)
class Reference:
    """Half-widths by denominator, and what that counts: "rows", "units", "values"; "denominator" where it is a sum.

    None: the interval is no narrower than what is known beforehand.
    """

    of: str
    half_widths: Mapping[str, float | None]


def reference(expression: Expression, draws: Sequence[Draw], terms: Mapping[int, Term]) -> Reference | None:
    """The reference half-widths of a measure; None where its interval does not hang on one denominator."""
    shape = shape_of(expression)
    if isinstance(expression, Spread):
        return Reference("rows", {str(size): _spread_width(expression, size, terms) for size in SIZES})
    if not isinstance(shape, Ratio):
        return None
    of, unit = _denominator(shape.denominator, draws)
    bottoms = [size * unit for size in SIZES]
    return Reference(of, {f"{bottom:.12g}": _ratio_width(shape, draws, terms, bottom) for bottom in bottoms})


def _denominator(linear: Linear, draws: Sequence[Draw]) -> tuple[str, float]:
    """What the denominator counts, and what 1 of it is: for what is not a count, the most that one unit adds."""
    index, coefficient = linear.coefficients[0]
    if len(linear.coefficients) == 1 and (coefficient, linear.constant) == (1.0, 0.0) and draws[index].kind in COUNTED:
        return COUNTED[draws[index].kind], 1.0
    return "denominator", _most(linear, draws)


def _most(linear: Linear, draws: Sequence[Draw]) -> float:
    """The most that one unit adds to it in a group."""
    return math.fsum(
        abs(c) * float(draws[i].mechanism.sensitivity.per_cell * draws[i].grid) for i, c in linear.coefficients
    )


def _ratio_width(ratio: Ratio, draws: Sequence[Draw], terms: Mapping[int, Term], bottom: float) -> float | None:
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


def _spread_width(spread: Spread, rows: int, terms: Mapping[int, Term]) -> float | None:
    draws = {spread.total: 0.0, spread.count: float(rows), spread.squares: rows * spread.most / 3}
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
