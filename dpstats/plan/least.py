"""What no true number of a measure is below, from public bounds alone: what is shown of a measure keeps to it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dpstats.plan.arithmetic import Average, Binary, Constant, Drawn, Expression, NullIfZero, Quantile, Spread

UNKNOWN = -math.inf
"""Nothing follows from the bounds."""


def least_of(expression: Expression, draws: Mapping[int, float]) -> float:
    """The least that the bounded answer can be, wherever it is a number; `UNKNOWN` where nothing follows.

    Args:
      draws: by index, what each draw's true numbers are never below, in its measure's units.
    """
    match expression:
        case Constant(value):
            return value
        case Drawn(index):
            return draws.get(index, UNKNOWN)
        case Average():
            return expression.low  # every row's value is clipped to the bounds, so their mean lies between them
        case Spread():
            return 0.0
        case Quantile():
            return UNKNOWN  # one is chosen among its bounds, and shown as it is
        case NullIfZero(operand):
            return least_of(operand, draws)
        case Binary(op, left, right):
            return _least(op, left, right, draws)


def _least(op: str, left: Expression, right: Expression, draws: Mapping[int, float]) -> float:
    low = least_of(left, draws)
    if op == "-":
        return low - right.value if isinstance(right, Constant) else UNKNOWN
    other = least_of(right, draws)
    if op == "+":
        return low + other
    if low < 0 or other < 0:
        return UNKNOWN
    return low * other if op == "*" else 0.0  # nothing is known of how large what divides is
