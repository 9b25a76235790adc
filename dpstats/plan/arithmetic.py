"""Arithmetic between aggregates: what may be written between draws, and which of three shapes it has.

A linear function of draws, a ratio of two such, or something else: the shape decides how an interval is found
(`estimating.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from dpstats.plan.typed import product


@dataclass(frozen=True)
class Constant:
    """A number written in the query."""

    value: float


@dataclass(frozen=True)
class Drawn:
    """The draw of this index, in the measure's units."""

    index: int


@dataclass(frozen=True)
class Average:
    """centre + (noisy centred sum) / (noisy count); the truth lies in [low, high] because every row does."""

    total: int
    count: int
    centre: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """The variance, or its root, of rows: mean of squares minus square of the mean, both about a centre.

    `total`, `count`, `squares`: the draws of the centred sum, of the number of rows and of the centred squares. The
    variance of values in a range of width w is at most w^2 / 4 (Popoviciu 1935): `most`.
    """

    total: int
    count: int
    squares: int
    most: float
    root: bool


@dataclass(frozen=True)
class Quantile:
    """The quantile p = `share`, in (0, 1), of what the draw of this index says about its rows."""

    index: int
    share: Fraction


@dataclass(frozen=True)
class Binary:
    """`left` op `right`, op one of + - * /."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class NullIfZero:
    """NULLIF(operand, 0)."""

    operand: Expression


Expression = Constant | Drawn | Average | Spread | Quantile | Binary | NullIfZero


def draws_of(expression: Expression) -> set[int]:
    """The draws that an expression uses."""
    match expression:
        case Constant():
            return set()
        case Drawn(index):
            return {index}
        case Average(total, count):
            return {total, count}
        case Spread(total, count, squares):
            return {total, count, squares}
        case Quantile(index):
            return {index}
        case NullIfZero(operand):
            return draws_of(operand)
        case Binary(_, left, right):
            return draws_of(left) | draws_of(right)


def quantiles_of(expression: Expression) -> list[Quantile]:
    """The quantiles that an expression uses, each once."""
    match expression:
        case Quantile():
            return [expression]
        case NullIfZero(operand):
            return quantiles_of(operand)
        case Binary(_, left, right):
            return list(dict.fromkeys([*quantiles_of(left), *quantiles_of(right)]))
    return []


@dataclass(frozen=True)
class Linear:
    """constant + sum of coefficient * draw, no coefficient 0."""

    constant: float
    coefficients: tuple[tuple[int, float], ...]

    def plus(self, other: Linear, factor: float) -> Linear:
        """This function and `factor` times the other; a draw that cancels out is gone, and so is its noise."""
        merged = dict(self.coefficients)
        for index, coefficient in other.coefficients:
            merged[index] = merged.get(index, 0.0) + factor * coefficient
        moving = tuple((index, coefficient) for index, coefficient in sorted(merged.items()) if coefficient)
        return Linear(self.constant + factor * other.constant, moving)

    def times(self, factor: float) -> Linear:
        """`factor` times this function."""
        return Linear(0.0, ()).plus(self, factor)

    @property
    def finite(self) -> bool:
        """Whether all of its numbers are; one that is not has no closed form."""
        return all(math.isfinite(number) for number in (self.constant, *(c for _, c in self.coefficients)))

    def value(self, draws: Mapping[int, float]) -> float:
        """Its value at the draws, by index, in their measures' units."""
        return self.constant + math.fsum(c * draws[i] for i, c in self.coefficients)


@dataclass(frozen=True)
class Ratio:
    """offset + numerator / denominator; the truth is known to lie in [low, high]."""

    offset: float
    numerator: Linear
    denominator: Linear
    low: float = -math.inf
    high: float = math.inf

    @property
    def finite(self) -> bool:
        """As `Linear.finite`; what is known beforehand may be infinite."""
        return math.isfinite(self.offset) and self.numerator.finite and self.denominator.finite

    def plus(self, constant: float) -> Ratio:
        """This ratio and a constant."""
        return Ratio(
            self.offset + constant,
            self.numerator,
            self.denominator,
            self.low + constant,
            self.high + constant,
        )

    def times(self, factor: float) -> Ratio:
        """`factor` times this ratio; a negative one swaps the ends of what is known beforehand."""
        ends = sorted((product(self.low, factor), product(self.high, factor)))
        return Ratio(self.offset * factor, self.numerator.times(factor), self.denominator, ends[0], ends[1])


@dataclass(frozen=True)
class Other:
    """No closed form: kept as it was written."""

    expression: Expression
    finite: bool = True


Shape = Linear | Ratio | Other


def shape_of(expression: Expression) -> Shape:
    """Which of the three shapes an expression has."""
    match expression:
        case Constant(value):
            return Linear(value, ())
        case Drawn(index):
            return Linear(0.0, ((index, 1.0),))
        case Average(total, count, centre, low, high):
            return Ratio(centre, Linear(0.0, ((total, 1.0),)), Linear(0.0, ((count, 1.0),)), low, high)
        case NullIfZero(operand):
            return shape_of(operand)
        case Spread() | Quantile():
            return Other(expression)
        case Binary(op, left, right):
            made = _combine(op, shape_of(left), shape_of(right))
            return made if made and made.finite else Other(expression)


def _combine(op: str, left: Shape, right: Shape) -> Shape | None:
    if op in "+-":
        return _sum(left, right, 1.0 if op == "+" else -1.0)
    if op == "*":
        return _scaled(left, right) or _scaled(right, left)
    if isinstance(right, Linear) and not right.coefficients:
        return _scaled(left, Linear(1 / right.constant, ())) if right.constant else None
    if isinstance(left, Linear) and isinstance(right, Linear):
        return Ratio(0.0, left, right)
    return None


def _sum(left: Shape, right: Shape, sign: float) -> Shape | None:
    if isinstance(left, Linear) and isinstance(right, Linear):
        return left.plus(right, sign)
    if isinstance(left, Ratio) and isinstance(right, Linear) and not right.coefficients:
        return left.plus(sign * right.constant)
    if isinstance(right, Ratio) and isinstance(left, Linear) and not left.coefficients:
        return right.times(sign).plus(left.constant)
    return None


def _scaled(shape: Shape, factor: Shape) -> Shape | None:
    if not isinstance(factor, Linear) or factor.coefficients or isinstance(shape, Other):
        return None
    return shape.times(factor.constant)
