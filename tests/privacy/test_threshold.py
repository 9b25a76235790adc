"""The tail and the price of a threshold, against sums in 60 decimal digits; and what a release shows, enumerated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import pytest

from dpstats.privacy.loss import DELTA_STEPS
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity, price
from dpstats.privacy.threshold import delta_steps, tail, threshold

DIGITS = 60
SCALES = (0.0625, 0.3, 0.7071067811865476, 1.0, 2.0, 7.25, 31.6227766, 99.9, 100.0, 100.1, 353.55339)
FAR = 12  # standard deviations, past any delta in use


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with localcontext() as context:
        context.prec = DIGITS
        yield


def units(scale: float, max_groups: int = 1) -> Mechanism:
    """Noise on counts of units."""
    return Mechanism(Noise.GAUSSIAN, scale, Sensitivity(1, max_groups))


def weights_from(scale: float, start: int) -> Iterator[Decimal]:
    """exp(-k^2 / 2 sigma^2) for k = start, start + 1, ...: each from the one before by an exact recurrence."""
    twice = 2 * Decimal(scale) ** 2  # exact: the very double that OpenDP is given
    weight = (-(Decimal(start) ** 2) / twice).exp()
    ratio, step = (-(2 * Decimal(start) + 1) / twice).exp(), (-2 / twice).exp()
    while True:
        yield weight
        weight, ratio = weight * ratio, ratio * step


def summed(weights: Iterator[Decimal]) -> Decimal:
    """The sum, until a term adds nothing to 50 digits."""
    total = Decimal(0)
    for weight in weights:
        total += weight
        if weight < total * Decimal("1e-50"):
            return total
    raise AssertionError("weights never end")


@lru_cache(maxsize=64)
def whole(scale: float) -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS
        return 2 * summed(weights_from(scale, 0)) - 1


def mass(scale: float, k: int) -> Decimal:
    """P(noise = k)."""
    return next(weights_from(scale, abs(k))) / whole(scale)


def exact_tail(scale: float, at_least: int) -> Decimal:
    """P(noise >= at_least), at_least >= 0."""
    return summed(weights_from(scale, at_least)) / whole(scale)


def decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def places(scale: float) -> list[int]:
    """Where a tail is looked at: at the centre, near it and far out."""
    return sorted({max(1, int(scale * sds)) + near for sds in (0, 0.5, 1, 2, 4, 6, 9, FAR) for near in (0, 1)})


@pytest.mark.parametrize("scale", SCALES)
def test_a_tail_is_never_below_the_exact_sum_and_close_to_it(scale: float) -> None:
    for at_least in places(scale):
        ours, exact = decimal(tail(units(scale), at_least)), exact_tail(scale, at_least)
        if exact < Decimal("1e-300"):
            continue  # past the doubles: `delta_steps` rounds it up to a step
        assert ours >= exact, at_least
        close = Decimal("1.001") if at_least - 0.5 >= scale or scale < 100 else Decimal("1.02")
        assert ours <= exact * close, at_least


@pytest.mark.parametrize("scale", SCALES)
def test_a_tail_holds_the_mass_at_its_start(scale: float) -> None:
    for at_least in places(scale):
        strict = exact_tail(scale, at_least + 1)
        if strict > Decimal("1e-300"):
            assert decimal(tail(units(scale), at_least)) >= strict + mass(scale, at_least)


@pytest.mark.parametrize("scale", [*SCALES, 2.0**20, 2.0**56])
def test_a_tail_never_rises(scale: float) -> None:
    starts = sorted({0, -5, *(int(scale * i / 8) + near for i in range(8 * FAR) for near in (0, 1, 2))})
    tails = [tail(units(scale), at_least) for at_least in starts]
    assert all(earlier >= later for earlier, later in itertools.pairwise(tails))
    assert tails[0] == 1


def test_a_tail_from_zero_or_below_is_certain() -> None:
    assert tail(units(3.0), 0) == tail(units(3.0), -7) == 1


def test_the_continuous_bound_holds_on_both_sides_of_its_inflection() -> None:
    for scale in (100.1, 150.0, 353.55339):
        for at_least in range(int(scale) - 2, int(scale) + 4):
            assert decimal(tail(units(scale), at_least)) >= exact_tail(scale, at_least)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("max_groups", [1, 7, 1000])
def test_the_price_of_a_threshold_is_the_exact_tail_rounded_up_to_a_step(scale: float, max_groups: int) -> None:
    for at in (2, 3, *(int(scale * sds) + 2 for sds in (1, 3, 5, 8))):
        steps = delta_steps(units(scale, max_groups), max_groups, at)
        exact = max_groups * exact_tail(scale, at - 1) * DELTA_STEPS
        assert steps >= exact
        assert steps <= exact * Decimal("1.02") + 1


def test_no_threshold_is_free() -> None:
    assert delta_steps(units(0.0625), 1, 20) == 1
    assert delta_steps(units(2.0), 1, 10**9) == 1


@pytest.mark.parametrize("scale", [0.3, 2.0, 31.6227766, 353.55339, 1e9])
@pytest.mark.parametrize("delta", [Fraction(1, 10**15), Fraction(1, 10**7), Fraction(1, 3)])
@pytest.mark.parametrize("max_groups", [1, 20])
def test_a_threshold_is_the_least_that_its_delta_pays_for(scale: float, delta: Fraction, max_groups: int) -> None:
    at = threshold(units(scale, max_groups), max_groups, delta, 1)
    assert max_groups * tail(units(scale), at - 1) <= delta
    assert max_groups * tail(units(scale), at - 2) > delta


def test_a_floor_raises_a_threshold_and_never_lowers_it() -> None:
    plain = threshold(units(5.0), 4, Fraction(1, 10**9), 1)
    assert threshold(units(5.0), 4, Fraction(1, 10**9), plain + 13) == plain + 13
    assert threshold(units(5.0), 4, Fraction(1, 10**9), plain - 1) == plain


def test_keys_are_found_under_gaussian_noise_only() -> None:
    with pytest.raises(ValueError, match="Gaussian"):
        tail(Mechanism(Noise.LAPLACE, 2.0, Sensitivity(1, 1)), 5)


# -- a release on a tiny domain, enumerated ----------------------------------------------------------------------


def seen(scale: float, alone_in: int, at: int) -> Decimal:
    """The chance that any of the groups that one unit is alone in is released: each if 1 + noise >= at."""
    return 1 - (1 - exact_tail(scale, at - 1)) ** alone_in


@pytest.mark.parametrize("scale", [0.7071067811865476, 2.0, 31.6227766, 353.55339])
@pytest.mark.parametrize("max_groups", [1, 2, 5, 40])
def test_a_unit_alone_in_its_groups_is_seen_with_at_most_the_delta_charged(scale: float, max_groups: int) -> None:
    for delta in (Fraction(1, 10**12), Fraction(1, 10**6), Fraction(1, 20)):
        at = threshold(units(scale, max_groups), max_groups, delta, 1)
        charged = Decimal(delta_steps(units(scale, max_groups), max_groups, at)) / DELTA_STEPS
        assert charged <= decimal(delta) + Decimal(1) / DELTA_STEPS
        for alone_in in range(1, max_groups + 1):
            assert seen(scale, alone_in, at) <= charged


@pytest.mark.parametrize("max_groups", [1, 5])
def test_the_strict_tail_would_be_too_cheap(max_groups: int) -> None:
    """What libraries got wrong (opendp issue 2922): a count equal to the threshold is released, so it must be paid."""
    for scale, at in ((1.0, 6), (2.0, 12)):
        strict = max_groups * exact_tail(scale, at)
        assert seen(scale, max_groups, at) > strict * Decimal("1.5")
    assert exact_tail(2.0, 11) > Decimal("1.9e-8")  # 1 + noise >= 12, and what OpenDP's map says of it


@pytest.mark.parametrize("order", [2, 8, 64])
def test_a_count_that_others_share_costs_no_more_than_its_price_once_it_is_cut_at_the_threshold(order: int) -> None:
    """Renyi divergence between what is released for n and for n + 1 units: "nothing", or the noisy count."""
    scale, at = 1.5, 7
    rho = Decimal(price(units(scale)).amount) / 10**12
    for n in (1, 2, 6, 20):
        for one, other in ((n, n + 1), (n + 1, n)):
            assert renyi(outcomes(scale, one, at), outcomes(scale, other, at), order) <= rho * order


def outcomes(scale: float, n: int, at: int, reach: int = 120) -> list[Decimal]:
    """P(nothing is released), then P(the noisy count = k) for k = at ... reach."""
    shown = [mass(scale, k - n) for k in range(at, reach)]
    return [1 - sum(shown, exact_tail(scale, reach - n)), *shown]


def renyi(p: list[Decimal], q: list[Decimal], order: int) -> Decimal:
    return sum(((a / b) ** order * b for a, b in zip(p, q, strict=True)), Decimal(0)).ln() / (order - 1)
