"""The integer grid on which rows are coded before any sum.

A sum of doubles depends on the order of its rows, so one unit's presence could change the last bits of everybody's
total. Coded first, a sum is an integer: exact, the same in any order, and one unit changes it by its own part alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from dpstats.plan.typed import Kind, Typed

DIGITS = 6
"""A measure's largest value is coded to this many decimal digits or one more."""
CODE_MAX = 10**15
"""A row's code stays below this, where doubles still hold every whole number."""


@dataclass(frozen=True)
class Grid:
    """Whole numbers worth `step` each; a power of ten, so that cents stay cents."""

    step: Fraction

    def down(self, value: Decimal | float) -> int:
        """The largest code whose value is at most `value`."""
        return math.floor(Fraction(value) / self.step)

    def up(self, value: Decimal | float) -> int:
        """The smallest code whose value is at least `value`."""
        return math.ceil(Fraction(value) / self.step)

    def code(self, value: Typed, low: int, high: int) -> str:
        """SQL of a row's code, a BIGINT in [low, high]; NULL stays NULL.

        `value.sql` must be a plain column: it stands in the text several times. Rounding and clipping look at one
        value at a time, so they keep rows apart.
        """
        if value.kind is Kind.INT and self.step == 1:
            clipped = f"greatest({low}::BIGINT, least({high}::BIGINT, {value.sql}))"
            return f"CASE WHEN {value.sql} IS NOT NULL THEN {clipped} END"
        number = f"CAST({value.sql} AS DOUBLE)"
        coded = f"round({number} * {self.step.denominator}::DOUBLE / {self.step.numerator}::DOUBLE)"
        clipped = f"greatest({low}::DOUBLE, least({high}::DOUBLE, {coded}))"
        return f"CASE WHEN isfinite({number}) THEN CAST({clipped} AS BIGINT) END"

    def value(self, sql: str) -> str:
        """SQL of the double that a code (or a sum of codes) stands for."""
        return f"(CAST({sql} AS DOUBLE) * {self.step.numerator}::DOUBLE / {self.step.denominator}::DOUBLE)"


def grid_for(largest: Decimal | float, row_largest: float, *, whole: bool) -> Grid:
    """The grid for a measure whose size is at most `largest`, made of rows of size at most `row_largest`.

    Args:
      largest: > 0; the step is at most a millionth of it.
      row_largest: finite; codes of rows stay below CODE_MAX.
      whole: the rows are whole numbers, so the step is 1 unless that is too fine.
    """
    fine = _power(math.floor(math.log10(float(largest))) - (9 if whole else DIGITS))
    if whole:
        fine = max(fine, Fraction(1))
    coarse_enough = _power(math.ceil(math.log10(max(row_largest, 1e-300))) - 15)
    return Grid(max(fine, coarse_enough))


def _power(exponent: int) -> Fraction:
    return Fraction(10) ** exponent
