"""Half-widths against exact sums of the discrete distributions: they hold 95 %, and are not wider than they need be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmf import outside, pmf, scaled
from scipy import stats

from dpstats.privacy.accuracy import ALPHA, Term, half_width, half_width_steps, tail
from dpstats.privacy.mechanism import ADDED, SCALE_MAX, Mechanism, Noise, Sensitivity

SCALES = [1 / 16, 0.2, 0.5, 0.77, 1.0, 1.5, 3.0, 9.99, 14.15, 77.0, 199.9, 200.0, 200.1, 333.3, 1000.0]
ONE = Sensitivity(1, 1)
NOISES = st.sampled_from(list(ADDED.values()))


def steps(noise: Noise, scale: float, alpha: float = ALPHA) -> int:
    return half_width_steps(Mechanism(noise, scale, ONE), alpha)


@pytest.mark.parametrize("noise", ADDED.values())
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
def test_a_half_width_is_the_least_that_holds_95_percent(noise: Noise, scale: float, alpha: float) -> None:
    k, exact = steps(noise, scale, alpha), pmf(noise, scale)
    slack = 1e-12 if scale <= 200 else 1e-6
    assert outside(exact, k) <= alpha + slack
    if k:
        assert outside(exact, k - 1) > alpha - slack


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0, 1e4])
def test_the_discrete_laplace_has_its_closed_form(scale: float) -> None:
    q = math.exp(-1 / scale)
    k = steps(Noise.LAPLACE, scale)
    assert 2 * q ** (k + 1) / (1 + q) <= ALPHA * (1 + 1e-9)
    assert k == 0 or 2 * q**k / (1 + q) > ALPHA * (1 - 1e-9)
    assert outside(pmf(Noise.LAPLACE, scale), k) == pytest.approx(2 * q ** (k + 1) / (1 + q), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("scale", [1e6, 1e15, 1e16, 3e16, SCALE_MAX])
def test_large_scales_have_the_half_width_of_the_continuous_noise(scale: float) -> None:
    assert steps(Noise.GAUSSIAN, scale) == pytest.approx(stats.norm.isf(ALPHA / 2) * scale, rel=1e-6)
    assert steps(Noise.LAPLACE, scale) == pytest.approx(-math.log(ALPHA) * scale, rel=1e-6)


@pytest.mark.parametrize("noise", ADDED.values())
@pytest.mark.parametrize(
    "parts",
    [
        [(0.3, 1), (0.3, 1)],
        [(0.5, 1), (0.7, -2)],
        [(1.0, 1), (1.0, 1)],
        [(3.0, 1), (3.0, 1), (3.0, -1)],
        [(10.0, 1), (10.0, 1), (10.0, -1)],
        [(10.0, 3), (40.0, 1)],
        [(20.0, 1), (12.0, 7), (16.0, 3)],
        [(5.0, 1), (5.0, 1), (5.0, 1), (5.0, 1), (5.0, 2)],
    ],
)
def test_the_half_width_of_a_sum_holds_95_percent(noise: Noise, parts: list[tuple[float, int]]) -> None:
    width = half_width([Term(noise, scale, 1.0, float(factor)) for scale, factor in parts])
    total = np.ones(1)
    for scale, factor in parts:
        total = np.convolve(total, scaled(pmf(noise, scale), factor))
    missed = outside(total, width)
    assert missed <= ALPHA
    if min(scale for scale, _ in parts) >= 10:
        assert missed > ALPHA * 0.7


@pytest.mark.parametrize("noise", ADDED.values())
def test_half_widths_scale_with_step_and_coefficient(noise: Noise) -> None:
    one = half_width([Term(noise, 30.0, 1.0, 1.0)])
    assert half_width([Term(noise, 30.0, 0.01, -4.0)]) == pytest.approx(one * 0.04)
    two = half_width([Term(noise, 30.0, 1.0, 1.0), Term(noise, 50.0, 1.0, 2.0)])
    assert half_width([Term(noise, 30.0, 0.5, 1.0), Term(noise, 50.0, 0.5, 2.0)]) == pytest.approx(two / 2)


def test_what_has_no_noise_has_no_width() -> None:
    assert half_width([]) == 0.0
    assert half_width([Term(Noise.GAUSSIAN, 5.0, 1.0, 0.0)]) == 0.0
    assert tail([], 0.0) == 0.0
    assert tail([], -1.0) == 1.0


@given(
    st.lists(st.builds(Term, NOISES, st.floats(0.1, 1e6), st.just(1.0), st.floats(-9, 9)), max_size=5),
    st.floats(0, 1e7),
    st.floats(0, 1e7),
)
def test_a_tail_is_a_probability_that_falls_with_distance(terms: list[Term], a: float, b: float) -> None:
    near, far = sorted((a, b))
    assert 0 <= tail(terms, far) <= tail(terms, near) + 1e-9 <= 1 + 1e-9


def test_a_weight_past_the_doubles_does_not_raise() -> None:
    assert tail([Term(Noise.GAUSSIAN, 1e16, 1e290, 1e10)], 1e300) == 1.0
