"""When an audit says that a claim is broken, how often it is wrong to, and how near its bound comes.

Computed from the binomial distribution itself, not from runs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from scipy.stats import binom, norm

from dpstats.audit.attack import Tally
from dpstats.audit.claims import Claim, Noise
from dpstats.audit.findings import FALSE_ALARM, SHARP, DeltaFinding, EpsilonFinding
from dpstats.audit.report import legend

GUESSES = 20_000
"""10,000 runs a side."""


def zcdp(rho: float) -> Claim:
    """A charge of this rho, for one draw on a fine grid."""
    scale = 1e6 / math.sqrt(2 * rho)
    noise = Noise("m", mechanism="discrete_gaussian", grid=Fraction(1), scale=scale, per_cell=10**6, cells=1, norm=None)
    return Claim(pure=False, amount=rho, delta=0.0, epsilon=0.0, conversion_delta=5e-7, draws=(noise,))


def pure(epsilon: float) -> Claim:
    return Claim(pure=True, amount=epsilon, delta=0.0, epsilon=epsilon, conversion_delta=0.0, draws=())


def found(claim: Claim, right: int, guesses: int = GUESSES) -> EpsilonFinding:
    tally = Tally(guesses // 2, guesses // 2, right // 2, 0, guesses - right, right - right // 2)
    assert (tally.right, tally.guesses) == (right, guesses)
    return EpsilonFinding("case", claim, tally)


def accuracy(claim: Claim, strength: float = 1.0) -> float:
    """How often the best guess is right, of noise `strength` times too small."""
    if claim.pure:
        odds = math.exp(claim.amount * strength)
        return odds / (1 + odds)
    return float(norm.cdf(math.sqrt(2 * claim.amount) * strength / 2))


def first(claim: Claim, says: str, guesses: int) -> int:
    """The least number of right guesses that makes a finding say so."""
    low, high = guesses // 2, guesses
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if getattr(found(claim, middle, guesses), says) else (middle + 1, high)
    return low


def guesses_of(claim: Claim) -> int:
    """Under Laplace noise nothing is said where the answer lies between the exact ones."""
    return round(GUESSES * (1 + math.exp(-claim.amount)) / 2) if claim.pure else GUESSES


CLAIMS = [zcdp(0.5), zcdp(1.0), zcdp(3.0), pure(1.0), pure(2.0), pure(3.0)]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_that_is_just_kept_is_called_broken_once_in_ten_million_audits(claim: Claim) -> None:
    n = guesses_of(claim)
    assert 0 < binom.sf(first(claim, "exceeds", n) - 1, n, accuracy(claim)) <= FALSE_ALARM


@pytest.mark.parametrize("claim", CLAIMS)
def test_at_10_000_runs_a_side_the_bound_reaches_nine_tenths_of_the_exact_epsilon(claim: Claim) -> None:
    assert SHARP == 0.9
    n = guesses_of(claim)
    assert binom.sf(first(claim, "sharp", n) - 1, n, accuracy(claim)) > 0.999


@pytest.mark.parametrize("claim", CLAIMS)
def test_noise_a_fifth_too_small_is_noticed_nearly_always(claim: Claim) -> None:
    n = guesses_of(claim)
    assert binom.sf(first(claim, "exceeds", n) - 1, n, accuracy(claim, 1.25)) > 0.999


def test_guesses_no_better_than_a_coin_measure_nothing() -> None:
    for claim in CLAIMS:
        assert found(claim, 10_000).epsilon == 0
        assert not found(claim, 10_000).exceeds
        assert EpsilonFinding("case", claim, Tally()).epsilon == 0


def test_what_a_threshold_may_give_away_is_not_held_against_the_noise() -> None:
    claim = replace(zcdp(1.0), delta=0.005)
    assert found(claim, 15_400).epsilon < found(zcdp(1.0), 15_400).epsilon


def test_a_coarse_grid_is_not_held_against_rho() -> None:
    """At sigma 1/2 the discrete Gaussian is told apart better than the continuous one, and is 2-zCDP all the same."""
    coarse = Noise("m", mechanism="discrete_gaussian", grid=Fraction(1), scale=0.5, per_cell=1, cells=1, norm=None)
    claim = replace(zcdp(2.0), draws=(coarse,))
    masses = [math.exp(-2 * k * k) for k in range(-20, 21)]
    right = round(GUESSES * (0.5 + 0.5 / sum(masses)))
    assert found(zcdp(2.0), right).exceeds
    assert not found(claim, right).exceeds
    assert SHARP < found(claim, right).share < 1


def test_a_selection_is_not_held_to_what_gaussian_noise_of_its_rho_would_show() -> None:
    """Losses of +-1/2 make guesses right more often than a Gaussian of the same rho, epsilon^2 / 8, would."""
    selection = Noise("m", mechanism="exponential", grid=Fraction(1), scale=1.0, per_cell=1, cells=1, norm=None)
    right = round(2_000_000 * math.exp(0.5) / (1 + math.exp(0.5)))
    assert found(zcdp(1 / 8), right, 2_000_000).exceeds
    assert not found(replace(zcdp(1 / 8), draws=(selection,)), right, 2_000_000).exceeds


def test_a_group_of_one_that_appears_too_often_breaks_the_claim_and_one_that_is_nobodys_always_does() -> None:
    claim = replace(zcdp(0.02), delta=0.005)
    assert not DeltaFinding("keys", claim, 20_000, 100, 0).exceeds
    assert DeltaFinding("keys", claim, 20_000, 170, 0).exceeds
    assert DeltaFinding("keys", claim, 20_000, 0, 1).exceeds
    assert 0.8 < DeltaFinding("keys", claim, 20_000, 100, 0).share < 1


def test_a_bound_of_nothing_is_said_to_show_nothing() -> None:
    blind, seeing = found(zcdp(1.0), GUESSES // 2), found(zcdp(1.0), GUESSES)
    assert blind.epsilon == 0
    assert "shows nothing" in legend([seeing, blind])[-1]
    assert not any("shows nothing" in line for line in legend([seeing]))
