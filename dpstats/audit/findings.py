"""What an audit found: for each case the claim beside the measured lower bound, and whether one exceeds the other.

The bound that is shown holds with 95 % confidence. On a tight case a sound mechanism's bound would pass its claim one
time in twenty, so the verdict is made at another one, fixed for all: a sound case fails one time in ten million.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dpstats.audit.attack import Tally
from dpstats.audit.claims import Claim
from dpstats.audit.statistics import clopper_pearson, epsilon_of_accuracy, epsilon_of_mu, mu_of_accuracy

ALPHA = 0.05
"""One minus the confidence of a bound that is shown."""
FALSE_ALARM = 1e-7
"""The chance that a case which keeps its claim exactly is said to exceed it."""
SHARP = 0.9
"""The share of the exact epsilon that a tight case's bound reaches at 10,000 runs a side, else it means little."""


@dataclass(frozen=True)
class EpsilonFinding:
    """How well an adversary told whether the canary was in. `tight`: nothing of the charge was wasted by design."""

    case: str
    claim: Claim
    tally: Tally
    tight: bool = True

    @property
    def epsilon(self) -> float:
        """A lower bound on epsilon, true with 95 % confidence; at the conversion delta where the charge is rho."""
        if self.claim.pure:
            return epsilon_of_accuracy(self._accuracy(ALPHA))
        return epsilon_of_mu(self._mu, self.claim.conversion_delta)

    @property
    def rho(self) -> float | None:
        """The rho of Gaussian noise that lets an adversary guess as well as the lower bound says; None where pure."""
        return None if self.claim.pure else self._mu**2 / 2

    @property
    def share(self) -> float:
        """The bound as a share of the epsilon that an adversary may reach."""
        return self.epsilon / self.claim.exact_epsilon

    @property
    def exceeds(self) -> bool:
        """Whether the claim is broken, but for one chance in ten million."""
        accuracy = self._accuracy(FALSE_ALARM)
        if self.claim.pure:
            return epsilon_of_accuracy(accuracy) > self.claim.amount
        return mu_of_accuracy(accuracy) > self.claim.mu

    @property
    def sharp(self) -> bool:
        """Whether the bound is near enough to the claim to mean something."""
        return self.share >= SHARP

    @property
    def _mu(self) -> float:
        """On the scale of the continuous Gaussian, so that it compares with sqrt(2 rho)."""
        return mu_of_accuracy(self._accuracy(ALPHA)) / self.claim.excess

    def _accuracy(self, alpha: float) -> float:
        """Below the chance that a guess is right, less what a threshold's delta may give away besides."""
        if not self.tally.guesses:
            return 0.0
        return clopper_pearson(self.tally.right, self.tally.guesses, alpha) - self.claim.delta

    def as_json(self) -> dict[str, Any]:
        """What was claimed, found and decided."""
        t = self.tally
        return {
            "case": self.case,
            "claimed": _claimed(self.claim),
            "exact_epsilon": self.claim.exact_epsilon,
            "measured": {"rho": self.rho, "epsilon": self.epsilon, "share": self.share},
            "runs": {"in": t.runs_in, "out": t.runs_out, "guesses": t.guesses, "right": t.right},
            "rates": {
                "in_called_in": t.in_called_in / max(1, t.runs_in),
                "out_called_in": t.out_called_in / max(1, t.runs_out),
            },
            "tight": self.tight,
            "sharp": self.sharp,
            "exceeds": self.exceeds,
        }


@dataclass(frozen=True)
class DeltaFinding:
    """How often a unit alone in a group of its own, whose key nobody declared, made the group appear."""

    case: str
    claim: Claim
    runs: int
    appeared: int
    invented: int
    """Groups in the answer that are nobody's: there must be none."""

    @property
    def delta(self) -> float:
        """A lower bound on delta, true with 95 % confidence: without the unit its group never appears."""
        return clopper_pearson(self.appeared, self.runs, ALPHA)

    @property
    def share(self) -> float:
        """The bound as a share of the delta that was charged."""
        return self.delta / self.claim.delta

    @property
    def exceeds(self) -> bool:
        """Whether the claim is broken, but for one chance in ten million."""
        return self.invented > 0 or clopper_pearson(self.appeared, self.runs, FALSE_ALARM) > self.claim.delta

    def as_json(self) -> dict[str, Any]:
        """What was claimed, found and decided."""
        return {
            "case": self.case,
            "claimed": _claimed(self.claim),
            "measured": {"delta": self.delta, "share": self.share},
            "runs": {"in": self.runs, "appeared": self.appeared, "invented": self.invented},
            "exceeds": self.exceeds,
        }


Finding = EpsilonFinding | DeltaFinding


def _claimed(claim: Claim) -> dict[str, Any]:
    return {"rho": None if claim.pure else claim.amount, "delta": claim.delta, "epsilon": claim.epsilon}
