"""How far a noisy number is from the bounded answer: tails and 95 % half-widths of sums of independent draws.

A `Term` is a draw's noise times a known coefficient. For one draw the discrete distribution is used, so its interval
holds at least 95 % at every scale; for several the continuous one, widened by half a grid step of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dpstats.privacy.mechanism import Mechanism, Noise

ALPHA = 0.05
"""One minus the coverage of every interval."""
_EXACT_BELOW = 200.0
_Z_MAX = 40.0


@dataclass(frozen=True)
class Term:
    """`coefficient` times the noise of one draw, on a grid of `step` (in the measure's units)."""

    noise: Noise
    scale: float
    step: float
    coefficient: float

    @property
    def weight(self) -> float:
        """The scale of this term in the result's units."""
        return abs(self.coefficient) * self.step * self.scale


def half_width_steps(mechanism: Mechanism, alpha: float = ALPHA) -> int:
    """The least whole number k of grid steps with P(|noise| > k) <= alpha."""
    return _half_width(mechanism.noise, mechanism.scale, alpha)


@lru_cache(maxsize=4096)
def _half_width(noise: Noise, scale: float, alpha: float) -> int:
    if noise.selects:
        raise ValueError("a selection has no half-width")
    if noise is Noise.LAPLACE:
        return _laplace_half_width(scale, alpha)
    if scale > _EXACT_BELOW:
        # Poisson summation: the discrete Gaussian's tail at k is the continuous one's at k + 1/2 to within O(scale^-2).
        return math.ceil(_normal_quantile(alpha) * scale - 0.5)
    return _gaussian_half_width(scale, alpha)


def _laplace_half_width(scale: float, alpha: float) -> int:
    """P(|X| > k) = 2 q^(k+1) / (1 + q) with q = exp(-1/scale), which from scale 2^54 on is 1 to a double."""
    return max(0, math.ceil(-scale * math.log(alpha * (1 + math.exp(-1 / scale)) / 2) - 1))


def _gaussian_half_width(scale: float, alpha: float) -> int:
    reach = math.ceil(_Z_MAX * scale) + 1
    weights = [math.exp(-(k * k) / (2 * scale * scale)) for k in range(reach)]
    total = weights[0] + 2 * math.fsum(weights[1:])
    tail, k = total - weights[0], 0
    while tail > alpha * total:
        k += 1
        tail -= 2 * weights[k]
    return k


@lru_cache(maxsize=64)
def _normal_quantile(alpha: float) -> float:
    """The z with P(|N(0, 1)| > z) = alpha, by bisection on erfc."""
    low, high = 0.0, _Z_MAX
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) > alpha else (low, middle)
    return high


def half_width(terms: Sequence[Term], alpha: float = ALPHA) -> float:
    """The half-width h with P(|sum of terms| > h) <= alpha, in the result's units; 0.0 for no terms."""
    return _sum_half_width(tuple(term for term in terms if term.coefficient), alpha)


@lru_cache(maxsize=4096)
def _sum_half_width(moving: tuple[Term, ...], alpha: float) -> float:
    if not moving:
        return 0.0
    if len(moving) == 1:
        term = moving[0]
        return abs(term.coefficient) * term.step * _half_width(term.noise, term.scale, alpha)
    low, high = (
        0.0,
        sum(abs(t.coefficient) * t.step * (1 + _half_width(t.noise, t.scale, alpha / len(moving))) for t in moving),
    )
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(moving, middle) > alpha else (low, middle)
    return high


def tail(terms: Sequence[Term], distance: float) -> float:
    """P(|sum of terms| > distance), for the continuous noises, after taking half a grid step of each off `distance`."""
    moving = [term for term in terms if term.weight]
    if not moving:
        return 0.0 if distance >= 0 else 1.0
    slack = sum(abs(term.coefficient) * term.step for term in moving) / 2
    weights, reach = [term.weight for term in moving], max(0.0, distance - slack)
    if all(term.noise is Noise.GAUSSIAN for term in moving):
        return math.erfc(reach / (math.sqrt(2) * math.hypot(*weights)))
    return _laplace_tail(weights, reach)


def surplus(noise: Noise, weights: Sequence[float], distance: float) -> float:
    """How far `distance` is past the half-width of a sum of independent continuous noises of these scales.

    Returns:
      A number that grows with `distance`, >= 0 where P(|sum| > distance) <= ALPHA, < 0 where it is more.
    """
    if noise is Noise.GAUSSIAN:
        return distance - _normal_quantile(ALPHA) * math.hypot(*weights)
    moving = [weight for weight in weights if weight]
    beyond = _laplace_tail(moving, distance) if moving else 0.0
    return math.log(ALPHA / beyond) if beyond else math.inf


def _laplace_tail(scales: Sequence[float], distance: float) -> float:
    """P(|sum of independent Laplaces| > distance).

    With distinct scales b_i the characteristic function 1/prod(1 + b_i^2 t^2) splits into partial fractions, so the
    tail is sum_i w_i exp(-distance / b_i) with w_i = prod_{j != i} b_i^2 / (b_i^2 - b_j^2). Equal scales are set apart
    upward by a hair, and tiny ones raised to a millionth of the largest, which widens. Many terms, where the fractions
    cancel badly, take the smaller of the union bound and Chernoff's.
    """
    largest = max(scales)
    if math.isinf(largest):
        return 1.0
    reach = distance / largest
    if len(scales) == 1:
        return math.exp(-reach)
    if len(scales) > 3:
        union = sum(math.exp(-distance / (len(scales) * scale)) for scale in scales)
        return min(1.0, union, _chernoff([scale / largest for scale in scales], reach))
    apart: list[float] = []
    for ratio in sorted(max(scale / largest, 1e-6) for scale in scales):
        apart.append(max(ratio, apart[-1] * 1.002) if apart else ratio)
    total = sum(_fraction(b, apart) * math.exp(-reach / b) for b in apart)
    return min(1.0, max(0.0, total))


def _chernoff(scales: Sequence[float], distance: float) -> float:
    """2 min over t in (0, 1) of exp(-t distance) / prod(1 - (b_i t)^2), for scales b_i of at most 1.

    Every t gives a valid bound; its logarithm is convex in t, so thirds close in on the least one.
    """

    def log_bound(t: float) -> float:
        return -t * distance - sum(math.log1p(-((scale * t) ** 2)) for scale in scales)

    low, high = 0.0, 1.0 - 1e-9
    for _ in range(60):
        third = (high - low) / 3
        if log_bound(low + third) < log_bound(high - third):
            high -= third
        else:
            low += third
    return 2 * math.exp(min(0.0, log_bound((low + high) / 2)))


def _fraction(scale: float, scales: Sequence[float]) -> float:
    """The weight of one scale in the partial fractions."""
    weight = 1.0
    for other in scales:
        if other != scale:
            weight *= scale * scale / (scale * scale - other * other)
    return weight
