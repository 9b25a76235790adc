"""What the ledger says that a release costs, and how the noise of its draws is described there. Public knowledge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dpstats.audit.statistics import coarseness, epsilon_of_mu, selection_mu


@dataclass(frozen=True)
class Noise:
    """One draw, as the charge describes it: all in steps of `grid` but `cells`, the entries that one unit can move."""

    draw: str
    mechanism: str
    grid: Fraction
    scale: float
    per_cell: int
    cells: int
    norm: int | None

    @property
    def laplace(self) -> bool:
        """Whether the noise that is added is Laplace's."""
        return self.mechanism == "discrete_laplace"

    @property
    def excess(self) -> float:
        """How many times the mu of a Gaussian of the same rho an adversary can reach; >= 1."""
        if self.mechanism == "exponential":
            epsilon = self.per_cell / self.scale
            return selection_mu(epsilon) / (epsilon / 2)
        if self.mechanism == "discrete_gaussian":
            return max(coarseness(self.scale, shift) for shift in (1, self.per_cell))
        return 1.0


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
        """The Gaussian-DP loss of this rho, by the mechanisms that it is paid for; sqrt(2 rho) for fine Gaussian noise.

        Each draw of rho_i is mu_i-Gaussian-DP with mu_i = excess_i sqrt(2 rho_i), and mu^2 adds up over draws like rho
        (Dong, Roth and Su 2022, Cor. 3.3), so the largest excess bounds that of all together.
        """
        return math.sqrt(2 * self.amount) * self.excess

    @property
    def excess(self) -> float:
        """The largest excess of a draw over the Gaussian of its rho; >= 1."""
        return max((noise.excess for noise in self.draws), default=1.0)

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
        mechanism=event["mechanism"],
        grid=Fraction(event["grid"]),
        scale=float(event["scale"]),
        per_cell=int(event["per_cell"]),
        cells=int(event["cells"]),
        norm=None if event["norm"] is None else int(event["norm"]),
    )
