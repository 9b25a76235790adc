"""A mechanism's price is its noise's: within what was asked, tight, and the noise is what the price says."""

from __future__ import annotations

import itertools
import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmf import pmf
from scipy import stats

from dpstats.privacy.loss import AMOUNT_STEPS, Measure
from dpstats.privacy.mechanism import (
    ADDED,
    INT64_MAX,
    PIECE,
    SCALE_MAX,
    SCALE_MIN,
    Mechanism,
    Noise,
    Sensitivity,
    calibrate,
    draw,
    price,
)

FALSE_ALARM = 1e-9
"""How often a test of the noise's distribution fails although all is well."""
ONE = Sensitivity(1, 1)
NOISES = st.sampled_from(list(ADDED.values()))
SENSITIVITIES = st.builds(Sensitivity, st.integers(1, 10**9), st.integers(1, 10**4))
AMOUNTS = st.integers(10**6, 10 * AMOUNT_STEPS)


def exact_price(mechanism: Mechanism) -> Fraction:
    """The price in steps by the formulas: L2^2 / (2 sigma^2) of zCDP, L1 / b of pure DP."""
    scale = Fraction(mechanism.scale)
    if mechanism.noise is Noise.GAUSSIAN:
        return Fraction(mechanism.sensitivity.l2_squared) / (2 * scale**2) * AMOUNT_STEPS
    return Fraction(mechanism.sensitivity.l1) / scale * AMOUNT_STEPS


@settings(max_examples=60, deadline=None)
@given(NOISES, SENSITIVITIES, AMOUNTS)
def test_the_price_is_within_the_amount_and_tight(noise: Noise, sensitivity: Sensitivity, amount: int) -> None:
    if not SCALE_MIN * 2 <= _scale(noise, sensitivity, amount) <= SCALE_MAX / 2:
        return
    mechanism = calibrate(noise, sensitivity, amount)
    assert price(mechanism).amount <= amount
    cheaper = Mechanism(noise, mechanism.scale * (1 - 4e-6), sensitivity)
    assert price(cheaper).amount > amount


def _scale(noise: Noise, sensitivity: Sensitivity, amount: int) -> float:
    target = Fraction(amount, AMOUNT_STEPS)
    if noise is Noise.GAUSSIAN:
        return math.sqrt(Fraction(sensitivity.l2_squared) / (2 * target))
    return float(Fraction(sensitivity.l1) / target)


@settings(max_examples=60, deadline=None)
@given(NOISES, SENSITIVITIES, st.floats(1e3, 1e12))
def test_the_price_is_the_formula_rounded_up(noise: Noise, sensitivity: Sensitivity, scale: float) -> None:
    mechanism = Mechanism(noise, scale, sensitivity)
    paid, exact = price(mechanism), exact_price(mechanism)
    assert paid.measure is noise.measure
    assert paid.delta == 0
    assert exact <= paid.amount <= exact * (1 + Fraction(1, 10**12)) + 1


@settings(max_examples=30, deadline=None)
@given(NOISES, SENSITIVITIES)
def test_more_of_anything_costs_more(noise: Noise, sensitivity: Sensitivity) -> None:
    paid = price(Mechanism(noise, 1e9, sensitivity)).amount
    assert price(Mechanism(noise, 1e9, Sensitivity(sensitivity.per_cell + 1, sensitivity.cells))).amount >= paid
    assert price(Mechanism(noise, 1e9, Sensitivity(sensitivity.per_cell, sensitivity.cells + 1))).amount >= paid
    assert price(Mechanism(noise, 2e9, sensitivity)).amount <= paid


@given(SENSITIVITIES)
def test_norms_of_a_sensitivity_are_those_of_its_worst_change(sensitivity: Sensitivity) -> None:
    assert sensitivity.l1 == sensitivity.per_cell * sensitivity.cells
    assert sensitivity.l2_squared == sensitivity.per_cell**2 * sensitivity.cells
    assert sensitivity.l2_squared <= sensitivity.l1**2


@pytest.mark.parametrize(("per_cell", "cells"), [(0, 1), (1, 0), (-1, 1)])
def test_a_sensitivity_is_at_least_one_step_in_one_cell(per_cell: int, cells: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Sensitivity(per_cell, cells)


@pytest.mark.parametrize("scale", [0.0, 1e-300, SCALE_MIN / 2, SCALE_MAX * 2, math.inf, math.nan, -1.0])
@pytest.mark.parametrize("noise", ADDED.values())
def test_a_scale_that_is_all_but_exact_or_leaves_64_bits_is_refused(noise: Noise, scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        Mechanism(noise, scale, ONE)


def test_calibration_refuses_what_no_mechanism_can_do() -> None:
    with pytest.raises(ValueError, match="scale"):
        calibrate(Noise.GAUSSIAN, ONE, 10**6 * AMOUNT_STEPS)
    with pytest.raises(ValueError, match="scale"):
        calibrate(Noise.LAPLACE, Sensitivity(10**9, 10**6), 1)


@pytest.mark.parametrize("noise", ADDED.values())
@pytest.mark.parametrize("scale", [0.3, 1.0, 7.5])
def test_the_noise_has_the_exact_distribution(noise: Noise, scale: float) -> None:
    count = 20_000
    drawn = np.array(draw(Mechanism(noise, scale, ONE), [0] * count))
    expected = pmf(noise, scale) * count
    middle = len(expected) // 2
    reach = int(np.flatnonzero(expected[middle:] >= 10)[-1])
    bins = np.clip(drawn, -reach - 1, reach + 1) + reach + 1
    observed = np.bincount(bins, minlength=2 * reach + 3)
    inside = expected[middle - reach : middle + reach + 1]
    tail = (count - inside.sum()) / 2
    statistic = (((observed[1:-1] - inside) ** 2) / inside).sum()
    degrees = len(inside) - 1
    if tail >= 5:
        statistic += ((observed[[0, -1]] - tail) ** 2 / tail).sum()
        degrees += 2
    assert stats.chi2.sf(statistic, degrees) > FALSE_ALARM


@pytest.mark.parametrize("noise", ADDED.values())
def test_a_noise_a_fifth_smaller_would_be_noticed(noise: Noise) -> None:
    """The test above has teeth: against the distribution of a scale 20 % larger, the same draws fail it."""
    count, scale = 20_000, 7.5
    drawn = np.array(draw(Mechanism(noise, scale, ONE), [0] * count))
    expected = pmf(noise, scale * 1.25, reach=60) * count
    observed = np.bincount(np.clip(drawn, -60, 60) + 60, minlength=121)
    inside = expected >= 10
    statistic = ((observed[inside] - expected[inside]) ** 2 / expected[inside]).sum()
    assert stats.chi2.sf(statistic, int(inside.sum()) - 1) < FALSE_ALARM


@pytest.mark.parametrize("noise", ADDED.values())
def test_noise_is_added_to_each_entry_alone_and_left_unbiased(noise: Noise) -> None:
    exact = list(range(-2000, 2000))
    drawn = np.array(draw(Mechanism(noise, 2.0, ONE), exact)) - np.array(exact)
    deviation = 2.0 * (1 if noise is Noise.GAUSSIAN else math.sqrt(2)) / math.sqrt(len(exact))
    assert abs(drawn.mean()) < stats.norm.isf(FALSE_ALARM / 2) * deviation
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < stats.norm.isf(FALSE_ALARM / 2) / math.sqrt(len(exact))


@pytest.mark.parametrize("noise", ADDED.values())
def test_values_past_64_bits_are_saturated_and_never_raise(noise: Noise) -> None:
    mechanism = Mechanism(noise, 1.0, ONE)
    for exact in (2**63, -(2**63), 2**64, -(10**30), 10**30, INT64_MAX, -INT64_MAX):
        (noisy,) = draw(mechanism, [exact])
        assert -(2**63) <= noisy < 2**63
        assert abs(abs(noisy) - INT64_MAX) < 200


@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_saturation_never_moves_two_values_apart(a: int, b: int) -> None:
    low, high = (max(-INT64_MAX, min(INT64_MAX, value)) for value in (a, b))
    assert abs(low - high) <= abs(a - b)


def test_nothing_in_nothing_out() -> None:
    assert draw(Mechanism(Noise.GAUSSIAN, 1.0, ONE), []) == []


def test_each_noise_has_a_measure() -> None:
    assert Noise.GAUSSIAN.measure is Measure.ZCDP
    assert Noise.LAPLACE.measure is Measure.PURE


@pytest.mark.parametrize("noise", [Noise.GAUSSIAN, Noise.LAPLACE])
def test_a_long_vector_is_drawn_in_pieces_each_entry_with_noise_of_its_own_and_in_its_place(noise: Noise) -> None:
    length = 3 * PIECE + 17
    exact = [1000 * i for i in range(length)]
    found = draw(Mechanism(noise, 30.0, Sensitivity(1, 1)), exact)
    off = [noisy - value for noisy, value in zip(found, exact, strict=True)]
    assert len(off) == length
    assert max(map(abs, off)) < 1000  # a shift by one place would be 1,000: beyond 33 scales
    pieces = [tuple(off[start : start + PIECE]) for start in range(0, length, PIECE)]
    assert len(set(pieces)) == len(pieces) == 4
    for one, other in itertools.pairwise(pieces[:3]):
        # Of independent noises about 1 in 3.5 x 30 entries agree; if a piece were drawn twice, all would.
        assert sum(a == b for a, b in zip(one, other, strict=True)) < PIECE / 10
    spread = statistics.pstdev(off) / (30.0 if noise is Noise.GAUSSIAN else 30.0 * math.sqrt(2))
    assert spread == pytest.approx(1, abs=0.06)  # six standard errors of 12,305 entries, for Laplace too


def test_a_vector_longer_than_a_piece_is_saturated_too() -> None:
    exact = [2**70, -(2**70)] * PIECE
    found = draw(Mechanism(Noise.GAUSSIAN, 1.0, Sensitivity(1, 1)), exact)
    assert all(abs(noisy) > 2**62 and (noisy > 0) == (value > 0) for noisy, value in zip(found, exact, strict=True))
