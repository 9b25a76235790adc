"""Between zCDP and approximate DP, always rounded against us.

The conversion is the tightest known for a zCDP bound alone (Canonne, Kamath and Steinke 2020, Prop. 12 with Cor. 13),
as OpenDP computes it. OpenDP up to 0.15.1 rounded the other way by a hair, so the result is compared with the same
formula evaluated here and the larger is kept.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

from dpstats.privacy.loss import AMOUNT_STEPS

EPSILON_SHOWN = Decimal("0.0001")
"""An epsilon that is shown is rounded up to this."""


@lru_cache(maxsize=4096)
def epsilon_of_rho(rho_steps: int, delta: Decimal) -> float:
    """The epsilon for which rho-zCDP implies (epsilon, delta)-DP.

    Args:
      rho_steps: rho in steps of 1e-12, >= 0.
      delta: in (0, 1).

    Returns:
      epsilon >= 0, rounded up by one part in 1e12 over the larger of two computations.
    """
    if rho_steps == 0:
        return 0.0
    rho = rho_steps / AMOUNT_STEPS
    ours = _epsilon_by_minimising(rho, float(delta))
    return max(0.0, max(ours, _epsilon_by_opendp(rho, float(delta))) * (1 + 1e-12))


@lru_cache(maxsize=1024)
def rho_within(epsilon: Decimal, delta: Decimal) -> int:
    """The largest rho, in steps of 1e-12, whose conversion at `delta` stays within `epsilon`.

    Args:
      epsilon: in (0, 1000].
      delta: in (0, 1).
    """
    low, high = 0, int(epsilon * AMOUNT_STEPS)
    while low < high:
        middle = (low + high + 1) // 2
        if Decimal(_epsilon_by_minimising(middle / AMOUNT_STEPS, float(delta))) <= epsilon:
            low = middle
        else:
            high = middle - 1
    while low > 0 and Decimal(epsilon_of_rho(low, delta)) > epsilon:
        low -= max(1, low // 10**12)
    return low


def shown(epsilon: float | Decimal, *, at_most: Decimal | None = None) -> Decimal:
    """An epsilon as it is shown: rounded up to 0.0001, but never past `at_most`, which is known to bound it."""
    up = Decimal(epsilon).quantize(EPSILON_SHOWN, rounding=ROUND_CEILING)
    return up if at_most is None else min(up, at_most)


def _epsilon_by_opendp(rho: float, delta: float) -> float:
    from opendp import combinators, domains, measurements, metrics
    from opendp.mod import enable_features

    enable_features("contrib")
    # A measurement whose price is exactly the distance it is given: sigma^2 = 1/2 makes d^2 / (2 sigma^2) = d^2.
    domain = domains.vector_domain(domains.atom_domain(T="i64"))
    gaussian = measurements.make_gaussian(domain, metrics.l2_distance(T="f64"), scale=math.sqrt(0.5))
    distance = math.nextafter(math.sqrt(rho), math.inf)
    return float(combinators.make_zCDP_to_approxDP(gaussian).map(distance).epsilon(delta))


def _epsilon_by_minimising(rho: float, delta: float) -> float:
    """min over alpha > 1 of rho alpha + (log(1/delta) + (alpha - 1) log(1 - 1/alpha) - log alpha) / (alpha - 1).

    Every alpha gives a valid bound, so stopping the search early is safe. The function is unimodal in log(alpha - 1).
    """
    if rho <= 0:
        return 0.0
    log_inverse_delta = -math.log(delta)

    def bound(log_excess: float) -> float:
        excess = math.exp(log_excess)
        alpha = 1 + excess
        return rho * alpha + (log_inverse_delta - math.log(alpha)) / excess + math.log(excess / alpha)

    low, high = math.log(1e-9), math.log(1e15)
    for _ in range(200):
        third = (high - low) / 3
        if bound(low + third) < bound(high - third):
            high -= third
        else:
            low += third
    return max(0.0, bound((low + high) / 2))
