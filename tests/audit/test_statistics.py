"""The audit's statistics against second methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from scipy.stats import beta, binom, norm

from dpstats.audit.statistics import (
    binomial_tail,
    clopper_pearson,
    coarseness,
    epsilon_of_accuracy,
    epsilon_of_mu,
    mu_of_accuracy,
    selection_mu,
)


@pytest.mark.parametrize(
    ("successes", "trials"),
    [(1, 1), (1, 10), (5, 10), (10, 10), (80, 20_000), (15_200, 20_000), (1_999_000, 2_000_000)],
)
@pytest.mark.parametrize("alpha", [0.05, 0.025, 1e-7])
def test_the_bound_is_the_one_that_the_beta_distribution_gives(successes: int, trials: int, alpha: float) -> None:
    expected = beta.ppf(alpha, successes, trials - successes + 1)
    assert clopper_pearson(successes, trials, alpha) == pytest.approx(expected, rel=1e-7)


def test_no_success_bounds_nothing_and_what_is_impossible_is_refused() -> None:
    assert clopper_pearson(0, 10, 0.05) == 0
    for successes, trials, alpha in ((11, 10, 0.05), (-1, 10, 0.05), (1, 10, 0.0), (1, 10, 1.0)):
        with pytest.raises(ValueError, match="successes"):
            clopper_pearson(successes, trials, alpha)


@pytest.mark.parametrize(
    ("at_least", "trials", "p"), [(0, 5, 0.3), (5, 5, 0.3), (600, 1000, 0.5), (15_200, 20_000, 0.75)]
)
def test_a_binomial_tail_is_added_up_right(at_least: int, trials: int, p: float) -> None:
    assert binomial_tail(at_least, trials, p) == pytest.approx(binom.sf(at_least - 1, trials, p), rel=1e-9)


@pytest.mark.parametrize("p", [0.5, 0.76, 0.98])
def test_the_bound_is_too_high_no_more_often_than_alpha(p: float) -> None:
    for alpha in (0.05, 1e-7):
        first = next(k for k in range(500, 1001) if clopper_pearson(k, 1000, alpha) > p)
        assert binom.sf(first - 1, 1000, p) <= alpha


@pytest.mark.parametrize("mu", [0.1, 1.0, math.sqrt(2), 2.0, 4.0])
@pytest.mark.parametrize("delta", [5e-7, 1e-3])
def test_epsilon_of_mu_is_that_of_the_gaussian_mechanism_by_google(mu: float, delta: float) -> None:
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    accountant.compose(dp_event.GaussianDpEvent(1 / mu))
    theirs = accountant.get_epsilon(delta)
    assert theirs - 2e-3 <= epsilon_of_mu(mu, delta) <= theirs + 1e-9


def test_epsilon_of_mu_has_its_limits() -> None:
    assert epsilon_of_mu(0.0, 1e-6) == 0
    assert epsilon_of_mu(1e-9, 1e-6) == 0
    assert math.isfinite(epsilon_of_mu(60.0, 1e-6))


@pytest.mark.parametrize("amount", [0.01, 0.5, 2.0, 8.0])
def test_loss_and_accuracy_are_inverse(amount: float) -> None:
    assert epsilon_of_accuracy(math.exp(amount) / (1 + math.exp(amount))) == pytest.approx(amount)
    assert mu_of_accuracy(float(norm.cdf(amount / 2))) == pytest.approx(amount)
    assert epsilon_of_accuracy(0.4) == mu_of_accuracy(0.4) == epsilon_of_accuracy(0.5) == mu_of_accuracy(0.5) == 0
    assert epsilon_of_accuracy(1.0) == mu_of_accuracy(1.0) == math.inf


@pytest.mark.parametrize("sigma", [0.3, 0.7071, 1.0, 1.6, 3.0, 20.0])
@pytest.mark.parametrize("shift", [1, 2, 7])
def test_no_test_on_the_discrete_gaussian_beats_the_coarse_mu(sigma: float, shift: int) -> None:
    """All tests "at least k", added up term by term, lie on or above the curve of that mu."""
    k = np.arange(-math.ceil(12 * sigma) - 2 * shift, math.ceil(12 * sigma) + 2 * shift + 1)
    mass = np.exp(-(k.astype(float) ** 2) / (2 * sigma**2))
    mass /= mass.sum()
    tail = np.cumsum(mass[::-1])[::-1]
    out, inside = tail[shift:], tail[:-shift]
    seen = (out > 1e-9) & (inside < 1 - 1e-9)
    mu = coarseness(sigma, shift) * shift / sigma
    assert (norm.cdf(norm.ppf(out[seen]) + mu) >= inside[seen] - 1e-9).all()


def test_a_fine_grid_gives_nothing_away() -> None:
    assert coarseness(1e6, 10**6) == 1.0
    assert coarseness(50.0, 7) == pytest.approx(1.0, abs=1e-4)
    assert coarseness(1.0, 1) == pytest.approx(2 * norm.ppf(0.5 + 0.5 / np.exp(-(np.arange(-30, 31) ** 2) / 2).sum()))


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 2.0, 6.0])
def test_no_exponential_mechanism_is_told_better_than_by_its_mu(epsilon: float) -> None:
    """Ten candidates whose scores the unit moves by 0 to epsilon, at random and at the ends."""
    random = np.random.default_rng(3)
    for n in range(200):
        scores, moved = random.normal(0, 3, 10), random.random(10) * epsilon
        moved = np.where(moved > epsilon / 2, epsilon, 0.0) if n % 2 else moved
        out, inside = (np.exp(s) / np.exp(s).sum() for s in (scores, scores + moved))
        order = np.argsort(-inside / out)
        false, true = np.cumsum(out[order])[:-1], np.cumsum(inside[order])[:-1]
        assert (norm.ppf(true) - norm.ppf(false) <= selection_mu(epsilon) + 1e-9).all()
    assert selection_mu(0.01) == pytest.approx(0.01 * math.sqrt(2 * math.pi) / 4, rel=1e-3)
