"""Between rho and epsilon: agreement with two other accountants, and rounding against us."""

from __future__ import annotations

import math
from decimal import Decimal

import dp_accounting
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from dpstats.privacy.conversion import epsilon_of_rho, rho_within, shown
from dpstats.privacy.loss import AMOUNT_STEPS

RHOS = [1e-9, 1e-6, 1e-4, 0.005, 0.1, 0.5, 1.0, 7.0, 60.0]
DELTAS = [Decimal("1e-15"), Decimal("5e-7"), Decimal("1e-5"), Decimal("0.005")]
SOME_RHO = st.integers(1, 20 * AMOUNT_STEPS)
SOME_EPSILON = st.decimals(Decimal("0.001"), 100, places=6)
SOME_DELTA = st.sampled_from(DELTAS)


def minimised(rho: float, delta: float) -> float:
    """Canonne, Kamath and Steinke 2020, Prop. 12, minimised by scipy over log(alpha - 1)."""

    def bound(t: float) -> float:
        alpha = 1 + math.exp(t)
        return rho * alpha - math.log(delta) / math.exp(t) + math.log1p(-1 / alpha) - math.log(alpha) / math.exp(t)

    guess = math.log(math.sqrt(-math.log(delta) / rho))
    found = optimize.minimize_scalar(bound, bounds=(guess - 8, guess + 8), method="bounded", options={"xatol": 1e-10})
    return max(0.0, float(found.fun))


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("delta", DELTAS)
def test_epsilon_is_the_minimum_of_the_formula_and_not_below(rho: float, delta: Decimal) -> None:
    ours, theirs = epsilon_of_rho(round(rho * AMOUNT_STEPS), delta), minimised(rho, float(delta))
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)
    assert ours >= theirs * (1 - 1e-9)


@pytest.mark.parametrize("rho", [0.005, 0.1, 1.0, 7.0])
@pytest.mark.parametrize("delta", DELTAS[:3])
def test_epsilon_covers_what_another_accountant_finds_for_the_gaussian(rho: float, delta: Decimal) -> None:
    accountant = dp_accounting.rdp.RdpAccountant([1 + x / 50 for x in range(1, 500)] + [*range(11, 1000)])
    accountant.compose(dp_accounting.GaussianDpEvent(math.sqrt(1 / (2 * rho))))
    theirs = accountant.get_epsilon(float(delta))
    ours = epsilon_of_rho(round(rho * AMOUNT_STEPS), delta)
    assert ours == pytest.approx(theirs, rel=2e-3)
    # The Gaussian's own curve is tighter than any conversion of its rho.
    exact = dp_accounting.pld.PLDAccountant()
    exact.compose(dp_accounting.GaussianDpEvent(math.sqrt(1 / (2 * rho))))
    assert ours >= exact.get_epsilon(float(delta)) * (1 - 1e-4)


@settings(max_examples=40, deadline=None)
@given(SOME_RHO, SOME_RHO, SOME_DELTA)
def test_more_rho_is_never_less_epsilon(a: int, b: int, delta: Decimal) -> None:
    low, high = sorted((a, b))
    assert epsilon_of_rho(low, delta) <= epsilon_of_rho(high, delta) * (1 + 1e-11)


def test_no_rho_is_no_epsilon() -> None:
    assert epsilon_of_rho(0, DELTAS[1]) == 0.0


@settings(max_examples=25, deadline=None)
@given(SOME_EPSILON, SOME_DELTA)
def test_the_rho_within_an_epsilon_is_the_largest(epsilon: Decimal, delta: Decimal) -> None:
    rho = rho_within(epsilon, delta)
    assert Decimal(epsilon_of_rho(rho, delta)) <= epsilon
    if rho:
        assert Decimal(epsilon_of_rho(rho + rho // 10**9 + 2, delta)) > epsilon * (1 - Decimal("1e-9"))


def test_an_epsilon_too_small_to_buy_anything_buys_nothing() -> None:
    assert rho_within(Decimal("1e-12"), Decimal("1e-15")) == 0


@given(st.decimals(0, 1000, places=12))
def test_an_epsilon_is_shown_rounded_up_but_not_past_its_cap(epsilon: Decimal) -> None:
    assert epsilon <= shown(epsilon) < epsilon + Decimal("0.0001")
    assert shown(epsilon, at_most=epsilon) == epsilon
