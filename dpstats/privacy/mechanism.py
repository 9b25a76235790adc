"""Noise mechanisms on integer vectors.

One frozen `Mechanism` says everything about a draw. `measurement` turns it into an OpenDP measurement, whose map is
the price and whose call is the noise, so price and noise cannot drift apart. Nothing here sees a float that came
from data: vectors are integers on a grid, saturated to 64 bits before noise.

A mechanism either adds noise to each entry of a vector (`draw`) or selects entries of it (`selection.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from dpstats.privacy.loss import AMOUNT_STEPS, Loss, Measure, amount_up
from dpstats.privacy.repricing import gaussian_rho, laplace_epsilon, selection_epsilon, selection_rho

INT64_MAX = 2**63 - 1
SCALE_MAX = 2.0**56
"""Above this, noise could leave 64 bits; a draw that needs more is refused."""
PIECE = 4096
"""Entries of a vector that are drawn in one call; a call costs about 0.3 ms besides them."""
DRAWING_THREADS = 2
"""Threads that draw a vector of several such pieces: OpenDP lets two draw 1.6 times as fast as one."""
SCALE_MIN = 2.0**-4
"""Below this, a draw is all but exact (OpenDP answers exactly at scale 0); it is refused."""


class Noise(StrEnum):
    """Which noise is drawn, by its name in a release."""

    GAUSSIAN = "discrete_gaussian"
    LAPLACE = "discrete_laplace"
    EXPONENTIAL = "exponential"
    """Selects a candidate with probability proportional to exp(score / scale) (McSherry and Talwar 2007)."""
    PERMUTE_AND_FLIP = "permute_and_flip"
    """Selects a candidate with no more error than the exponential mechanism of the same pure price (McKenna and
    Sheldon 2020)."""

    @property
    def measure(self) -> Measure:
        """The measure in which this noise is priced."""
        return Measure.ZCDP if self in {Noise.GAUSSIAN, Noise.EXPONENTIAL} else Measure.PURE

    @property
    def selects(self) -> bool:
        """Whether it selects entries of a vector of scores, instead of adding noise to each."""
        return self in {Noise.EXPONENTIAL, Noise.PERMUTE_AND_FLIP}


ADDED = {Measure.ZCDP: Noise.GAUSSIAN, Measure.PURE: Noise.LAPLACE}
"""The noise that is added to counts and sums. Of two noises of one rho the Gaussian is the smaller: Laplace of scale b
costs 1 / (2 b^2) for a change of L1 norm 1, the Gaussian the same for a change of L2 norm 1, which is never the larger
one; at the same rho its standard deviation is sqrt(2) times smaller, and so are its mean error and its 95 % tail."""
SELECTED = {Measure.ZCDP: Noise.EXPONENTIAL, Measure.PURE: Noise.PERMUTE_AND_FLIP}
"""The noise that selects."""


@dataclass(frozen=True)
class Sensitivity:
    """How far one privacy unit, added or removed with all its rows, can move a vector of integers.

    `per_cell`: the most that one entry changes, in grid steps, >= 1; `cells`: how many entries can change so far, or
    more of them that change as much together, >= 1. `norm`, where the change as a whole is clipped: its L2 norm for
    Gaussian noise, its L1 norm for Laplace, >= 1.

    Bound: no entry changes by more than `per_cell`, and the L1 norm of the change is at most cells * per_cell, so the
    square of its L2 norm is at most per_cell times that (Hoelder): cells * per_cell^2. Where its norm is clipped too,
    it is at most `norm`; the L2 norm is never above the L1 norm.

    For a selection, `per_cell` is the most by which the scores of two candidates move apart (the range of the change),
    and `cells` the number of selections that one unit can touch.
    """

    per_cell: int
    cells: int
    norm: int | None = None

    def __post_init__(self) -> None:
        if self.per_cell < 1 or self.cells < 1 or (self.norm is not None and self.norm < 1):
            raise ValueError("a sensitivity is at least one grid step in one cell")

    @property
    def l1(self) -> int:
        """The L1 bound, in grid steps; a `norm` is read as an L1 norm."""
        dropped = self.per_cell * self.cells
        return dropped if self.norm is None else min(dropped, self.norm)

    @property
    def l2_squared(self) -> int:
        """The square of the L2 bound, in grid steps squared; kept squared so that it stays an exact integer."""
        dropped = self.per_cell**2 * self.cells
        return dropped if self.norm is None else min(dropped, self.norm**2)


@dataclass(frozen=True)
class Mechanism:
    """One draw: `noise` of `scale` (grid steps) on a vector that one unit moves by at most `sensitivity`.

    `scale` is the very double given to OpenDP: for the Gaussian its sigma parameter, for Laplace its b, for a selection
    what scores are divided by.
    """

    noise: Noise
    scale: float
    sensitivity: Sensitivity

    def __post_init__(self) -> None:
        if not SCALE_MIN <= self.scale <= SCALE_MAX:
            raise ValueError("noise scale out of range")


def measurement(mechanism: Mechanism) -> Any:
    """The OpenDP measurement of a mechanism: its map prices, its call draws; a selection's makes one selection.

    Source: Canonne, Kamath and Steinke 2020, Thm. 4 and Alg. 3 (discrete Gaussian); Ghosh et al. 2012 (discrete
    Laplace); Cesar and Rogers 2021 (the exponential mechanism is eps^2/8-zCDP); McKenna and Sheldon 2020.
    """
    return opendp_measurement(mechanism.noise, mechanism.scale, 1)


@lru_cache(maxsize=4096)
def opendp_measurement(noise: Noise, scale: float, k: int) -> Any:
    """The OpenDP measurement of this noise and scale; of `k` selections without repetition, where it selects."""
    # Not `opendp.prelude`, which loads numpy and Polars too and takes as long again.
    from opendp import domains, measurements, measures, metrics
    from opendp.mod import enable_features

    enable_features("contrib")
    domain = domains.vector_domain(domains.atom_domain(T="i64"))
    if noise is Noise.GAUSSIAN:
        return measurements.make_gaussian(domain, metrics.l2_distance(T="f64"), scale=scale)
    if noise is Noise.LAPLACE:
        return measurements.make_laplace(domain, metrics.l1_distance(T="f64"), scale=scale)
    exponential = noise is Noise.EXPONENTIAL
    measure = measures.zero_concentrated_divergence() if exponential else measures.max_divergence()
    # To OpenDP a "monotonic" distance is the range of the change, which is what a selection's sensitivity states.
    distance = metrics.linf_distance(T="i64", monotonic=True)
    return measurements.make_noisy_top_k(domain, distance, measure, k=k, scale=scale)


def price(mechanism: Mechanism) -> Loss:
    """What the draw costs: the larger of OpenDP's map at the sensitivity and the closed form, up to a step of 1e-12.

    Selections add up: those that a unit touches are `cells` times the map of one.

    Raises:
      ValueError: the map is not a positive finite number.
    """
    noise, sensitivity = mechanism.noise, mechanism.sensitivity
    if noise.selects:
        loss, times = measurement(mechanism).map(sensitivity.per_cell), sensitivity.cells
    else:
        loss, times = measurement(mechanism).map(_distance(noise, sensitivity)), 1
    if not (math.isfinite(loss) and loss > 0):
        raise ValueError("a draw must have a positive, finite price")
    return Loss(noise.measure, amount_up(max(Fraction(loss) * times, _closed_form(mechanism))))


def _closed_form(mechanism: Mechanism) -> Fraction:
    """The price by formula; of selections, `cells` times one of a range of `per_cell`."""
    scale, sensitivity = Fraction(mechanism.scale), mechanism.sensitivity
    match mechanism.noise:
        case Noise.GAUSSIAN:
            return gaussian_rho(sensitivity.l2_squared, scale)
        case Noise.LAPLACE:
            return laplace_epsilon(sensitivity.l1, scale)
        case Noise.EXPONENTIAL:
            return sensitivity.cells * selection_rho(sensitivity.per_cell, scale)
        case Noise.PERMUTE_AND_FLIP:
            return sensitivity.cells * selection_epsilon(sensitivity.per_cell, scale)


def calibrate(noise: Noise, sensitivity: Sensitivity, amount: int) -> Mechanism:
    """The mechanism of least noise whose price is at most `amount` steps of 1e-12 (rho or epsilon), amount >= 1.

    Gaussian: sigma = sqrt(L2^2 / (2 rho)), Bun and Steinke 2016, Prop. 1.6. Laplace: b = L1 / epsilon. A selection of
    scale s costs epsilon = range / s, or epsilon^2 / 8 of rho, for each one that a unit touches.
    The double nearest to it is nudged up until `price` agrees.

    Raises:
      ValueError: the scale would leave [SCALE_MIN, SCALE_MAX].
    """
    target = Fraction(amount, AMOUNT_STEPS)
    if noise is Noise.GAUSSIAN:
        scale = math.sqrt(Fraction(sensitivity.l2_squared) / (2 * target))
    elif noise is Noise.EXPONENTIAL:
        scale = math.sqrt(Fraction(sensitivity.l2_squared) / (8 * target))
    else:
        scale = float(Fraction(sensitivity.l1) / target)
    mechanism = Mechanism(noise, scale, sensitivity)
    while price(mechanism).amount > amount:
        scale = math.nextafter(scale, math.inf)
        mechanism = Mechanism(noise, scale, sensitivity)
    return mechanism


def draw(mechanism: Mechanism, exact: Sequence[int]) -> list[int]:
    """The noisy vector. `exact` may hold integers of any size; they are saturated to 64 bits first.

    Raises:
      ValueError: the mechanism selects instead.
    """
    if mechanism.noise.selects:
        raise ValueError("a selection has no noisy vector")
    saturated = saturate(exact)
    if len(saturated) <= PIECE:
        return _piece(mechanism, saturated)
    pieces = (saturated[start : start + PIECE] for start in range(0, len(saturated), PIECE))
    with ThreadPoolExecutor(DRAWING_THREADS, thread_name_prefix="dpstats-noise") as pool:
        return list(chain.from_iterable(pool.map(partial(_piece, mechanism), pieces)))


def _piece(mechanism: Mechanism, saturated: list[int]) -> list[int]:
    """The noisy entries of a part of a vector.

    Claim: a vector that is drawn in parts is released as if it were drawn at once, at the same price.
    Argument: the measurement adds noise of one distribution to each entry, independent of all other entries, in the
    vector as in its parts; so the joint distribution of the parts' entries is the vector's. How the entries are parted
    depends on how many there are alone, which the plan or an earlier noisy answer says. `price` is of the whole
    vector: its sensitivity is over all entries, wherever they are drawn.
    """
    return list(measurement(mechanism)(saturated)) if saturated else []


def saturate(values: Sequence[int]) -> list[int]:
    """The values, saturated to 64 bits; doing so to each entry is 1-Lipschitz, so it keeps the sensitivity."""
    if values and min(values) >= -INT64_MAX and max(values) <= INT64_MAX:
        return list(values)
    return [max(-INT64_MAX, min(INT64_MAX, value)) for value in values]


def _distance(noise: Noise, sensitivity: Sensitivity) -> float:
    """The sensitivity as a double that is never below it."""
    if noise is Noise.LAPLACE:
        return _float_up(Fraction(sensitivity.l1))
    root = math.sqrt(sensitivity.l2_squared)
    while Fraction(root) ** 2 < sensitivity.l2_squared:
        root = math.nextafter(root, math.inf)
    return root


def _float_up(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)
