"""How probable it is that one noisy number is truly above another: post-processing of what was released, free.

Before anything was asked, every difference is taken as equally likely (a flat prior). The difference of two bounded
answers is then what was read minus the difference of two independent noises, which is symmetric about zero, so

    P(left > right) = P(noise of left - noise of right < read difference) = 1 - P(|noises| > |difference|) / 2

for a difference >= 0, and one minus that below. Two Gaussians add up to a Gaussian; two Laplaces have a tail in closed
form; a Gaussian and a Laplace are taken as a Gaussian of the sum of their variances. The noises are discrete, and taken
as continuous: with a scale of s grid steps the probability is off by at most about 0.2 / s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dpstats.privacy.mechanism import Noise

_NORMAL_95 = 1.959963984540054
_LAPLACE_95 = math.log(20)


@dataclass(frozen=True)
class Reading:
    """A released number, and its own noise: `scale` in its units, >= 0, of a Gaussian (sigma) or a Laplace (b)."""

    value: float
    noise: Noise
    scale: float

    @property
    def deviation(self) -> float:
        """The standard deviation of the noise."""
        return self.scale * math.sqrt(2) if self.noise is Noise.LAPLACE else self.scale


def reading_of_interval(value: float, half_width_95: float, *, pure: bool) -> Reading:
    """A number of which only the 95 % interval is known, as an average's or a ratio's.

    Its noise is taken to be of the kind that its draws have (Laplace under pure DP), as wide as its interval.
    """
    noise, quantile = (Noise.LAPLACE, _LAPLACE_95) if pure else (Noise.GAUSSIAN, _NORMAL_95)
    return Reading(value, noise, half_width_95 / quantile)


def probability_above(left: Reading, right: Reading) -> float:
    """The probability that the bounded answer behind `left` is above the one behind `right`; both drawn apart.

    Returns:
      In [0, 1]; 1/2 where the two readings are equal.

    Raises:
      ValueError: a noise that selects a candidate: how far that is off in values is not known.
    """
    if not {left.noise, right.noise} <= {Noise.GAUSSIAN, Noise.LAPLACE}:
        raise ValueError("numbers that were selected among candidates cannot be compared")
    difference = left.value - right.value
    beyond = _both_tails(left, right, abs(difference))
    return 1 - beyond / 2 if difference >= 0 else beyond / 2


def _both_tails(left: Reading, right: Reading, distance: float) -> float:
    """P(|noise of left - noise of right| > distance)."""
    if not left.scale and not right.scale:
        return 0.0 if distance else 1.0
    if left.noise is right.noise is Noise.LAPLACE:
        small, large = sorted((left.scale, right.scale))
        return _laplace_tails(small, large, distance)
    return math.erfc(distance / math.sqrt(2) / math.hypot(left.deviation, right.deviation))


def _laplace_tails(small: float, large: float, distance: float) -> float:
    """P(|sum of two Laplaces| > distance): (B^2 exp(-d/B) - b^2 exp(-d/b)) / (B^2 - b^2), and its limit where b = B."""
    reach, ratio = distance / large, small / large
    if ratio > 1 - 1e-4:
        return (1 + reach / 2) * math.exp(-reach)
    inner = ratio * ratio * math.exp(-reach / ratio) if ratio else 0.0
    return (math.exp(-reach) - inner) / (1 - ratio * ratio)
