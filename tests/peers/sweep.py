"""The best that a peer can do on a work: every setting of its bounds, by the model, with the noise that it states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import numpy as np
from bounding import Cells, Shape, levelled, total_error
from peers import Bounds, Peer, Setting
from scipy.optimize import brentq
from scipy.stats import norm
from work import Floats

from dpstats.privacy.conversion import rho_within
from dpstats.privacy.loss import AMOUNT_STEPS

EPSILON, DELTA = 1, 1e-6
MEASURES = 2
"""Counts and sums are released together, each with an equal share."""
NORMS = {
    "count": (3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 25, 30),
    "sum": (50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300, 400, 500),
}


@dataclass(frozen=True)
class Best:
    """A setting, its noise, and its mean absolute error against the raw truth as the model has it."""

    setting: Setting
    noise: Shape
    scale: float
    error: float


def rho() -> float:
    """The zCDP loss that (EPSILON, DELTA) buys."""
    return rho_within(Decimal(EPSILON), Decimal(str(DELTA))) / AMOUNT_STEPS


def gaussian(l2_squared: float, *, joint: bool) -> float:
    """Sigma at one measure's share: by zCDP, or with all measures accounted for jointly: the least there is."""
    sigma = _joint_sigma() if joint else math.sqrt(MEASURES / (2 * rho()))
    return math.sqrt(l2_squared) * sigma


@cache
def _joint_sigma() -> float:
    """Of MEASURES Gaussians of sensitivity 1 that together are (EPSILON, DELTA)-DP.

    They are one Gaussian of sensitivity sqrt(MEASURES), whose delta is exact: Balle and Wang 2018, Thm. 8.
    """

    def excess(sigma: float) -> float:
        half, shift = 1 / (2 * sigma), EPSILON * sigma
        return float(norm.cdf(half - shift) - math.exp(EPSILON) * norm.cdf(-half - shift)) / DELTA - 1

    return float(brentq(excess, 2, 9)) * math.sqrt(MEASURES)


def laplace(l1: float) -> float:
    """b at one measure's share."""
    return l1 * MEASURES / EPSILON


def tuned(peer: Peer, measure: str, cells: Cells) -> Best:
    """The best of all its settings and noises."""
    bounds: Bounds = getattr(peer, measure)
    truth = truth_of(measure, cells)
    found: list[Best] = []
    for setting in bounds.settings:
        bias = truth - cells.totals(bounds.kept(cells, setting))
        for noise in peer.noises:
            wide = gaussian(bounds.l2_squared(setting), joint=peer.joint)
            scale = wide if noise == "gaussian" else laplace(bounds.l1(setting))
            found.append(Best(setting, noise, scale, total_error(bias, noise, scale)))
    return min(found, key=lambda best: best.error)


def tuned_norm(measure: str, cells: Cells, norms: Sequence[float] = ()) -> Best:
    """The best max_norm of dpstats."""
    truth, values = truth_of(measure, cells), values_of(measure, cells)
    caps = measure == "sum"  # without bounds of its own, a sum is clipped to its norm in each group first
    found: list[Best] = []
    for most in norms or NORMS[measure]:
        scale = gaussian(most**2, joint=False)
        bias = truth - cells.totals(levelled(cells, np.minimum(values, most) if caps else values, most))
        found.append(Best({"max_norm": most}, "gaussian", scale, total_error(bias, "gaussian", scale)))
    return min(found, key=lambda best: best.error)


def values_of(measure: str, cells: Cells) -> Floats:
    """Each cell's own count or sum."""
    return cells.count if measure == "count" else cells.sums()


def truth_of(measure: str, cells: Cells) -> Floats:
    """The raw answer."""
    return cells.totals(values_of(measure, cells))
