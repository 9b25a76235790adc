"""What stands out for a segment, and how likely it is real and not noise. Pure arithmetic on released numbers.

Each feature is compared over all segments. Counts and sums are taken by one of the people in the segment (the view's
`per`), averages and shares as they are. Of segment i, y_i is seen: the true value theta_i and noise of a known standard
deviation s_i, which the release tells. The model is normal-normal, with known noise variances:

    y_i = theta_i + e_i,  e_i ~ N(0, s_i^2),  theta_i ~ N(mu, tau^2)

mu ("everybody") and tau^2 (how much segments truly differ) are found from the y_i: tau^2 by Paule and Mandel's
estimating equation, sum (y_i - mu)^2 / (s_i^2 + tau^2) = n - 1, and 0 where no tau^2 solves it, which is where noise
alone explains what is seen; mu by weights 1 / (s_i^2 + tau^2). Given the y_i, theta_i - mu is normal with

    mean  b_i (y_i - mu),  b_i = tau^2 / (tau^2 + s_i^2)
    var   tau^2 (1 - b_i) + (1 - b_i)^2 v,  v = 1 / sum 1 / (s_i^2 + tau^2)

where v stands for mu being estimated. So a value is shrunk towards everybody's the more, the noisier it is, and the
probability that it is truly above or below is the normal one of that mean and variance. Nothing is returned where noise
alone may explain the differences: where Cochran's Q = sum (y_i - mu)^2 / s_i^2 (mu by weights 1 / s_i^2) is not above
the 95 % quantile of chi-squared with n - 1 degrees. So where segments do not differ at all, something is said at most
one time in twenty.

Sources: Cochran 1954; Wilson and Hilferty 1931 (the quantile); Paule and Mandel 1982; Morris 1983 (empirical Bayes with
known variances); Fay and Herriot 1979 (small areas). The normal tail stands for discrete Gaussian noise; for Laplace
noise, whose tails are heavier, the standard deviation is taken from the interval all the same, which errs to fewer
signals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

Segment = Mapping[str, Any] | str | int | float | bool | None
"""A value for each key, by their names; or the value of the only one."""
PROBABILITY = 0.9
"""How likely a signal must be real to be returned."""
Z95 = NormalDist().inv_cdf(0.975)
_STEPS = 200
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Seen:
    """A noisy value and the standard deviation of its noise, > 0."""

    value: float
    deviation: float


@dataclass(frozen=True)
class Shrunk:
    """What is known of one segment beside everybody: its value shrunk, and the probability that it is truly above."""

    value: float
    above: float


@dataclass(frozen=True)
class Signal:
    """One thing that stands out for a segment.

    Attributes:
      feature: its name.
      value: the segment's value, shrunk; by person where `per` is not empty.
      everybody: what it is for everybody.
      lift: value over everybody; None where everybody's is not above zero.
      share: of a count or sum, the segment's share of all segments' that are not withheld, from the noisy numbers;
        None for others.
      probability: that it truly lies on that side of everybody, given the noise; from 0.5 to 1.
    """

    feature: str
    value: float
    everybody: float
    lift: float | None
    share: float | None
    probability: float
    per: str


def shrink(seen: Sequence[Seen]) -> tuple[float, list[Shrunk]] | None:
    """Everybody's value, and each segment's beside it; None where noise alone explains the differences.

    Args:
      seen: at least three, or nothing is said.
    """
    if len(seen) < 3 or _excess(seen, 0.0) + len(seen) - 1 <= _chi_squared_95(len(seen) - 1):
        return None
    spread = between_variance(seen)
    weights = [1 / (item.deviation**2 + spread) for item in seen]
    middle = _mean(seen, weights)
    uncertain = 1 / sum(weights)
    found = []
    for item in seen:
        kept = spread / (spread + item.deviation**2)
        mean = kept * (item.value - middle)
        variance = spread * (1 - kept) + (1 - kept) ** 2 * uncertain
        found.append(Shrunk(middle + mean, _NORMAL.cdf(mean / math.sqrt(variance))))
    return middle, found


def between_variance(seen: Sequence[Seen]) -> float:
    """tau^2 by Paule and Mandel, 0 if noise explains every difference; in the values' unit squared."""
    if _excess(seen, 0.0) <= 0:
        return 0.0
    low, high = 0.0, max((item.value - seen[0].value) ** 2 for item in seen) + 1e-300
    while _excess(seen, high) > 0:
        high *= 2
    for _ in range(_STEPS):  # the left side falls as tau^2 grows
        middle = (low + high) / 2
        low, high = (middle, high) if _excess(seen, middle) > 0 else (low, middle)
    return (low + high) / 2


def rank(view: Mapping[str, Any], segment: Segment, *, probability: float = PROBABILITY) -> list[Signal]:
    """What stands out for a segment in a wide table, the surest first.

    Args:
      view: a wide table as the service's JSON.
      segment: a value for each of its keys, by their names; of a view with one key, that value alone will do.
      probability: how likely a signal must be real, from 0.5 to below 1.

    Raises:
      ValueError: there is no such segment, or `probability` is out of its range.
    """
    if not 0.5 <= probability < 1:
        raise ValueError("a probability is at least 0.5 and below 1")
    rows, keys = view["rows"], [key["name"] for key in view["keys"]]
    wanted = segment if isinstance(segment, Mapping) else dict.fromkeys(keys[:1], segment)
    place = next((n for n, row in enumerate(rows) if all(row.get(k) == v for k, v in wanted.items())), None)
    if place is None or set(wanted) != set(keys):
        raise ValueError(f"there is no such segment: give a value of the table for each key ({', '.join(keys)})")
    found = [signal for signal in _signals(view, rows, place) if signal.probability >= probability]
    return sorted(found, key=lambda signal: (-signal.probability, signal.feature))


def _signals(view: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], place: int) -> Iterator[Signal]:
    per = view.get("per")
    for feature, measure in view["measures"].items():
        if feature == per or measure.get("rank_error_95") is not None:
            continue  # what it is compared by; and a quantile's interval, which says nothing of noise in values
        counted = measure["mechanism"] != "derived"
        by = _people(view, per, measure) if counted else None
        if counted and by is None:
            continue  # how many people are behind a sum is not known, so that nothing can be said of one of them
        cells = [_seen(row[feature], row[by] if by else None) for row in rows]
        there = [n for n, cell in enumerate(cells) if cell is not None]
        shrunk = shrink([cell for cell in cells if cell is not None])
        if shrunk is None or place not in there:
            continue
        everybody, beside = shrunk
        own = beside[there.index(place)]
        yield Signal(
            feature=feature,
            value=own.value,
            everybody=everybody,
            lift=own.value / everybody if everybody > 0 else None,
            share=_share(rows, feature, place) if counted else None,
            probability=max(own.above, 1 - own.above),
            per=by or "",
        )


def _people(view: Mapping[str, Any], per: str | None, measure: Mapping[str, Any]) -> str | None:
    """The feature that counts people beside this one: of the same block, if that is counted by block."""
    if per is None:
        return None
    of_blocks = {m.get("block"): name for name, m in view["measures"].items() if name.rpartition("_")[0] == per}
    return per if per in view["measures"] else of_blocks.get(measure.get("block"))


def _seen(cell: Mapping[str, Any], people: Mapping[str, Any] | None) -> Seen | None:
    """A segment's value and its noise, by person if people are given; None where noise leaves nothing to say.

    By person, noise of the sum and of the count are told apart to first order (the delta method), which holds where the
    count is well above its noise: below twice its half-width it is left out.
    """
    own = _with_noise(cell)
    if own is None or people is None:
        return own
    count = _with_noise(people)
    if count is None or count.value <= 2 * Z95 * count.deviation:
        return None
    ratio = own.value / count.value
    return Seen(ratio, math.hypot(own.deviation, ratio * count.deviation) / count.value)


def _with_noise(cell: Mapping[str, Any]) -> Seen | None:
    value, low, high = cell["value"], cell["low"], cell["high"]
    if value is None or low is None or high is None or high <= low:
        return None
    return Seen(float(value), (high / 2 - low / 2) / Z95)


def _share(rows: Sequence[Mapping[str, Any]], feature: str, place: int) -> float | None:
    """A segment's share of all that are told, within what a share can be; None where those are not above zero."""
    total = sum(row[feature]["value"] for row in rows if row[feature]["value"] is not None)
    return min(1.0, max(0.0, rows[place][feature]["value"] / total)) if total > 0 else None


def _chi_squared_95(degrees: int) -> float:
    """The 95 % quantile of chi-squared, to within 1 % from two degrees on."""
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + _NORMAL.inv_cdf(0.95) * math.sqrt(part)) ** 3)


def _mean(seen: Sequence[Seen], weights: Sequence[float]) -> float:
    return sum(w * item.value for w, item in zip(weights, seen, strict=True)) / sum(weights)


def _excess(seen: Sequence[Seen], spread: float) -> float:
    """Paule and Mandel's left side less its right one, for this tau^2."""
    weights = [1 / (item.deviation**2 + spread) for item in seen]
    middle = _mean(seen, weights)
    return sum(w * (item.value - middle) ** 2 for w, item in zip(weights, seen, strict=True)) - (len(seen) - 1)
