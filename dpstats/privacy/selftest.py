"""What a service asks of its noise before it answers: the distribution, the price, the tail, the edges of 64 bits.

Each check looks at the primitive itself, against closed forms and exact sums written here. All of them together fail a
sound installation with a chance of at most 1e-9 (`FALSE_ALARM`); noise a fifth too small fails it almost surely.
A new primitive is one more line in `CHECKS`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial

from dpstats.privacy import conversion, mechanism, repricing, selection, threshold
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS
from dpstats.privacy.mechanism import ADDED, INT64_MAX, SCALE_MAX, SELECTED, Mechanism, Noise, Sensitivity

FALSE_ALARM = 1e-9
"""The chance that the self-test refuses a sound installation."""
DRAWS = 3000
"""Draws for each distribution that is looked at: some 0.1 s."""
SCALES = (0.8, 7.5)
SELECTIONS = 800
"""Selections that are looked at, each a call of its own."""
_ONE = Sensitivity(1, 1)
_CLOSE = 1e-9
_LOOKS = len(SCALES) * len(ADDED) + len(SELECTED) + len(ADDED)
"""How many samples are looked at, those of noise that is drawn ahead (`engine/selftest`) too: the false-alarm rate is
shared among them."""
Draw = Callable[[Mechanism, Sequence[int]], list[int]]


@dataclass(frozen=True)
class Check:
    """One thing that must hold; one that raises does not."""

    name: str
    holds: Callable[[], bool]

    def passes(self) -> bool:
        """Whether it holds."""
        try:
            return self.holds() is True
        except Exception:
            return False


# -- the noise -------------------------------------------------------------------------------------------------------


def has_its_distribution(noise: Noise) -> bool:
    """Whether draws of every scale look like the distribution that they are priced as."""
    return all(looks_like(noise, scale, mechanism.draw) for scale in SCALES)


def looks_like(noise: Noise, scale: float, draw: Draw) -> bool:
    """Whether what `draw` adds to `DRAWS` zeros looks like that noise.

    Compares how often X = k, X <= k and |X| <= k with their exact chances, all k within four scales.

    If an event of chance p comes true in a share s of n draws, P(KL(s || p) >= t) <= 2 exp(-n t), for each n, by
    Chernoff's bound; with t = log(2 m / alpha) / n the union over m events is at most alpha.
    """
    drawn = draw(Mechanism(noise, scale, _ONE), [0] * DRAWS)
    if len(drawn) != DRAWS or any(type(value) is not int for value in drawn):
        return False
    events = list(_events(noise, scale, drawn))
    return _is_likely(events, DRAWS)


def _is_likely(events: Sequence[tuple[float, float]], draws: int) -> bool:
    """Whether each event's share of so many draws is near its chance."""
    most = math.log(2 * len(events) * _LOOKS / FALSE_ALARM) / draws
    return all(_divergence(share, chance) <= most for share, chance in events)


def _events(noise: Noise, scale: float, drawn: Sequence[int]) -> Iterator[tuple[float, float]]:
    """For each event, the share of draws in which it came true, and its chance."""
    seen, chance = Counter(drawn), _masses(noise, scale)
    reach = math.ceil(4 * scale)
    for k in range(-reach, reach + 1):
        yield seen[k] / DRAWS, chance[k]
        yield _up_to(seen, k) / DRAWS, _up_to(chance, k)
        if k >= 0:
            yield _inside(seen, k) / DRAWS, _inside(chance, k)


def _masses(noise: Noise, scale: float) -> dict[int, float]:
    """P(X = k), from the definition, so far out that nothing that matters is left."""
    reach = math.ceil(45 * scale)
    weights = {k: math.exp(_exponent(noise, k / scale)) for k in range(-reach, reach + 1)}
    total = math.fsum(weights.values())
    return {k: weight / total for k, weight in weights.items()}


def _exponent(noise: Noise, scales: float) -> float:
    return -(scales**2) / 2 if noise is Noise.GAUSSIAN else -abs(scales)


def _up_to(weights: Mapping[int, float], k: int) -> float:
    return math.fsum(weight for value, weight in weights.items() if value <= k)


def _inside(weights: Mapping[int, float], k: int) -> float:
    return math.fsum(weight for value, weight in weights.items() if abs(value) <= k)


def _divergence(share: float, chance: float) -> float:
    """KL(share || chance) of two coins, in nats."""
    chance = min(max(chance, 1e-300), 1 - 1e-16)
    return _part(share, chance) + _part(1 - share, 1 - chance)


def _part(share: float, chance: float) -> float:
    return share * math.log(share / chance) if share > 0 else 0.0


def selects_by_its_distribution(noise: Noise) -> bool:
    """Whether selections among four scores fall as often on each as they are said to."""
    made, scores = Mechanism(noise, 2.0, _ONE), (0, -2, -4, -3)
    places = Counter(place for _ in range(SELECTIONS) for place in selection.select(made, scores))
    odds = [math.exp(score / made.scale) for score in scores]
    if noise is Noise.EXPONENTIAL:
        chances = [odd / math.fsum(odds) for odd in odds]
    else:
        chances = [_accepted(place, frozenset(range(len(odds))), odds) for place in range(len(odds))]
    events = [(places[place] / SELECTIONS, chance) for place, chance in enumerate(chances)]
    return places.total() == SELECTIONS and _is_likely(events, SELECTIONS)


def _accepted(place: int, left: frozenset[int], odds: Sequence[float]) -> float:
    """Permute-and-flip: one of those left, each as likely, is taken up, and accepted with its odds, or put away."""
    others = math.fsum((1 - odds[other]) * _accepted(place, left - {other}, odds) for other in left - {place})
    return (odds[place] + others) / len(left)


def is_drawn_anew() -> bool:
    """Whether two draws, and the two halves of one, differ: 64 entries are alike with a chance below 1e-60."""
    for noise in ADDED.values():
        wide = Mechanism(noise, 7.5, _ONE)
        one, other = mechanism.draw(wide, [0] * 128), mechanism.draw(wide, [0] * 128)
        if one == other or one[:64] == one[64:] or one[:64] == other[:64] or one[:64] == other[64:]:
            return False
    return True


def keeps_the_edges_of_64_bits() -> bool:
    """Whether numbers at and past 64 bits are saturated before noise, keep their order, and never raise."""
    exact = [2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30, -(10**30), 0]
    for noise in SELECTED.values():
        if exact[selection.select(Mechanism(noise, 1.0, _ONE), exact)[0]] < INT64_MAX:
            return False
    for noise in ADDED.values():
        near = mechanism.draw(Mechanism(noise, 1.0, _ONE), exact)
        expected = [INT64_MAX, -INT64_MAX] * 3 + [0]
        if any(abs(a - b) > 200 for a, b in zip(near, expected, strict=True)):  # by chance: below 1e-80
            return False
        wide = mechanism.draw(Mechanism(noise, SCALE_MAX, _ONE), exact)
        if len(wide) != len(exact) or any(not -(2**63) <= value < 2**63 for value in (*near, *wide)):
            return False
    return True


def refuses_no_noise() -> bool:
    """Whether a scale that would leave an answer all but exact is refused."""
    return all(_is_refused(noise, scale) for noise in Noise for scale in (0.0, 1e-300, -1.0, math.nan, math.inf))


def _is_refused(noise: Noise, scale: float) -> bool:
    try:
        Mechanism(noise, scale, _ONE)
    except ValueError:
        return True
    return False


# -- the price -------------------------------------------------------------------------------------------------------

_PRICED: tuple[tuple[Mechanism, float, Fraction, int], ...] = (
    (Mechanism(Noise.GAUSSIAN, 10.0, Sensitivity(3, 4)), 6.0, Fraction(36, 200), 1),
    (Mechanism(Noise.GAUSSIAN, 2.5, Sensitivity(3, 400, norm=5)), 5.0, Fraction(2), 1),
    (Mechanism(Noise.LAPLACE, 8.0, Sensitivity(3, 4)), 12.0, Fraction(12, 8), 1),
    (Mechanism(Noise.LAPLACE, 2.5, Sensitivity(3, 400, norm=5)), 5.0, Fraction(2), 1),
    (Mechanism(Noise.EXPONENTIAL, 8.0, Sensitivity(6, 4)), 6, Fraction(9, 128), 4),
    (Mechanism(Noise.PERMUTE_AND_FLIP, 8.0, Sensitivity(6, 4)), 6, Fraction(6, 8), 4),
)
"""A draw, how far one unit moves it in the norm that counts, what that costs, and how often it is paid: L2^2 / (2
sigma^2), L1 / b, and for each selection epsilon^2 / 8 and epsilon = range / s."""


def has_its_price() -> bool:
    """Whether OpenDP's map, and what is charged, are the closed forms or a hair more."""
    for made, distance, exact, times in _PRICED:
        mapped = Fraction(mechanism.measurement(made).map(distance))
        charged = Fraction(mechanism.price(made).amount, AMOUNT_STEPS) / times
        if not all(exact <= found <= exact * Fraction(1 + _CLOSE) for found in (mapped, charged)):
            return False
        again = mechanism.calibrate(made.noise, made.sensitivity, mechanism.price(made).amount)
        if not math.isclose(again.scale, made.scale, rel_tol=_CLOSE):
            return False
    return True


def converts_to_epsilon() -> bool:
    """Whether rho becomes the epsilon that Canonne, Kamath and Steinke 2020, Prop. 12 gives: 0.005 and 1, known."""
    known = ((AMOUNT_STEPS // 200, "5e-7", 0.4451975209), (AMOUNT_STEPS, "1e-5", 7.0771966958))
    found = [(conversion.epsilon_of_rho(rho, Decimal(delta)), epsilon) for rho, delta, epsilon in known]
    return all(epsilon <= ours <= epsilon * (1 + _CLOSE) for ours, epsilon in found)


def has_its_tail() -> bool:
    """Whether the chance to reach a threshold is the exact sum or a hair more, the mass at the threshold included."""
    for scale, at_least in ((2.0, 1), (2.0, 11), (7.25, 30), (31.5, 200)):
        found = threshold.tail(Mechanism(Noise.GAUSSIAN, scale, _ONE), at_least)
        exact = repricing.gaussian_tail(Fraction(scale), at_least)
        if not exact <= found <= exact * Fraction(1 + 1e-6):
            return False
    # P(noise >= 11) at sigma 2, summed by hand; without the mass at 11 itself it is 5.8e-9.
    paid = threshold.delta_steps(Mechanism(Noise.GAUSSIAN, 2.0, _ONE), 1, 12) / DELTA_STEPS
    return math.isclose(paid, 5.7024911e-8, rel_tol=1e-6)


CHECKS: tuple[Check, ...] = (
    *(Check(f"the distribution of {noise}", partial(has_its_distribution, noise)) for noise in ADDED.values()),
    *(
        Check(f"the distribution of {noise}", partial(selects_by_its_distribution, noise))
        for noise in SELECTED.values()
    ),
    Check("noise drawn anew each time", is_drawn_anew),
    Check("whole numbers at the edges of 64 bits", keeps_the_edges_of_64_bits),
    Check("no answer without noise", refuses_no_noise),
    Check("the price of noise", has_its_price),
    Check("rho as epsilon", converts_to_epsilon),
    Check("the tail at a threshold", has_its_tail),
)
