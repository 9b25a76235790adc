"""The second accountant: a charge's price computed again, from its recorded events alone.

It shares nothing with the first one but the definitions: no OpenDP, no floating point but the recorded scale, read as
the exact number that it is. Closed forms are evaluated in fractions and rounded up, tails are summed in 40 decimal
digits. An event of a mechanism that is not in `FORMULAS` has no price, so that a charge for it cannot pass for right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

from dpstats.privacy.loss import DELTA_STEPS, Loss, Measure, amount_up, no_loss

Event = Mapping[str, Any]
Events = Sequence[Event]
Formula = Callable[[Event, Events, Measure], Loss]
"""What one event costs in a measure, given the whole charge's events; raises ValueError where it has no price there."""

_DIGITS = 40
_SUMMED_BELOW = 4096
"""From this sigma on, the tail's sum is bounded by integrals from below."""
_HAIR = 1 - 1e-12
_FEWEST = Decimal("1e-30")


def price_again(events: Events, measure: Measure) -> Loss:
    """What the events of one charge cost together, by the formulas.

    Raises:
      ValueError: an event is not one that a plan writes, or has no price in this measure.
    """
    total = no_loss(measure)
    for event in events:
        formula = FORMULAS.get(str(event.get("mechanism")))
        if formula is None:
            raise ValueError(f"no formula is known for a mechanism {event.get('mechanism')!r}")
        total += formula(event, events, measure)
    return total


def gaussian_rho(l2_squared: int, sigma: Fraction) -> Fraction:
    """rho = L2^2 / (2 sigma^2): Canonne, Kamath and Steinke 2020, Thm. 4."""
    return Fraction(l2_squared) / (2 * sigma**2)


def laplace_epsilon(l1: int, scale: Fraction) -> Fraction:
    """epsilon = L1 / b: Ghosh, Roughgarden and Sundararajan 2012."""
    return Fraction(l1) / scale


def selection_epsilon(score_range: int, scale: Fraction) -> Fraction:
    """epsilon = range / s of one selection: McSherry and Talwar 2007; McKenna and Sheldon 2020."""
    return Fraction(score_range) / scale


def selection_rho(score_range: int, scale: Fraction) -> Fraction:
    """rho = epsilon^2 / 8 of one selection by the exponential mechanism: Cesar and Rogers 2021."""
    return selection_epsilon(score_range, scale) ** 2 / 8


def _gaussian(event: Event, _: Events, measure: Measure) -> Loss:
    if measure is Measure.PURE:
        raise ValueError("Gaussian noise has no price in pure DP")
    per_cell, cells, norm = _whole(event, "per_cell"), _whole(event, "cells"), event["norm"]
    l2_squared = per_cell**2 * cells if norm is None else min(per_cell**2 * cells, _whole(event, "norm") ** 2)
    return Loss(measure, amount_up(gaussian_rho(l2_squared, _number(event, "scale"))))


def _laplace(event: Event, _: Events, measure: Measure) -> Loss:
    """Pure epsilon, or the rho = epsilon^2 / 2 that it implies: Bun and Steinke 2016, Prop. 1.4."""
    per_cell, cells, norm = _whole(event, "per_cell"), _whole(event, "cells"), event["norm"]
    l1 = per_cell * cells if norm is None else min(per_cell * cells, _whole(event, "norm"))
    epsilon = laplace_epsilon(l1, _number(event, "scale"))
    return Loss(measure, amount_up(epsilon if measure is Measure.PURE else epsilon**2 / 2))


def _exponential(event: Event, _: Events, measure: Measure) -> Loss:
    """`cells` selections, whose scores one unit moves apart by at most `per_cell`."""
    of_one = selection_epsilon if measure is Measure.PURE else selection_rho
    return Loss(measure, amount_up(_whole(event, "cells") * of_one(_whole(event, "per_cell"), _number(event, "scale"))))


def _permute_and_flip(event: Event, _: Events, measure: Measure) -> Loss:
    """The same in pure DP. It is not known to be of bounded range, so its rho is that of any: epsilon^2 / 2."""
    epsilon, cells = selection_epsilon(_whole(event, "per_cell"), _number(event, "scale")), _whole(event, "cells")
    return Loss(measure, amount_up(cells * (epsilon if measure is Measure.PURE else epsilon**2 / 2)))


def _threshold(event: Event, events: Events, measure: Measure) -> Loss:
    """delta = cells * P(noise >= at - 1), for the Gaussian noise of the draw at `place`."""
    place, at, cells = event["place"], _whole(event, "at"), _whole(event, "cells")
    if type(place) is not int or not 0 <= place < len(events) or events[place]["mechanism"] != "discrete_gaussian":
        raise ValueError("a threshold stands on a draw with Gaussian noise")
    chance = cells * gaussian_tail(_number(events[place], "scale"), at - 1)
    return Loss(measure, 0, math.ceil(chance * DELTA_STEPS))


FORMULAS: dict[str, Formula] = {
    "discrete_gaussian": _gaussian,
    "discrete_laplace": _laplace,
    "exponential": _exponential,
    "permute_and_flip": _permute_and_flip,
    "threshold": _threshold,
}
"""What is known of each mechanism, by its name in an event."""


@lru_cache(maxsize=4096)
def gaussian_tail(sigma: Fraction, at_least: int) -> Fraction:
    """P(noise >= at_least) of the discrete Gaussian: summed, or for a large sigma never above it.

    The mass at k is f(k) / Z with f(k) = exp(-k^2 / 2 sigma^2). For a large sigma, Z is sigma sqrt(2 pi) to all digits
    (Poisson summation). f falls, so the sum from k is at least the integral from k; past sigma f is convex too, the
    trapezoids over it lie above it, and so the sum is at least that integral and half of f(k), and less than 1e-7 more.
    From 0 or below, it is more than half of everything.
    """
    if at_least <= 0:
        return 1 - gaussian_tail(sigma, 1 - at_least) if sigma < _SUMMED_BELOW else Fraction(1, 2)
    if sigma < _SUMMED_BELOW:
        with localcontext(prec=_DIGITS):
            return Fraction(_summed(sigma, at_least) / (2 * _summed(sigma, 0) - 1))
    reach = float(at_least / sigma)
    half = math.exp(-(reach**2) / 2) / (2 * float(sigma) * math.sqrt(2 * math.pi)) if reach >= 1 else 0.0
    return Fraction((math.erfc(reach / math.sqrt(2)) / 2 + half) * _HAIR)


def _summed(sigma: Fraction, start: int) -> Decimal:
    """The sum of f(k) from k = start, each from the one before by an exact recurrence, until a term adds nothing."""
    twice = 2 * (Decimal(sigma.numerator) / Decimal(sigma.denominator)) ** 2
    weight = (-(Decimal(start) ** 2) / twice).exp()
    ratio, step = (-(2 * Decimal(start) + 1) / twice).exp(), (-2 / twice).exp()
    total = Decimal(0)
    while weight > total * _FEWEST:
        total += weight
        weight, ratio = weight * ratio, ratio * step
    return total


def _whole(event: Event, name: str) -> int:
    value = event[name]
    if type(value) is not int or value < 1:
        raise ValueError(f"an event's {name} is a whole number of at least 1")
    return value


def _number(event: Event, name: str) -> Fraction:
    """The exact value of a number that is recorded as text."""
    value = float(event[name]) if isinstance(event[name], str) else math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"an event's {name} is the text of a positive number")
    return Fraction(value)
