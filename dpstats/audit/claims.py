"""What the ledger says that a release costs, and how the noise of its draws is described there. Public knowledge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dpstats.audit.statistics import coarseness, epsilon_of_mu


@dataclass(frozen=True)
class Noise:
    """One draw, as the charge describes it: all in steps of `grid` but `cells`, the entries that one unit can move."""

    draw: str
    laplace: bool
    grid: Fraction
    scale: float
    per_cell: int
    cells: int
    norm: int | None


@dataclass(frozen=True)
class Claim:
    """The privacy loss of one release, as charged.

    `amount`: rho of zCDP, or epsilon where `pure`. `delta`: of thresholds. `epsilon`: what the release alone is shown
    to cost, at `conversion_delta` (0 where pure).
    """

    pure: bool
    amount: float
    delta: float
    epsilon: float
    conversion_delta: float
    draws: tuple[Noise, ...]

    @property
    def mu(self) -> float:
        """The Gaussian-DP loss that noise of this rho has, on the grid that it is drawn on; sqrt(2 rho) on a fine one.

        mu^2 = 2 rho adds up over draws like rho (Dong, Roth and Su 2022, Cor. 3.3), so the coarsest draw's excess over
        the continuous Gaussian bounds that of all together.
        """
        return math.sqrt(2 * self.amount) * self.coarseness

    @property
    def coarseness(self) -> float:
        """How much more mu the coarsest grid gives away than the continuous Gaussian of the same rho; >= 1."""
        shifts = ((noise.scale, shift) for noise in self.draws for shift in (1, noise.per_cell))
        return max((coarseness(scale, shift) for scale, shift in shifts), default=1.0)

    @property
    def exact_epsilon(self) -> float:
        """The epsilon that an adversary can reach: where pure the charge's own, else the exact Gaussian's of rho."""
        return self.amount if self.pure else epsilon_of_mu(math.sqrt(2 * self.amount), self.conversion_delta)


def claim_of(entry: Mapping[str, Any], cost: Mapping[str, Any], conversion_delta: Decimal) -> Claim:
    """The claim of a charge: its ledger entry and the cost that its release states."""
    pure = entry["rho"] is None
    return Claim(
        pure=pure,
        amount=float(entry["epsilon"] if pure else entry["rho"]),
        delta=float(entry["delta"]),
        epsilon=float(cost["epsilon"]),
        conversion_delta=float(conversion_delta),
        draws=tuple(_noise(event) for event in entry["events"] if event["mechanism"] != "threshold"),
    )


def _noise(event: Mapping[str, Any]) -> Noise:
    return Noise(
        draw=event["draw"],
        laplace=event["mechanism"] == "discrete_laplace",
        grid=Fraction(event["grid"]),
        scale=float(event["scale"]),
        per_cell=int(event["per_cell"]),
        cells=int(event["cells"]),
        norm=None if event["norm"] is None else int(event["norm"]),
    )
