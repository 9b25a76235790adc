"""Numbers as a person should read them: rounded to what their interval can tell, and kept inside what is possible."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from dpstats.plan.estimating import Estimate

LOG10_2 = math.log10(2)
DIGITS_MAX = 15
"""Beyond so many digits either way a number is shown as it is."""
KNOWN_MAX = 10_000
"""Texts that a `StepDisplay` remembers."""


def display(estimate: Estimate, *, least: float = -math.inf) -> str:
    """A number as a person should read it: rounded to the scale of its interval, kept at or above `least`.

    When the interval swallows the value (it reaches from zero or below to twice the value or beyond), the number says
    nothing about its size, and the text says so; likewise when all of it lies below what is possible. There an upper
    end kept at `least` would sound certain, so it is the half-width above it.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "too noisy to tell"
    width = estimate.high / 2 - estimate.low / 2
    impossible = is_impossible(estimate.low, estimate.high, least)
    low = rounded(max(least, estimate.low), width, math.floor)
    high = rounded(least + width if impossible else max(least, estimate.high), width, math.ceil)
    if impossible or estimate.low <= 0 <= estimate.high:
        return _unclear(low, high)
    return _about(rounded(max(least, estimate.value), width), low, high)


def is_impossible(low: float, high: float, least: float) -> bool:
    """Whether all of an interval but its very end lies below what is possible."""
    return low < least and high <= least


def rounded(value: float, width: float, to_whole: Callable[[float], float] = round) -> str:
    """`value` with no digit finer than a tenth of the interval's half-width; an interval's ends are rounded outward."""
    digits = _digits(width)
    # Rounded first to a finer digit, so that a representation error is not taken for a step further out.
    steps = round(value * 10.0**digits, 6) if abs(digits) < DIGITS_MAX else value
    number = to_whole(steps) / 10.0**digits if abs(digits) < DIGITS_MAX else value
    return _plain(number, digits)


class StepDisplay:
    """`display` of numbers on a grid whose intervals are all alike, for very many of them: in whole numbers throughout.

    Args:
      grid: what one step is worth, > 0.
      width: the half-width of every interval, in steps, >= 0.
      least: what is possible at least, in steps; None: anything.
    """

    def __init__(self, grid: Fraction, width: int, least: int | None) -> None:
        self._grid, self._width, self._least = grid, width, least
        self._digits = _digits(float(width * grid))
        self._bare = abs(self._digits) >= DIGITS_MAX
        unit = 1 / (grid * Fraction(10) ** self._digits)  # a step of what is shown, in steps of the grid
        self._top, self._bottom = unit.denominator, unit.numerator
        self._known: dict[tuple[int, int, int, bool], str] = {}

    def text(self, value: int) -> str:
        """The display of `value` +- the half-width, in steps."""
        if self._bare:
            return self._as_it_is(value)
        low, high, top, bottom = value - self._width, value + self._width, self._top, self._bottom
        unclear = low <= 0 <= high
        if self._least is not None and low < self._least:
            if is_impossible(low, high, self._least):
                unclear, high = True, self._least + self._width
            value, low = max(self._least, value), self._least
        shown = (low * top // bottom, round(value * top / bottom), -(-high * top // bottom), unclear)
        return self._known.get(shown) or self._remembered(*shown)

    def _as_it_is(self, value: int) -> str:
        least = -math.inf if self._least is None else float(self._least * self._grid)
        number, low, high = (float(steps * self._grid) for steps in (value, value - self._width, value + self._width))
        return display(Estimate(number, low, high), least=least)

    def _remembered(self, low: int, value: int, high: int, unclear: bool) -> str:
        text = self._written(low, value, high, unclear)
        if len(self._known) < KNOWN_MAX:
            self._known[low, value, high, unclear] = text
        return text

    def _written(self, low: int, value: int, high: int, unclear: bool) -> str:
        down, middle, up = (_plain(steps / 10.0**self._digits, self._digits) for steps in (low, value, high))
        return _unclear(down, up) if unclear else _about(middle, down, up)


def _digits(width: float) -> int:
    """Digits after the point that an interval of this half-width can tell; negative: before it."""
    return 0 if width <= 0 else -math.floor(math.log10(width) - LOG10_2)


def _plain(number: float, digits: int) -> str:
    return f"{number:,.{max(0, digits)}f}" if number else "0"


def _about(value: str, low: str, high: str) -> str:
    return f"about {value} ({low} to {high})"


def _unclear(low: str, high: str) -> str:
    return f"too noisy to tell: between {low} and {high}"
