"""From how often an adversary guessed right to a lower bound on the privacy loss. Pure.

Each run hides one fair coin, whether the canary is in the data, and the adversary says "in", "out" or nothing.

- Pure DP: whatever was released, the odds of the coin are at most e^epsilon, so among n guesses the right ones are
  stochastically at most Binomial(n, e^epsilon / (1 + e^epsilon)), and saying nothing where the answer tells little is
  free (Steinke, Nasr and Jagielski 2023, Thm. 4.2).
- Gaussian noise: no test that always speaks is right more often than Phi(mu / 2), where mu is the canary's effect over
  sigma (Dong, Roth and Su 2022, Cor. 1). So the right ones are at most Binomial(n, Phi(mu / 2)).

A Clopper-Pearson bound on that one probability then bounds epsilon or mu from below. One rate for both sides is sharper
than a bound on each of two rates, because its error is not split: 1.65 standard deviations against 1.96 twice.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

NORMAL = NormalDist()
_BISECTIONS = 100
_FINE = 100.0
"""From this scale on (in grid steps) a discrete Gaussian is the continuous one to within 1e-5 of mu."""
_FARTHEST = 7.0


def clopper_pearson(successes: int, trials: int, alpha: float) -> float:
    """The p at which as many successes or more have probability alpha: below the true p with confidence 1 - alpha.

    Source: Clopper and Pearson 1934; the tail of the binomial is added up, so nothing is approximated.
    """
    if not 0 <= successes <= trials or not 0 < alpha < 1:
        raise ValueError("successes are at most the trials, and alpha is between 0 and 1")
    if successes == 0:
        return 0.0
    low, high = 0.0, successes / trials
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(successes, trials, middle) <= alpha else (low, middle)
    return low


def binomial_tail(at_least: int, trials: int, p: float) -> float:
    """P(Binomial(trials, p) >= at_least), for 0 <= p <= at_least / trials."""
    if at_least <= 0 or p >= 1:
        return 1.0
    if p <= 0:
        return 0.0
    log_choose = math.lgamma(trials + 1) - math.lgamma(at_least + 1) - math.lgamma(trials - at_least + 1)
    first = math.exp(log_choose + at_least * math.log(p) + (trials - at_least) * math.log1p(-p))
    total, term, odds = 0.0, 1.0, p / (1 - p)
    for k in range(at_least, trials + 1):
        total += term
        term *= (trials - k) / (k + 1) * odds
        if term < total * 1e-17:
            break
    return min(1.0, first * total)


def epsilon_of_accuracy(accuracy: float) -> float:
    """The least epsilon of pure DP that lets guesses be right with this probability."""
    if accuracy <= 0.5:
        return 0.0
    return math.log(accuracy / (1 - accuracy)) if accuracy < 1 else math.inf


def mu_of_accuracy(accuracy: float) -> float:
    """The least mu of Gaussian DP that lets a test be right with this probability on a fair coin."""
    if accuracy <= 0.5:
        return 0.0
    return 2 * NORMAL.inv_cdf(accuracy) if accuracy < 1 else math.inf


def epsilon_of_mu(mu: float, delta: float) -> float:
    """The epsilon of the Gaussian mechanism at delta, exactly: where its privacy profile is delta.

    Source: Balle and Wang 2018, Thm. 8: delta(epsilon) = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu).
    """
    if mu <= 0 or _gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, mu * mu / 2 + 40 * mu
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _gaussian_delta(mu, middle) > delta else (low, middle)
    return high


def _gaussian_delta(mu: float, epsilon: float) -> float:
    far = math.erfc((mu / 2 + epsilon / mu) / math.sqrt(2)) / 2
    near = math.erfc((epsilon / mu - mu / 2) / math.sqrt(2)) / 2
    return near - (math.exp(epsilon + math.log(far)) if far > 0 else 0.0)


@lru_cache(maxsize=256)
def selection_mu(epsilon: float) -> float:
    """The mu whose curve is below the trade-off of every mechanism whose privacy loss has a range of epsilon.

    Its losses lie in [t - epsilon, t] for a t from 0 to epsilon. Hockey-stick divergences are convex in e^loss, so the
    worst such mechanism has losses at the two ends alone; its trade-off has one corner (Dong, Durfee and Rogers 2020).
    """
    return max(_two_point_mu(epsilon, epsilon * part / 400) for part in range(1, 400)) * (1 + 1e-4)


def _two_point_mu(epsilon: float, t: float) -> float:
    out = -math.expm1(t - epsilon) / (math.exp(t) - math.exp(t - epsilon))
    inside = out * math.exp(t)
    return NORMAL.inv_cdf(inside) - NORMAL.inv_cdf(out)


@lru_cache(maxsize=256)
def coarseness(sigma: float, shift: int) -> float:
    """How many times the mu of the continuous Gaussian the discrete one has, for a canary of `shift` grid steps; >= 1.

    The trade-off between errors of the discrete Gaussian of scale sigma and its shifted copy has its corners at the
    tests "at least k". Each corner lies on the curve of some mu; the largest mu's curve is below them all, and so below
    the lines between them, because it is convex. On grids that are coarse beside sigma that mu exceeds shift / sigma,
    by 1 % at sigma 2 and 5 % at sigma 1, though the mechanism keeps rho = (shift / sigma)^2 / 2 all the same.
    """
    if sigma > _FINE:
        return 1.0
    reach = math.ceil(_FARTHEST * sigma) + shift
    places = range(-reach, reach + 1)
    at = {k: _equal_place(sigma, k) for k in range(-reach - shift, reach + 1)}
    corners = [at[k] - at[k - shift] for k in places if abs(at[k]) < _FARTHEST and abs(at[k - shift]) < _FARTHEST]
    return max(1.0, max(corners, default=0.0) * sigma / shift)


def _equal_place(sigma: float, k: int) -> float:
    """The x with P(standard normal >= x) = P(discrete Gaussian >= k)."""
    return -_upper_quantile(sigma, 1 - k) if k <= 0 else _upper_quantile(sigma, k)


@lru_cache(maxsize=4096)
def _upper_quantile(sigma: float, k: int) -> float:
    masses = _masses(sigma)
    whole = 2 * math.fsum(masses) - masses[0]
    tail = math.fsum(masses[k:]) / whole
    return -NORMAL.inv_cdf(tail) if tail > 1e-300 else math.inf


@lru_cache(maxsize=16)
def _masses(sigma: float) -> tuple[float, ...]:
    return tuple(math.exp(-(k * k) / (2 * sigma * sigma)) for k in range(math.ceil(40 * sigma) + 2))
