"""Which noise is the better at the same zCDP price: never Laplace, by the price that the accountant gives to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pmf import pmf

from dpstats.privacy.accuracy import half_width_steps
from dpstats.privacy.loss import AMOUNT_STEPS
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity, calibrate

RHOS = [1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.1, 0.3, 1.0, 2.5, 10.0]
SENSITIVITIES = [Sensitivity(1, 1), Sensitivity(1, 5), Sensitivity(10, 1), Sensitivity(10, 5), Sensitivity(20_000, 30)]


def mean_size(mechanism: Mechanism) -> float:
    """E|noise| in grid steps: exactly where the noise is coarse, by the continuous one's formula where it is fine."""
    if mechanism.scale > 1000:
        return mechanism.scale * (math.sqrt(2 / math.pi) if mechanism.noise is Noise.GAUSSIAN else 1)
    exact = pmf(mechanism.noise, mechanism.scale)
    reach = len(exact) // 2
    return float((np.abs(np.arange(-reach, reach + 1)) * exact).sum())


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("sensitivity", SENSITIVITIES, ids=lambda s: f"{s.per_cell}x{s.cells}")
def test_at_one_price_in_zcdp_gaussian_noise_is_never_worse_than_laplace(sensitivity: Sensitivity, rho: float) -> None:
    """In mean absolute error and in half-width, so a zCDP dataset needs no other noise.

    Argument: pure epsilon-DP is epsilon^2 / 2 in zCDP (Bun and Steinke 2016, Prop. 1.4; OpenDP's conversion), so rho
    buys a Laplace of b = L1 / sqrt(2 rho) and a Gaussian of sigma = L2 / sqrt(2 rho), and L2 <= L1. At sigma = b the
    mean size is 0.80 b against b, the half-width 1.96 b against 3.00 b; on the grid both shrink, the Gaussian faster,
    since its weights exp(-k^2 / 2 sigma^2) fall off sooner.

    Precondition: that price. The zCDP curve of the one-dimensional Laplace mechanism itself, sup of D_alpha / alpha, is
    below epsilon^2 / 2, and at rho of about 1 and more would buy, in one cell, a smaller Laplace than Gaussian error.
    """
    amount = round(rho * AMOUNT_STEPS)
    gaussian = calibrate(Noise.GAUSSIAN, sensitivity, amount)
    epsilon = math.isqrt(2 * amount * AMOUNT_STEPS)
    laplace = calibrate(Noise.LAPLACE, sensitivity, epsilon)
    assert gaussian.scale <= laplace.scale * (1 + 1e-6)
    assert mean_size(gaussian) <= mean_size(laplace)
    assert half_width_steps(gaussian) <= half_width_steps(laplace)
