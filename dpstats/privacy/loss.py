"""Privacy loss as exact integers.

A loss is counted in whole steps, so that a thousand charges add up to exactly a thousand charges and a subnormal
spend can never vanish in a sum: 1 step of rho or epsilon is 1e-12, 1 step of delta is 1e-18. Spending rounds up,
what may be spent rounds down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

AMOUNT_STEPS = 10**12
"""Steps in 1.0 of rho (zCDP) or epsilon (pure DP)."""

DELTA_STEPS = 10**18
"""Steps in 1.0 of delta."""


class Measure(StrEnum):
    """What a dataset's amounts are counted in, for the life of its lineage."""

    ZCDP = "zcdp"
    """`amount` is rho of zero-concentrated DP (Bun and Steinke 2016); sums under composition (Lemma 1.7)."""
    PURE = "pure"
    """`amount` is epsilon of pure DP; sums under composition (Dwork and Roth 2014, Thm. 3.14)."""

    @property
    def unit(self) -> str:
        """The name of the amount: "rho" or "epsilon"."""
        return "rho" if self is Measure.ZCDP else "epsilon"


@dataclass(frozen=True)
class Loss:
    """An exact privacy loss: `amount` in steps of 1e-12 of rho or epsilon, `delta` in steps of 1e-18. Both >= 0."""

    measure: Measure
    amount: int
    delta: int = 0

    def __post_init__(self) -> None:
        if self.amount < 0 or self.delta < 0:
            raise ValueError("a privacy loss is never negative")
        if self.measure is Measure.PURE and self.delta:
            raise ValueError("a pure-DP loss has no delta")

    def __add__(self, other: Loss) -> Loss:
        """Basic composition: losses of one measure add up exactly."""
        if self.measure is not other.measure:
            raise ValueError("losses of two measures do not add up")
        return Loss(self.measure, self.amount + other.amount, self.delta + other.delta)

    def fits(self, remaining: Loss) -> bool:
        """Whether this loss is within `remaining`, in amount and in delta."""
        if self.measure is not remaining.measure:
            raise ValueError("losses of two measures cannot be compared")
        return self.amount <= remaining.amount and self.delta <= remaining.delta

    @property
    def amount_decimal(self) -> Decimal:
        """The amount as an exact decimal number."""
        return Decimal(self.amount) / AMOUNT_STEPS

    @property
    def delta_decimal(self) -> Decimal:
        """The delta as an exact decimal number."""
        return Decimal(self.delta) / DELTA_STEPS


def no_loss(measure: Measure) -> Loss:
    """The loss of an answer that reads nobody's data."""
    return Loss(measure, 0)


def amount_up(value: Decimal | float | Fraction) -> int:
    """Steps of 1e-12 that cover `value` >= 0: rounded up exactly, for a loss that is spent."""
    return math.ceil(Fraction(value) * AMOUNT_STEPS)


def amount_down(value: Decimal | float | Fraction) -> int:
    """Steps of 1e-12 inside `value` >= 0: rounded down exactly, for a loss that may be spent."""
    return math.floor(Fraction(value) * AMOUNT_STEPS)


def delta_down(value: Decimal | Fraction) -> int:
    """Steps of 1e-18 inside `value` >= 0: rounded down exactly, for a delta that may be spent."""
    return math.floor(Fraction(value) * DELTA_STEPS)
