"""Quantiles: which one is asked, its candidate values, what is drawn for it, and what the draw says.

What a unit's rows can change is argued in `privacy/quantiles.py`; here rows are bounded to `max_rows` of a unit in a
group and to codes between the bounds, as for an average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from sqlglot import exp

from dpstats.plan.estimating import Estimate
from dpstats.plan.moments import DrawSpec
from dpstats.plan.plan import Draw, Quantiles
from dpstats.privacy.accuracy import ALPHA, Term, half_width
from dpstats.privacy.mechanism import Mechanism
from dpstats.privacy.quantiles import score_range
from dpstats.privacy.selection import score_gap

Points = int | tuple[Decimal, ...]
"""Candidates as a query's file declares them: so many even steps, or the values themselves."""
STEPS = 250
"""Even steps between candidates where the file says nothing; their tree has eight levels."""
WHOLE_MAX = 1000
"""Whole numbers in the bounds of a column of whole numbers up to which each one is a candidate."""
SHARE_STEPS = 10_000
"""A share is a multiple of 1 / 10,000, so that scores are small whole numbers."""


def share_of(aggregate: exp.Expr) -> Fraction | None:
    """The p of MEDIAN(x) or QUANTILE_CONT(x, p); None where it is not a plain number of at most four decimals."""
    if isinstance(aggregate, exp.Median):
        return Fraction(1, 2)
    literal = aggregate.args.get("expression")
    if not isinstance(literal, exp.Literal) or literal.is_string:
        return None
    number = Decimal(literal.this)
    if not Decimal("0.0001") <= number < 1:  # compared as it is written: a fraction of 1e-9999999 would take long
        return None
    share = Fraction(number)
    return share if 0 < share < 1 and (share * SHARE_STEPS).denominator == 1 else None


def candidate_codes(points: Points | None, low: int, high: int, step: Fraction, *, whole: bool) -> tuple[int, ...]:
    """The candidates as rising codes in [low, high] of a grid of `step`.

    Args:
      points: as declared; None: an even grid over the bounds, or every whole number where there are few.
    """
    if isinstance(points, tuple):
        declared = (math.floor(Fraction(point) / step + Fraction(1, 2)) for point in points)
        return tuple(sorted({code for code in declared if low <= code <= high}))
    if points is None and whole and step == 1 and high - low < WHOLE_MAX:
        return tuple(range(low, high + 1))
    steps = points or STEPS
    return tuple(sorted({low + (high - low) * place // steps for place in range(steps + 1)}))


def quantile_draw(name: str, index: int, step: Fraction, max_rows: int, quantiles: Quantiles) -> DrawSpec:
    """What is drawn: a candidate of one quantile, or a tree's nodes; sensitivities as in `privacy/quantiles.py`."""
    if quantiles.share is not None:
        moved = score_range(quantiles.share, max_rows)
        return DrawSpec(name, "quantile", step, moved, "", index, "0", quantiles=quantiles)
    repeats = quantiles.tree.levels
    return DrawSpec(name, "quantile_tree", step, max_rows, "", index, "0", quantiles=quantiles, repeats=repeats)


class QuantileReader:
    """What the noisy numbers of one draw say about quantiles, group after group.

    Args:
      draw: of a quantile, or of a tree.
    """

    def __init__(self, draw: Draw) -> None:
        if draw.quantiles is None:
            raise ValueError("not the draw of a quantile")
        self._draw, self._of = draw, draw.quantiles
        self._edges = (self._of.low, *self._of.candidates, self._of.high + 1)
        self._sides = [] if self._of.share is not None else list(map(self._of.tree.sides, self._boundaries))
        self._widths: dict[tuple[float, float], list[float]] = {}

    @property
    def _boundaries(self) -> range:
        return range(1, len(self._of.candidates) + 1)

    def find(self, noisy: Sequence[int], share: Fraction, alpha: float = ALPHA) -> Estimate:
        """The quantile p = `share` in the draw's units, with the interval that holds it with probability 1 - alpha.

        Args:
          noisy: the group's noisy whole numbers: a candidate's place, or the tree's nodes.
        """
        if self._of.share is None:
            return self._read_off(noisy, float(share), alpha)
        return Estimate(*map(self._value, (self._of.candidates[noisy[0]], self._of.low, self._of.high)))

    def rank_error(self, share: Fraction, alpha: float = ALPHA) -> float:
        """How many rows farther from the quantile's rank than the best candidate a released one is at most.

        With probability 1 - alpha, whatever the rows are. Rows between two candidates are not told apart; for a tree,
        it is how far the number of rows on either side of a candidate may be off.
        """
        if self._of.share is not None:
            return score_gap(self._draw.mechanism, len(self._of.candidates), alpha) / self._of.share.denominator
        return max(self._width(float(share), alpha))

    def _value(self, code: int) -> float:
        return float(code * self._draw.grid)

    def _read_off(self, noisy: Sequence[int], share: float, alpha: float) -> Estimate:
        """The bin in which (1 - p) below - p above changes its sign, and every bin where it may.

        For the bin that holds the quantile the sum is at most 1 - p at its lower boundary and at least -p at its upper
        one (a quantile between two rows takes no part of a row more). It is left out of the interval only if one of the
        two is past its own half-width on one side, each with probability alpha / 2.
        """
        balance = [self._balance(noisy, boundary, share) for boundary in self._boundaries]
        width = [each + 1 for each in self._width(share, alpha)]
        bins = range(len(balance) + 1)
        at = sum(value < 0 for value in balance)
        likely = [
            j
            for j in bins
            if (j == 0 or balance[j - 1] <= width[j - 1]) and (j == len(balance) or balance[j] >= -width[j])
        ]
        low, high = min([*likely, at]), max([*likely, at])
        value = self._inside(at, balance)
        return Estimate(self._value(value), self._value(self._edges[low]), self._value(max(value, self._last(high))))

    def _last(self, place: int) -> int:
        """The largest code of a bin; an empty bin has its edge."""
        return max(self._edges[place], self._edges[place + 1] - 1)

    def _inside(self, place: int, balance: Sequence[float]) -> int:
        """Where in its bin the sum is nought, on the line between the two boundaries."""
        first, last = self._edges[place], self._last(place)
        if not 0 < place < len(balance) or not balance[place - 1] < 0 <= balance[place]:
            return (first + last) // 2
        part = -balance[place - 1] / (balance[place] - balance[place - 1])
        return min(last, first + int(part * (self._edges[place + 1] - first)))

    def _balance(self, noisy: Sequence[int], boundary: int, share: float) -> float:
        before, after = self._sides[boundary - 1]
        return (1 - share) * sum(noisy[i] for i in before) - share * sum(noisy[i] for i in after)

    def _width(self, share: float, alpha: float) -> list[float]:
        """The half-width of each boundary's sum: of its noise alone, so the same for every group."""
        if (share, alpha) not in self._widths:
            above, below = _term(self._draw.mechanism, 1 - share), _term(self._draw.mechanism, share)
            self._widths[share, alpha] = [
                half_width([above] * len(before) + [below] * len(after), alpha) for before, after in self._sides
            ]
        return self._widths[share, alpha]


def _term(mechanism: Mechanism, coefficient: float) -> Term:
    return Term(mechanism.noise, mechanism.scale, 1.0, coefficient)
