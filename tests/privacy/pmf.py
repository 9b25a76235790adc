"""Exact distributions of the discrete noises, computed here from their definitions with numpy: the second method."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dpstats.privacy.mechanism import Noise

Pmf = NDArray[np.float64]


def pmf(noise: Noise, scale: float, reach: int | None = None) -> Pmf:
    """P(X = k) for k = -reach .. reach; by default so far out that nothing that a double holds is left."""
    if reach is None:
        reach = math.ceil((13 if noise is Noise.GAUSSIAN else 45) * scale) + 2
    k = np.arange(-reach, reach + 1, dtype=np.float64)
    weights = np.exp(-(k**2) / (2 * scale**2)) if noise is Noise.GAUSSIAN else np.exp(-np.abs(k) / scale)
    return np.asarray(weights / weights.sum())


def scaled(distribution: Pmf, factor: int) -> Pmf:
    """The distribution of `factor` times X, |factor| >= 1."""
    spread = np.zeros((len(distribution) - 1) * abs(factor) + 1)
    spread[:: abs(factor)] = distribution
    return spread


def outside(distribution: Pmf, distance: float) -> float:
    """P(|X| > distance)."""
    centre = len(distribution) // 2
    k = np.abs(np.arange(len(distribution)) - centre)
    return float(distribution[k > distance].sum())
