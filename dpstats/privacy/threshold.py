"""Which groups may be named at all, when their keys are found in the data.

A group is released when the noisy count of its units reaches a threshold. Add one unit: its part in groups that others
are in too is covered by the noise. In at most `max_groups` groups it is alone, with an exact count of 1; such a group
must not appear, and does with the probability that 1 + noise reaches the threshold. So the release is rho-zCDP but for
an event of probability at most max_groups * P(noise >= threshold - 1), which is charged as delta (Bun and Steinke 2016,
Def. 8.1; Korolova et al. 2009). A noisy count *equal* to the threshold is released, so the tail includes it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from dpstats.privacy.loss import DELTA_STEPS
from dpstats.privacy.mechanism import Mechanism, Noise

_SUMMED_BELOW = 100.0
_HAIR = 1 + 1e-9


def threshold(units: Mechanism, max_groups: int, delta: Fraction, floor: int) -> int:
    """The least count at which a group is released: the tail costs at most `delta`, and it is at least `floor`.

    Args:
      units: the discrete Gaussian on the counts of units.
      max_groups: groups that one unit may touch, >= 1.
      delta: in (0, 1).
    """
    low, high = 1, 2
    while max_groups * tail(units, high - 1) > delta:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if max_groups * tail(units, middle - 1) <= delta else (middle + 1, high)
    return max(low, floor)


def delta_steps(units: Mechanism, max_groups: int, at: int) -> int:
    """What a threshold costs, in steps of 1e-18 of delta, rounded up; at least one, since a tail is never 0."""
    return max(1, math.ceil(max_groups * tail(units, at - 1) * DELTA_STEPS))


def tail(mechanism: Mechanism, at_least: int) -> Fraction:
    """P(noise >= at_least), the mass at `at_least` included, never below the exact value.

    The discrete Gaussian's mass at k is exp(-k^2 / 2 sigma^2) / Z. Small sigmas are summed. For large ones, Z >= sigma
    sqrt(2 pi) (Poisson summation), and the sum from k is at most the integral from k - 1, because the density falls;
    past sigma it is convex too, so there each mass is at most the integral over the half-steps around it, and the sum
    at most the integral from k - 1/2. So the tail is at most Q((k - 1) / sigma), or Q((k - 1/2) / sigma).
    """
    if mechanism.noise is not Noise.GAUSSIAN:
        raise ValueError("keys are found in the data under Gaussian noise only")
    return Fraction(_gaussian_tail(mechanism.scale, at_least))


@lru_cache(maxsize=4096)
def _gaussian_tail(sigma: float, at_least: int) -> float:
    if at_least <= 0:
        return 1.0
    if sigma > _SUMMED_BELOW:
        start = at_least - 0.5 if at_least - 0.5 >= sigma else at_least - 1
        return math.erfc(start / sigma / math.sqrt(2)) / 2 * _HAIR
    reach = at_least + math.ceil(40 * sigma) + 1
    mass = math.fsum(math.exp(-(k * k) / (2 * sigma * sigma)) for k in range(at_least, reach))
    whole = 1 + 2 * math.fsum(math.exp(-(k * k) / (2 * sigma * sigma)) for k in range(1, math.ceil(40 * sigma) + 2))
    return mass / whole * _HAIR
