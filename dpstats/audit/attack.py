"""The adversary: a likelihood-ratio test on noisy numbers, fixed before the runs that it is tried on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CERTAIN = 0.999
"""Under Laplace noise the guess is made where the likelihood ratio is all but the largest, and nothing is said else."""


@dataclass(frozen=True)
class Feature:
    """A number of the answer: its exact value `without` and `with_canary`, and the scale of its noise, in one unit."""

    without: float
    with_canary: float
    scale: float


@dataclass(frozen=True)
class Attack:
    """Guesses whether the canary is in, from the answer's numbers; the best test there is (Neyman and Pearson).

    Gaussian noise: it says "in" where the log-likelihood ratio, a weighted sum of the numbers, is at least 0, halfway
    between the two exact answers. Laplace: "in" where every number is at least the larger exact value (for a canary
    that only adds), "out" where every one is at most the smaller.
    """

    features: tuple[Feature, ...]
    laplace: bool

    def guess(self, values: Sequence[float]) -> bool | None:
        """True: the canary is in; False: it is not; None: nothing is said."""
        pairs = list(zip(self.features, values, strict=True))
        if not self.laplace:
            return sum(_gaussian_evidence(feature, value) for feature, value in pairs) >= 0
        most = CERTAIN * sum(abs(f.with_canary - f.without) / f.scale for f in self.features)
        evidence = sum(_laplace_evidence(feature, value) for feature, value in pairs)
        return None if abs(evidence) < most or not most else evidence > 0


def _gaussian_evidence(feature: Feature, value: float) -> float:
    middle = (feature.with_canary + feature.without) / 2
    return (feature.with_canary - feature.without) * (value - middle) / feature.scale**2


def _laplace_evidence(feature: Feature, value: float) -> float:
    return (abs(value - feature.without) - abs(value - feature.with_canary)) / feature.scale


@dataclass(frozen=True)
class Tally:
    """How runs ended: with the canary in and out, those that the adversary called in, and those called out."""

    runs_in: int = 0
    runs_out: int = 0
    in_called_in: int = 0
    in_called_out: int = 0
    out_called_in: int = 0
    out_called_out: int = 0

    @property
    def right(self) -> int:
        """Guesses that were right."""
        return self.in_called_in + self.out_called_out

    @property
    def guesses(self) -> int:
        """Runs in which something was said."""
        return self.right + self.in_called_out + self.out_called_in

    def with_run(self, guess: bool | None, *, canary: bool) -> Tally:
        """This tally and one more run."""
        return Tally(
            self.runs_in + canary,
            self.runs_out + (not canary),
            self.in_called_in + (canary and guess is True),
            self.in_called_out + (canary and guess is False),
            self.out_called_in + (not canary and guess is True),
            self.out_called_out + (not canary and guess is False),
        )


def coins(count: int) -> Iterator[bool]:
    """Fair coins: whether each canary is in the data; drawn before any answer is seen."""
    bits = secrets.randbits(count) if count else 0
    return (bool(bits >> place & 1) for place in range(count))
