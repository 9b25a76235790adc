"""Intervals of arithmetic between draws: their coverage, summed exactly over the discrete noise; and nothing breaks
them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.plan.arithmetic import (
    Average,
    Binary,
    Constant,
    Drawn,
    Expression,
    Linear,
    NullIfZero,
    Other,
    Ratio,
    shape_of,
)
from dpstats.plan.estimating import Estimate, Estimator, half_width_of
from dpstats.privacy.accuracy import Term, half_width
from dpstats.privacy.mechanism import ADDED, Noise

A, B, C = Drawn(0), Drawn(1), Drawn(2)
RATIO = Binary("/", A, B)
MEAN = Average(0, 1, 50.0, 0.0, 100.0)


def terms(noise: Noise, *scales: float, step: float = 1.0) -> dict[int, Term]:
    return {i: Term(noise, scale, step, 1.0) for i, scale in enumerate(scales)}


def masses(noise: Noise, scale: float) -> list[tuple[int, float]]:
    """The noise of one draw: its values and their probabilities, but for a millionth."""
    reach = math.ceil((5 if noise is Noise.GAUSSIAN else 14) * scale) + 1
    k = np.arange(-reach, reach + 1)
    weights = np.exp(-(k**2) / (2 * scale**2)) if noise is Noise.GAUSSIAN else np.exp(-abs(k) / scale)
    return list(zip(k.tolist(), (weights / weights.sum()).tolist(), strict=True))


def missed(
    expression: Expression, noise: Noise, truth: tuple[float, float], scales: tuple[float, float]
) -> tuple[float, float]:
    """The probabilities that the interval of two draws misses the true value, and that it says nothing."""
    estimator = Estimator(expression, terms(noise, *scales))
    true = Estimator(expression, terms(noise, 1.0, 1.0)).estimate({0: truth[0] * 1e9, 1: truth[1] * 1e9}).value
    if isinstance(shape_of(expression), Linear | Other):
        true = _value(expression, truth)
    assert true is not None
    total, silent = 0.0, 0.0
    for i, p in masses(noise, scales[0]):
        for j, q in masses(noise, scales[1]):
            found = estimator.estimate({0: truth[0] + i, 1: truth[1] + j})
            if found.low is None or found.high is None:
                silent += p * q
            elif not found.low <= true <= found.high:
                total += p * q
    return total, silent


def _value(expression: Expression, truth: tuple[float, float]) -> float:
    match expression:
        case Constant(value):
            return value
        case Drawn(index):
            return truth[index]
        case Binary(op, left, right):
            a, b = _value(left, truth), _value(right, truth)
            return {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else math.nan}[op]
    raise AssertionError(expression)


@pytest.mark.parametrize(
    ("noise", "truth", "scales"),
    [
        (Noise.GAUSSIAN, (-600.0, 90.0), (12.0, 12.0)),
        (Noise.GAUSSIAN, (40.0, 400.0), (14.0, 10.0)),
        (Noise.LAPLACE, (300.0, 200.0), (2.0, 2.0)),
        (Noise.LAPLACE, (-90.0, 150.0), (1.0, 3.0)),
    ],
)
def test_the_interval_of_a_mean_holds_95_percent_and_not_much_more(
    noise: Noise, truth: tuple[float, float], scales: tuple[float, float]
) -> None:
    outside, silent = missed(MEAN, noise, truth, scales)
    assert outside <= 0.0501
    assert silent == 0
    if noise is Noise.GAUSSIAN:
        assert outside >= 0.035


@pytest.mark.parametrize(
    ("noise", "truth", "scales"),
    [
        (Noise.GAUSSIAN, (0.0, 1.0), (3.0, 2.0)),
        (Noise.GAUSSIAN, (10.0, 0.0), (1.0, 1.0)),
        (Noise.GAUSSIAN, (7.0, 12.0), (4.0, 4.0)),
        (Noise.GAUSSIAN, (2.0, 3.0), (0.4, 0.4)),
        (Noise.LAPLACE, (3.0, 9.0), (2.0, 2.0)),
    ],
)
@pytest.mark.parametrize("expression", [MEAN, RATIO])
def test_intervals_hold_however_few_are_counted(
    expression: Expression, noise: Noise, truth: tuple[float, float], scales: tuple[float, float]
) -> None:
    if truth[1] == 0:
        return  # a ratio to nothing has no true value
    assert missed(expression, noise, truth, scales)[0] <= 0.0501


@pytest.mark.parametrize("noise", ADDED.values())
@pytest.mark.parametrize(
    "expression",
    [
        Binary("*", A, B),
        Binary("-", Binary("*", A, A), B),
        Binary("/", A, Binary("*", B, B)),
        Binary("+", RATIO, B),
        Binary("-", A, Binary("*", Constant(3.0), B)),
    ],
)
def test_intervals_of_anything_else_hold_at_least_95_percent(noise: Noise, expression: Expression) -> None:
    assert missed(expression, noise, (60.0, 40.0), (3.0, 2.0))[0] <= 0.0501


def test_what_cancels_is_no_denominator() -> None:
    nothing = Binary("-", A, A)
    assert shape_of(nothing) == Linear(0.0, ())
    found = Estimator(Binary("/", B, nothing), terms(Noise.GAUSSIAN, 5.0, 5.0)).estimate({0: 3.0, 1: 4.0})
    assert found == Estimate(None, None, None)


def test_a_linear_measure_has_one_half_width_and_a_ratio_has_none() -> None:
    noise = terms(Noise.GAUSSIAN, 10.0, 20.0, step=0.5)
    per_cent = Binary("/", Binary("*", Constant(100.0), Binary("-", A, B)), Constant(4.0))
    assert half_width_of(per_cent, noise) == pytest.approx(
        half_width([Term(Noise.GAUSSIAN, 10.0, 0.5, 25.0), Term(Noise.GAUSSIAN, 20.0, 0.5, -25.0)])
    )
    assert half_width_of(RATIO, noise) is None


@pytest.mark.parametrize(
    ("expression", "shape"),
    [
        (Binary("+", A, Constant(2.0)), Linear(2.0, ((0, 1.0),))),
        (Binary("-", Constant(0.0), A), Linear(0.0, ((0, -1.0),))),
        (Binary("/", A, Constant(4.0)), Linear(0.0, ((0, 0.25),))),
        (NullIfZero(A), Linear(0.0, ((0, 1.0),))),
        (Binary("/", A, NullIfZero(B)), Ratio(0.0, Linear(0.0, ((0, 1.0),)), Linear(0.0, ((1, 1.0),)))),
        (
            Binary("-", Constant(1.0), MEAN),
            Ratio(-49.0, Linear(0.0, ((0, -1.0),)), Linear(0.0, ((1, 1.0),)), -99.0, 1.0),
        ),
        (
            Binary("*", MEAN, Constant(-2.0)),
            Ratio(-100.0, Linear(0.0, ((0, -2.0),)), Linear(0.0, ((1, 1.0),)), -200.0, 0.0),
        ),
        (Binary("/", A, Constant(0.0)), Other(Binary("/", A, Constant(0.0)))),
        (Binary("*", A, Constant(1e308 * 0 + 1e308)), Linear(0.0, ((0, 1e308),))),
    ],
)
def test_shapes(expression: Expression, shape: object) -> None:
    assert shape_of(expression) == shape


@pytest.mark.parametrize("noise", ADDED.values())
def test_a_mean_of_nobody_says_what_was_known_before(noise: Noise) -> None:
    found = Estimator(MEAN, terms(noise, 100.0, 10.0)).estimate({0: 900.0, 1: -3.0})
    assert (found.low, found.high) == (0.0, 100.0)
    assert found.value is not None
    assert 0 <= found.value <= 100


def test_a_ratio_to_what_may_be_zero_has_no_interval() -> None:
    found = Estimator(RATIO, terms(Noise.GAUSSIAN, 10.0, 10.0)).estimate({0: 900.0, 1: 5.0})
    assert found == Estimate(180.0, None, None)


NUMBERS = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 5e-324, 1e-300, 1e308, -1e308, 1e154]), st.floats(-1e6, 1e6))
EXPRESSIONS = st.recursive(
    st.one_of(st.builds(Constant, NUMBERS), st.sampled_from([A, B, C, MEAN, Average(1, 2, -1e300, -1e308, 1e308)])),
    lambda inner: st.one_of(st.builds(Binary, st.sampled_from("+-*/"), inner, inner), st.builds(NullIfZero, inner)),
    max_leaves=8,
)
DRAWS = st.one_of(st.sampled_from([0.0, 1.0, 9.2e18, -9.2e18, 9.2e27]), st.floats(-1e9, 1e9))


@settings(max_examples=300, deadline=None)
@given(
    EXPRESSIONS,
    st.tuples(DRAWS, DRAWS, DRAWS),
    st.sampled_from(list(ADDED.values())),
    st.sampled_from([1e-300, 1.0, 1e290]),
)
def test_no_expression_and_no_noise_raises(
    expression: Expression, drawn: tuple[float, float, float], noise: Noise, step: float
) -> None:
    mechanisms: Mapping[int, Term] = terms(noise, 0.07, 33.0, 7.2e16, step=step)
    if not _used(expression):
        return
    found = Estimator(expression, mechanisms).estimate(dict(enumerate(drawn)))
    ends = [found.low, found.value, found.high]
    known = [end for end in ends if end is not None and math.isfinite(end)]
    assert known == sorted(known)


def _used(expression: Expression) -> bool:
    match expression:
        case Constant():
            return False
        case Binary(_, left, right):
            return _used(left) or _used(right)
        case NullIfZero(operand):
            return _used(operand)
    return True
