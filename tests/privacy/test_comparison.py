"""The probability that one number is above another, against the exact discrete distributions and drawn noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pmf import pmf
from scipy import stats

from dpstats.privacy.comparison import Reading, probability_above, reading_of_interval
from dpstats.privacy.mechanism import Noise

SAME = (Noise.GAUSSIAN, Noise.LAPLACE)


def exactly(left: Reading, right: Reading) -> float:
    """P(noise of left - noise of right < difference) + half of P(=), by convolution of the discrete noises."""
    one, other = pmf(left.noise, left.scale), pmf(right.noise, right.scale)
    both = np.convolve(one, other)
    k = np.arange(len(both)) - len(both) // 2
    difference = left.value - right.value
    return float(both[k < difference].sum() + both[k == difference].sum() / 2)


@pytest.mark.parametrize("noise", SAME)
@pytest.mark.parametrize(("left", "right"), [(8.0, 8.0), (8.0, 8.0005), (6.0, 20.0), (3.0, 9.0)])
@pytest.mark.parametrize("difference", [0, 1, 5, 17, -12, 60])
def test_it_is_the_discrete_noises_probability_but_for_the_grid(
    noise: Noise, left: float, right: float, difference: int
) -> None:
    one, other = Reading(100 + difference, noise, left), Reading(100, noise, right)
    assert probability_above(one, other) == pytest.approx(exactly(one, other), abs=0.2 / min(left, right))


def test_two_gaussians_are_a_gaussian() -> None:
    one, other = Reading(30, Noise.GAUSSIAN, 3), Reading(20, Noise.GAUSSIAN, 4)
    assert probability_above(one, other) == pytest.approx(stats.norm.cdf(10 / 5))


def test_two_laplaces_have_the_tail_of_their_sum() -> None:
    for scales in ((1.0, 1.0), (1.0, 2.5), (0.3, 7.0), (1.0, 0.0)):
        one, other = (Reading(value, Noise.LAPLACE, scale) for value, scale in zip((4.0, 1.0), scales, strict=True))
        t = np.linspace(-60 * max(scales), 60 * max(scales), 400_001)
        second = stats.laplace(scale=scales[1]).cdf(3 - t) if scales[1] else (t < 3) * 1.0
        numeric = np.trapezoid(stats.laplace(scale=scales[0]).pdf(t) * second, t)
        assert probability_above(one, other) == pytest.approx(numeric, abs=1e-3)


@pytest.mark.parametrize("noise", SAME)
def test_the_two_sides_add_up_to_one_and_equal_numbers_are_a_coin(noise: Noise) -> None:
    one, other = Reading(12.5, noise, 3.0), Reading(10.0, noise, 5.0)
    assert probability_above(one, other) + probability_above(other, one) == pytest.approx(1)
    assert probability_above(one, Reading(12.5, noise, 9.0)) == 0.5


@pytest.mark.parametrize("noise", SAME)
def test_a_larger_difference_is_surer_and_more_noise_is_less_sure(noise: Noise) -> None:
    farther = [probability_above(Reading(value, noise, 4.0), Reading(0, noise, 4.0)) for value in range(0, 60, 3)]
    noisier = [probability_above(Reading(10, noise, scale), Reading(0, noise, 4.0)) for scale in range(1, 40, 3)]
    assert farther == sorted(farther)
    assert noisier == sorted(noisier, reverse=True)
    assert all(0.5 <= probability <= 1 for probability in farther + noisier)


def test_without_noise_the_order_is_certain() -> None:
    one, other = Reading(2, Noise.GAUSSIAN, 0), Reading(1, Noise.GAUSSIAN, 0)
    assert (probability_above(one, other), probability_above(other, one)) == (1.0, 0.0)


@pytest.mark.parametrize("pure", [True, False])
def test_an_interval_gives_back_its_own_coverage(pure: bool) -> None:
    reading = reading_of_interval(10.0, 4.0, pure=pure)
    assert probability_above(reading, Reading(6.0, reading.noise, 0)) == pytest.approx(0.975)


def test_an_interval_of_a_laplace_is_that_laplace() -> None:
    assert reading_of_interval(0, 3 * math.log(20), pure=True).scale == pytest.approx(3)


def test_a_selected_candidate_is_not_compared() -> None:
    with pytest.raises(ValueError, match="candidates"):
        probability_above(Reading(1, Noise.EXPONENTIAL, 1), Reading(0, Noise.GAUSSIAN, 1))
