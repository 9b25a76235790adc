"""Selections: the distribution that OpenDP draws from, and the loss claimed, against exact enumeration."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from dpstats.privacy.loss import AMOUNT_STEPS, Measure
from dpstats.privacy.mechanism import SELECTED, Mechanism, Noise, Sensitivity, calibrate, draw, price
from dpstats.privacy.selection import score_gap, select

ALPHAS = (1.001, 1.5, 2.0, 4.0, 16.0, 64.0)
Picks = Mapping[tuple[int, ...], float]
FALSE_ALARM = 1e-9


def exponential(scores: Sequence[int], scale: float, k: int) -> Picks:
    """The exponential mechanism, k times without repetition: the probability of each ordered pick."""
    return _peeled(scores, k, lambda left: _softmax([scores[i] / scale for i in left]))


def permute_and_flip(scores: Sequence[int], scale: float, k: int) -> Picks:
    """Permute-and-flip (McKenna and Sheldon 2020, Alg. 1), k times, by summing over all permutations."""
    return _peeled(scores, k, lambda left: _flipped([scores[i] for i in left], scale))


def _peeled(scores: Sequence[int], k: int, once) -> Picks:  # type: ignore[no-untyped-def]
    found: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(k):
        longer: dict[tuple[int, ...], float] = {}
        for pick, chance in found.items():
            left = [i for i in range(len(scores)) if i not in pick]
            for i, part in zip(left, once(left), strict=True):
                longer[(*pick, i)] = chance * part
        found = longer
    return found


def _softmax(values: Sequence[float]) -> list[float]:
    weights = [math.exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]


def _flipped(scores: Sequence[int], scale: float) -> list[float]:
    heads = [math.exp((score - max(scores)) / scale) for score in scores]
    chances = [0.0] * len(scores)
    orders = list(itertools.permutations(range(len(scores))))
    for order in orders:
        still = 1.0
        for i in order:
            chances[i] += still * heads[i] / len(orders)
            still *= 1 - heads[i]
    return chances


EXACT = {Noise.EXPONENTIAL: exponential, Noise.PERMUTE_AND_FLIP: permute_and_flip}


def divergence(a: Picks, b: Picks, alpha: float) -> float:
    """Renyi divergence of order alpha; max divergence for infinity."""
    if math.isinf(alpha):
        return max(math.log(a[pick] / b[pick]) for pick in a)
    return math.log(math.fsum(a[pick] ** alpha * b[pick] ** (1 - alpha) for pick in a)) / (alpha - 1)


def within_claim(mechanism: Mechanism, a: Picks, b: Picks) -> bool:
    """Whether two outcomes are as close as the price of the mechanism says, both ways round."""
    claimed = float(price(mechanism).amount_decimal)
    both = ((a, b), (b, a))
    if mechanism.noise.measure is Measure.PURE:
        return all(divergence(x, y, math.inf) <= claimed * (1 + 1e-12) for x, y in both)
    return all(divergence(x, y, alpha) <= claimed * alpha * (1 + 1e-12) for x, y in both for alpha in ALPHAS)


@pytest.mark.parametrize("noise", SELECTED.values())
@pytest.mark.parametrize("k", [1, 2])
def test_opendp_selects_with_the_exact_probabilities(noise: Noise, k: int) -> None:
    mechanism = Mechanism(noise, 2.0, Sensitivity(1, k))
    scores, runs = [0, 3, 1, 4], 20_000
    exact = EXACT[noise](scores, 2.0, k)
    seen = Counter(tuple(select(mechanism, scores, k)) for _ in range(runs))
    assert seen.keys() <= exact.keys()
    found = stats.chisquare([seen[pick] for pick in exact], [chance * runs for chance in exact.values()])
    assert found.pvalue > FALSE_ALARM


@pytest.mark.parametrize("noise", SELECTED.values())
@pytest.mark.parametrize("k", [1, 2, 3])
def test_no_change_within_the_range_costs_more_than_is_claimed(noise: Noise, k: int) -> None:
    """Every vector of four scores in 0..2, and every change whose entries lie in a span of `moved`."""
    for moved in (1, 2):
        mechanism = Mechanism(noise, 1.5, Sensitivity(moved, k))
        for scores in itertools.combinations_with_replacement(range(3), 4):
            exact = EXACT[noise](scores, 1.5, k)
            for change in itertools.product(range(moved + 1), repeat=4):
                other = EXACT[noise]([s + c for s, c in zip(scores, change, strict=True)], 1.5, k)
                assert within_claim(mechanism, exact, other), (scores, change)


@pytest.mark.parametrize("noise", SELECTED.values())
def test_the_claim_is_not_far_above_what_can_happen(noise: Noise) -> None:
    """A claim of two thirds would be refuted: the enumeration has teeth."""
    mechanism = Mechanism(noise, 1.0, Sensitivity(1, 1))
    dearer = Mechanism(noise, 1.0 if noise is Noise.PERMUTE_AND_FLIP else math.sqrt(1.5), Sensitivity(1, 1))
    scores, other = [0, 8] if noise is Noise.PERMUTE_AND_FLIP else [0, 0], [1, 8]
    if noise is Noise.EXPONENTIAL:
        scores, other = [0, 0], [1, 0]
        assert within_claim(mechanism, exponential(scores, 1.0, 1), exponential(other, 1.0, 1))
        assert not within_claim(dearer, exponential(scores, 1.0, 1), exponential(other, 1.0, 1))
        return
    a, b = permute_and_flip(scores, 1.0, 1), permute_and_flip(other, 1.0, 1)
    assert within_claim(mechanism, a, b)
    assert divergence(b, a, math.inf) > 0.99


@pytest.mark.parametrize("noise", SELECTED.values())
@pytest.mark.parametrize("amount", [10**6, AMOUNT_STEPS // 100, AMOUNT_STEPS, 7 * AMOUNT_STEPS])
@pytest.mark.parametrize("sensitivity", [Sensitivity(1000, 1), Sensitivity(40, 5), Sensitivity(10_000, 50)])
def test_a_selection_costs_no_more_than_it_may_and_nearly_that(
    noise: Noise, amount: int, sensitivity: Sensitivity
) -> None:
    spent = price(calibrate(noise, sensitivity, amount)).amount
    assert amount * (1 - 1e-9) - 1 <= spent <= amount


def test_prices_of_selections_are_the_formulas_of_the_field() -> None:
    chosen = price(Mechanism(Noise.EXPONENTIAL, 3.0, Sensitivity(6, 4)))
    assert chosen.amount_decimal == 2 * 2 / 8 * 4  # epsilon = range / scale = 2, four times epsilon^2 / 8
    flipped = price(Mechanism(Noise.PERMUTE_AND_FLIP, 3.0, Sensitivity(6, 4)))
    assert flipped.amount_decimal == 8


@pytest.mark.parametrize("noise", SELECTED.values())
def test_a_selected_score_is_near_the_best_as_often_as_is_said(noise: Noise) -> None:
    mechanism, alpha = Mechanism(noise, 4.0, Sensitivity(1, 1)), 0.05
    scores = [-abs(40 - i) for i in range(81)]
    gap = score_gap(mechanism, len(scores), alpha)
    runs = 2_000
    far = sum(scores[select(mechanism, scores)[0]] < -gap for _ in range(runs))
    assert stats.binom.sf(far - 1, runs, alpha) > FALSE_ALARM


def test_selecting_takes_scores_of_any_size_and_ties() -> None:
    for noise in SELECTED.values():
        mechanism = Mechanism(noise, 2.0, Sensitivity(1, 1))
        assert select(mechanism, [-(10**30), 10**30, 0]) == [1]
        assert sorted(select(mechanism, [5, 5, 5], 3)) == [0, 1, 2]


def test_what_is_no_selection_is_refused() -> None:
    adds, selects = (
        Mechanism(Noise.GAUSSIAN, 2.0, Sensitivity(1, 1)),
        Mechanism(Noise.EXPONENTIAL, 2.0, Sensitivity(1, 1)),
    )
    with pytest.raises(ValueError, match="added"):
        select(adds, [1, 2])
    with pytest.raises(ValueError, match="selection"):
        draw(selects, [1, 2])
    for scores, k in (([], 1), ([1], 2), ([1, 2], 0)):
        with pytest.raises(ValueError, match="candidates"):
            select(selects, scores, k)


def test_permute_and_flip_is_never_worse_than_the_exponential_mechanism() -> None:
    """What `score_gap` takes from McKenna and Sheldon: at one scale, every score level is reached at least as often."""
    for scores in itertools.combinations_with_replacement(range(5), 4):
        flipped, plain = permute_and_flip(scores, 1.5, 1), exponential(scores, 1.5, 1)
        for level in range(5):
            below = [pick for pick in plain if scores[pick[0]] < level]
            assert sum(flipped[p] for p in below) <= sum(plain[p] for p in below) + 1e-12
    assert np.isfinite(score_gap(Mechanism(Noise.PERMUTE_AND_FLIP, 1.5, Sensitivity(1, 1)), 4, 0.05))
