"""Losses are exact integers: they add up without a rest, spending rounds up and what may be spent rounds down."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.privacy.loss import (
    AMOUNT_STEPS,
    DELTA_STEPS,
    Loss,
    Measure,
    amount_down,
    amount_up,
    delta_down,
    no_loss,
)

AMOUNTS = st.integers(0, 10**18)
ZCDP_LOSSES = st.builds(Loss, st.just(Measure.ZCDP), AMOUNTS, st.integers(0, DELTA_STEPS))
VALUES = st.one_of(
    st.floats(0, 1e6),
    st.decimals(0, 10**6, allow_nan=False),
    st.fractions(0, 10**6),
)


@given(ZCDP_LOSSES, ZCDP_LOSSES, ZCDP_LOSSES)
def test_losses_add_up_in_any_order(a: Loss, b: Loss, c: Loss) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + no_loss(Measure.ZCDP) == a


@given(ZCDP_LOSSES, st.integers(1, 1000))
def test_a_loss_composed_n_times_is_n_times_the_loss(loss: Loss, n: int) -> None:
    assert sum([loss] * n, start=no_loss(Measure.ZCDP)) == Loss(Measure.ZCDP, n * loss.amount, n * loss.delta)


def test_ten_tenths_are_one() -> None:
    tenth = Loss(Measure.ZCDP, amount_up(Decimal("0.1")))
    assert sum([tenth] * 10, start=no_loss(Measure.ZCDP)).amount == AMOUNT_STEPS


def test_a_subnormal_spend_is_never_lost() -> None:
    assert amount_up(5e-324) == 1
    assert amount_up(Decimal("1e-400")) == 1


@given(VALUES)
def test_spending_rounds_up_and_what_may_be_spent_rounds_down(value: float | Decimal | Fraction) -> None:
    exact = Fraction(value) * AMOUNT_STEPS
    assert amount_down(value) <= exact <= amount_up(value) <= amount_down(value) + 1
    assert (
        0
        <= Fraction(value if not isinstance(value, float) else Fraction(value)) * DELTA_STEPS
        - delta_down(Fraction(value))
        < 1
    )


@given(st.integers(0, 10**15))
def test_whole_steps_are_exact_both_ways(steps: int) -> None:
    assert amount_up(Decimal(steps) / AMOUNT_STEPS) == steps == amount_down(Decimal(steps) / AMOUNT_STEPS)
    loss = Loss(Measure.ZCDP, steps, steps)
    assert amount_up(loss.amount_decimal) == steps
    assert delta_down(loss.delta_decimal) == steps


@given(ZCDP_LOSSES, ZCDP_LOSSES)
def test_a_loss_fits_if_what_is_left_covers_both_its_amount_and_its_delta(loss: Loss, left: Loss) -> None:
    assert loss.fits(left) == (loss.amount <= left.amount and loss.delta <= left.delta)
    assert loss.fits(loss + left)


def test_losses_of_two_measures_neither_add_up_nor_compare() -> None:
    rho, epsilon = no_loss(Measure.ZCDP), no_loss(Measure.PURE)
    with pytest.raises(ValueError, match="two measures"):
        _ = rho + epsilon
    with pytest.raises(ValueError, match="two measures"):
        rho.fits(epsilon)


@pytest.mark.parametrize(
    ("measure", "amount", "delta"), [(Measure.ZCDP, -1, 0), (Measure.ZCDP, 0, -1), (Measure.PURE, 1, 1)]
)
def test_a_loss_is_never_negative_and_a_pure_one_has_no_delta(measure: Measure, amount: int, delta: int) -> None:
    with pytest.raises(ValueError, match="loss"):
        Loss(measure, amount, delta)


def test_each_measure_names_its_amount() -> None:
    assert (Measure.ZCDP.unit, Measure.PURE.unit) == ("rho", "epsilon")
