"""The audit of any query: fresh releases on synthetic data with one unit and without it, each of them one run.

The adversary first learns what the unit does to the answer, from releases at a high price on the same data, and fixes
its test. Then the runs are made, at the price that is audited; only they count. So the test needs no exact answer, and
a canary that was guessed badly makes the bound lower, never wrong. The coins are drawn first; because releases are
independent of each other, all runs with the unit may then come before all runs without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from dpstats.audit.attack import Attack, Feature, Tally, coins
from dpstats.audit.bench import Bench, Tables, bench
from dpstats.audit.claims import Claim
from dpstats.audit.findings import EpsilonFinding
from dpstats.audit.made import Made, Scene
from dpstats.audit.subject import AUDITED, LEARNED, Subject

CANARIES, FIRST_LOOKS, LOOKS = 12, 6, 64
"""Canaries tried, at most, and the releases that the adversary learns from: of each, and at most of the chosen one."""
_CLEAR = 2.5
"""A number is looked at if it seems to move by so many standard errors."""

Progress = Callable[[str, float], None]
Place = tuple[tuple[object, ...], str]
"""A group's key values, and a measure."""
Answer = Mapping[Place, float]


@dataclass(frozen=True)
class Learned:
    """What some releases at the high price showed: mean and spread by place, and the noise that each measure states."""

    mean: Answer
    spread: Answer
    scales: Mapping[str, float | None]
    looks: int

    def noise(self, place: Place) -> float:
        """The scale of the noise at a place; for a function of several draws, as it was seen."""
        return self.scales[place[1]] or self.spread.get(place, 0.0)

    @property
    def places(self) -> tuple[Place, ...]:
        """Where there is something to see: the numbers with noise of their own, or all if there are none."""
        own = any(self.scales.values())
        return tuple(place for place in self.mean if not own or self.scales[place[1]])


@dataclass(frozen=True)
class Target:
    """What the adversary looks at, and its test."""

    places: tuple[Place, ...]
    attack: Attack

    def guess(self, answer: Answer) -> bool | None:
        """See `Attack.guess`; a group that is absent counts as 0."""
        return self.attack.guess([answer.get(place, 0.0) for place in self.places])


def audit_query(subject: Subject, runs: int, progress: Progress) -> EpsilonFinding:
    """How well the best canary found can be told, from releases of the query.

    Args:
      runs: runs a side on average, >= 1.
      progress: told what is done, and how much of it.
    """
    with bench(subject.dataset_text, subject.queries) as at:
        made, looks = Made(subject.dataset, subject.query), min(LOOKS, 10 + runs // 10)
        scene = _best_scene(at, made, min(CANARIES, 1 + runs // 10), progress)
        base, moved = (_seen(at, tables, looks) for tables in (scene.without, scene.with_canary))
        first = at.ask(AUDITED)
        claim = at.claim(first)
        target = _target(base, moved, _scales(first), claim)
        tally = _tally(at, target, scene, runs, progress)
    return EpsilonFinding(subject.query.query, claim, tally, tight=False)


def _best_scene(at: Bench, made: Made, canaries: int, progress: Progress) -> Scene:
    """Of several canaries the one whose effect, over the noise, is largest as far as a few releases tell."""
    best, most = made.scene(widest=True), -math.inf
    for tried in range(canaries):
        progress("looking for the unit that moves the answer most", tried / canaries)
        scene = made.scene() if tried else best
        base, moved = (_seen(at, tables, FIRST_LOOKS) for tables in (scene.without, scene.with_canary))
        size = _size(base, moved)
        if size > most:
            best, most = scene, size
    return best


def _size(base: Learned, moved: Learned) -> float:
    """The sum of squared effects over the noise, estimated without bias: what the noise adds is taken off."""
    added = 1 / base.looks + 1 / moved.looks
    squares = [((high - low) / noise) ** 2 - added for _, low, high, noise in _differences(base, moved)]
    return sum(squares)


def _tally(at: Bench, target: Target, scene: Scene, runs: int, progress: Progress) -> Tally:
    tally, inside = Tally(), sum(coins(2 * runs))
    for canary, data, count in ((True, scene.with_canary, inside), (False, scene.without, 2 * runs - inside)):
        at.load(data)
        for _ in range(count):
            progress("releases with the unit and without it", (tally.runs_in + tally.runs_out) / (2 * runs))
            tally = tally.with_run(target.guess(_answer(at.ask(AUDITED))), canary=canary)
    return tally


def _target(base: Learned, moved: Learned, scales: Mapping[str, float | None], claim: Claim) -> Target:
    """The test on every number that the canary seems to move, for the noise of the price that is audited."""
    grids = {noise.draw: float(noise.grid) for noise in claim.draws}
    error = _CLEAR * (1 / base.looks + 1 / moved.looks) ** 0.5
    found: dict[Place, Feature] = {}
    for place, *ends, noise in _differences(base, moved):
        if abs(ends[1] - ends[0]) > error * noise:
            grid = grids.get(place[1]) if scales[place[1]] else None
            low, high = (round(end / grid) * grid for end in ends) if grid else ends
            found[place] = Feature(low, high, scales[place[1]] or noise)
    return Target(tuple(found), Attack(tuple(found.values()), laplace=claim.pure))


def _differences(base: Learned, moved: Learned) -> Iterator[tuple[Place, float, float, float]]:
    """Each place with its mean without the canary and with it, and the noise of one look."""
    for place in dict.fromkeys((*base.places, *moved.places)):
        noise = max(base.noise(place), moved.noise(place))
        if noise:
            yield place, base.mean.get(place, 0.0), moved.mean.get(place, 0.0), noise


def _seen(at: Bench, tables: Tables, looks: int) -> Learned:
    at.load(tables)
    releases = [at.ask(LEARNED) for _ in range(looks)]
    answers = [_answer(release) for release in releases]
    places = dict.fromkeys(place for answer in answers for place in answer)
    values = {place: [answer.get(place, 0.0) for answer in answers] for place in places}
    mean = {place: fmean(seen) for place, seen in values.items()}
    return Learned(mean, {place: pstdev(seen) for place, seen in values.items()}, _scales(releases[0]), looks)


def _scales(release: Mapping[str, Any]) -> dict[str, float | None]:
    """The noise that was added to each measure; None for what was selected, or made of several draws."""
    return {
        name: measure["scale"] if measure["mechanism"].startswith("discrete_") else None
        for name, measure in release["measures"].items()
    }


def _answer(release: Mapping[str, Any]) -> Answer:
    keys = [key["name"] for key in release["keys"]]
    return {
        (tuple(row[key] for key in keys), measure): float(row[measure]["value"] or 0)
        for row in release["rows"]
        for measure in release["measures"]
    }
