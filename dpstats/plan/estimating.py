"""Measures from noisy draws: values and 95 % intervals, from the noise alone.

Three shapes have an interval of their own, and it is right:

- a linear function of draws: the distribution of its noise is known (`accuracy.half_width`);
- a ratio of two linear functions, with an offset (an AVG is centre + sum / count): Fieller's interval. For the true
  ratio t, `numerator - t * denominator` is linear in the draws with mean zero, so {t : |numerator - t * denominator|
  within its own 95 % half-width} covers t 95 % of the time, whatever the denominator (Fieller 1954). Where the
  denominator cannot be told from zero that set is unbounded, and the interval is all that is known beforehand;
- anything else: intervals of all draws that hold together (union bound), carried through by interval arithmetic;
  it covers at least 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dpstats.plan.arithmetic import (
    Average,
    Binary,
    Constant,
    Drawn,
    Expression,
    Linear,
    NullIfZero,
    Other,
    Quantile,
    Ratio,
    Spread,
    draws_of,
    quantiles_of,
    shape_of,
)
from dpstats.plan.typed import product
from dpstats.privacy.accuracy import ALPHA, Term, half_width, surplus


@dataclass(frozen=True)
class Estimate:
    """A released number with its 95 % interval; None where nothing can be said (a division by noise)."""

    value: float | None
    low: float | None
    high: float | None


FindQuantile = Callable[[Quantile, float], Estimate]
"""(quantile, alpha) -> it, in one row, with the interval that holds it with probability 1 - alpha."""
Span = tuple[float, float]
Box = Mapping[int | Quantile, Span]
_ANYTHING: Span = (-math.inf, math.inf)
_REACH_MAX = 1e300
_CLOSE = 1e-6
"""How near the end of an interval is found, relative to its width."""


def _no_quantile(quantile: Quantile, _alpha: float) -> Estimate:
    raise LookupError(f"nothing is known of the quantile {quantile.share}")


def half_width_of(expression: Expression, terms: Mapping[int, Term]) -> float | None:
    """The 95 % half-width where it is the same in every row, else None."""
    shape = shape_of(expression)
    return half_width(_terms(shape, terms)) if isinstance(shape, Linear) else None


def _terms(linear: Linear, terms: Mapping[int, Term]) -> list[Term]:
    return [_with_coefficient(terms[index], coefficient) for index, coefficient in linear.coefficients]


def _with_coefficient(term: Term, coefficient: float) -> Term:
    return Term(term.noise, term.scale, term.step, coefficient)


class Estimator:
    """Values and 95 % intervals of one expression, row after row.

    Args:
      expression: over the draws.
      terms: the noise of each draw in its measure's units, with coefficient 1.
    """

    def __init__(self, expression: Expression, terms: Mapping[int, Term]) -> None:
        self._expression, self._terms, self._shape = expression, terms, shape_of(expression)
        if isinstance(self._shape, Ratio):
            self._pivot = _Pivot(self._shape, terms)

    def estimate(self, draws: Mapping[int, float], quantile: FindQuantile = _no_quantile) -> Estimate:
        """The estimate for one row's noisy draws, in their measures' units, and its quantiles."""
        match self._shape:
            case Linear() as linear:
                value, width = linear.value(draws), half_width(_terms(linear, self._terms))
                return Estimate(value, value - width, value + width)
            case Ratio() as ratio:
                return _ratio_estimate(ratio, self._pivot, draws)
            case Other():
                return _other_estimate(self._expression, draws, self._terms, quantile)


class _Pivot:
    """`numerator - t * denominator`, the linear function whose noise tells whether t can be the true ratio."""

    def __init__(self, ratio: Ratio, terms: Mapping[int, Term]) -> None:
        top, bottom = dict(ratio.numerator.coefficients), dict(ratio.denominator.coefficients)
        used = sorted(top | bottom)
        self._noise = terms[used[0]].noise
        self._parts = [
            (top.get(i, 0.0) * terms[i].step, bottom.get(i, 0.0) * terms[i].step, terms[i].scale) for i in used
        ]

    def spread(self, candidate: float) -> float:
        """About the size of the pivot's noise."""
        return math.hypot(*((up - candidate * down) * scale for up, down, scale in self._parts))

    def surplus(self, candidate: float, top: float, bottom: float) -> float:
        """Negative where `candidate` is in Fieller's set for the observed numerator and denominator."""
        return self._surplus(
            [(up - candidate * down, scale) for up, down, scale in self._parts], top - candidate * bottom
        )

    def tells_from_zero(self, bottom: float) -> bool:
        """Whether the denominator is told from zero, which is when Fieller's set is bounded."""
        return self._surplus([(down, scale) for _, down, scale in self._parts], bottom) >= 0

    def _surplus(self, steps: Sequence[tuple[float, float]], value: float) -> float:
        slack = sum(abs(step) for step, _ in steps) / 2  # as in `accuracy.tail`
        return surplus(self._noise, [abs(step) * scale for step, scale in steps], max(0.0, abs(value) - slack))


def _ratio_estimate(ratio: Ratio, pivot: _Pivot, draws: Mapping[int, float]) -> Estimate:
    top, bottom = ratio.numerator.value(draws), ratio.denominator.value(draws)
    if not bottom or not pivot.tells_from_zero(bottom):
        return _unknown(ratio, top, bottom)
    low, high = (ratio.offset + _fieller_end(pivot, top, bottom, direction) for direction in (-1, +1))
    value = ratio.offset + top / bottom
    # What is known beforehand narrows the interval, but not past the value, which is left as the noise made it.
    return Estimate(value, min(value, max(ratio.low, low)), max(value, min(ratio.high, high)))


def ratio_half_width(ratio: Ratio, terms: Mapping[int, Term], truth: float, bottom: float) -> float | None:
    """Half the width of Fieller's interval where the draws are `truth` = numerator / denominator and `bottom`.

    What is known of the ratio beforehand does not narrow it. None: the denominator cannot be told from zero.
    """
    pivot = _Pivot(ratio, terms)
    if not bottom or not pivot.tells_from_zero(bottom):
        return None
    low, high = (_fieller_end(pivot, truth * bottom, bottom, direction) for direction in (-1, +1))
    return _known(high / 2 - low / 2)


def _unknown(ratio: Ratio, top: float, bottom: float) -> Estimate:
    """The denominator cannot be told from zero: the interval is what was known before, the value is kept inside it."""
    if not (math.isfinite(ratio.low) and math.isfinite(ratio.high)):
        return Estimate(ratio.offset + top / bottom if bottom else None, None, None)
    value = ratio.offset + (top / bottom if bottom > 0 else 0.0)
    return Estimate(max(ratio.low, min(ratio.high, value)), ratio.low, ratio.high)


def _fieller_end(pivot: _Pivot, top: float, bottom: float, direction: int) -> float:
    """The end of Fieller's set on one side of the estimate, on its outer side: doubled outward, then closed in on."""
    centre = top / bottom

    def past(distance: float) -> float:
        return pivot.surplus(centre + direction * distance, top, bottom)

    near, far = 0.0, max(2 * pivot.spread(centre) / abs(bottom), abs(centre) * 1e-9, 1e-12)
    inside, outside = past(near), past(far)
    if inside >= 0:  # numerator and denominator move together: no noise is left in the ratio
        return centre
    while not outside >= 0:
        near, far, inside = far, far * 2, outside
        if not far <= _REACH_MAX:  # or it is NaN: the numbers left the doubles
            return direction * math.inf
        outside = past(far)
    return centre + direction * _closed_in(past, near, far, inside, outside)


def _closed_in(past: Callable[[float], float], near: float, far: float, inside: float, outside: float) -> float:
    """Just past the root of `past` between `near`, where it is `inside` < 0, and `far`, where it is `outside` >= 0.

    Regula falsi; an end that stays put counts half (the Illinois algorithm, Dowell and Jarratt 1971).
    """
    for _ in range(100):
        if far - near <= _CLOSE * far:
            break
        share = inside / (inside - outside)
        middle = near + (far - near) * (share if 0 < share < 1 else 0.5)
        value = past(middle)
        if value >= 0:
            far, outside, inside = middle, value, inside / 2
        else:
            near, inside, outside = middle, value, outside / 2
    return far


def _other_estimate(
    expression: Expression, draws: Mapping[int, float], terms: Mapping[int, Term], quantile: FindQuantile
) -> Estimate:
    used, asked = sorted(draws_of(expression) & draws.keys()), quantiles_of(expression)
    alpha = ALPHA / (len(used) + len(asked))
    width = {i: half_width([_with_coefficient(terms[i], 1.0)], alpha) for i in used}
    found = {each: quantile(each, alpha) for each in asked}
    box: dict[int | Quantile, Span] = {i: (draws[i] - width[i], draws[i] + width[i]) for i in used}
    point: dict[int | Quantile, Span] = {i: (draws[i], draws[i]) for i in used}
    for each, estimate in found.items():
        box[each], point[each] = _ends(estimate.low, estimate.high), _ends(estimate.value, estimate.value)
    value, _ = _evaluate(_as_drawn(expression), point)
    low, high = _evaluate(expression, box)
    if not math.isfinite(value):
        return Estimate(None, _known(low), _known(high))
    if isinstance(expression, Spread) and box[expression.count][0] <= 0:
        # As for a ratio: where the number of rows cannot be told from zero, the value is kept inside what is possible.
        value = max(0.0, min(math.sqrt(expression.most) if expression.root else expression.most, value))
    return Estimate(value, _known(min(low, value)), _known(max(high, value)))


def _ends(low: float | None, high: float | None) -> Span:
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _known(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _as_drawn(expression: Expression) -> Expression:
    """The expression with averages left as the noise made them, whatever is known of them beforehand."""
    match expression:
        case Average():
            return replace(expression, low=-math.inf, high=math.inf)
        case Binary(op, left, right):
            return Binary(op, _as_drawn(left), _as_drawn(right))
        case NullIfZero(operand):
            return NullIfZero(_as_drawn(operand))
    return expression


def _evaluate(expression: Expression, box: Box) -> Span:
    """Interval arithmetic; what divides by a span that holds zero, or leaves the doubles, is anything."""
    match expression:
        case Constant(value):
            return value, value
        case Drawn(index):
            return box[index]
        case Quantile():
            return box[expression]
        case NullIfZero(operand):
            return _evaluate(operand, box)
        case Average(total, count, centre, low, high):
            ends = (centre + end for end in _span("/", box[total], box[count]))
            down, up = (max(low, min(high, end)) for end in ends)
            return down, up
        case Spread():
            return _spread(expression, box)
        case Binary(op, left, right):
            return _span(op, _evaluate(left, box), _evaluate(right, box))


def _spread(spread: Spread, box: Box) -> Span:
    mean_square = _span("/", box[spread.squares], box[spread.count])
    mean = _span("/", box[spread.total], box[spread.count])
    ends = [product(end, end) for end in mean]
    square = (0.0 if mean[0] <= 0 <= mean[1] else min(ends), max(ends))
    low, high = _span("-", mean_square, square)
    if low < high:  # an interval, not a value: what is known beforehand narrows it
        low, high = max(0.0, min(low, spread.most)), min(spread.most, max(0.0, high))
    return (math.sqrt(max(0.0, low)), math.sqrt(max(0.0, high))) if spread.root else (low, high)


def _span(op: str, left: Span, right: Span) -> Span:
    span = _combined(op, left, right)
    return _ANYTHING if any(math.isnan(end) for end in span) else span


def _combined(op: str, left: Span, right: Span) -> Span:
    if op == "+":
        return left[0] + right[0], left[1] + right[1]
    if op == "-":
        return left[0] - right[1], left[1] - right[0]
    if op == "*":
        return _hull([product(a, b) for a in left for b in right])
    if right[0] <= 0 <= right[1]:
        return _ANYTHING
    return _hull([product(a, 1 / b) for a in left for b in right])


def _hull(ends: Sequence[float]) -> Span:
    return (math.nan, math.nan) if any(math.isnan(end) for end in ends) else (min(ends), max(ends))
