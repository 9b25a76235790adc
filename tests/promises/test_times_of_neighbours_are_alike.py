"""On the grid, the times of two neighbouring datasets cannot be told apart; without it they can.

One unit more makes the query slower, by a tenth of a second that the engine's port adds. Releases of the two datasets
are asked for in turns and their times compared by ranks, at a false-alarm rate of 1e-5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from desk import ME, Desk
from scipy.stats import mannwhitneyu
from test_a_stewards_word_counts_at_once import DATASET, QUERY, Running

from dpstats.engine.versions import Engines
from dpstats.errors import DpstatsError, Unavailable
from dpstats.grid import NO_GRID, Grid
from dpstats.release import Ask, Road

FALSE_ALARMS = 1e-5
PAIRS = 14
SLOWER_S, STEP_S = 0.1, 0.5


class Slow:
    """The engines of a desk, slower by so many seconds; they may fail in the end."""

    def __init__(self, engines: Engines, slower_s: float, *, failing: bool) -> None:
        self._engines, self._slower_s, self._failing = engines, slower_s, failing

    @contextmanager
    def using(self, dataset: str, version_file: str, spark: str = "") -> Iterator[Running]:
        with self._engines.using(dataset, version_file, spark) as engine:
            yield Running(engine, self._slowly)

    def _slowly(self) -> None:
        time.sleep(self._slower_s)
        if self._failing:
            raise Unavailable


@pytest.fixture(scope="module")
def neighbours(new_desk: Callable[..., Desk]) -> list[Desk]:
    """A desk without a unit, and one with it."""
    desks = [new_desk(), new_desk()]
    for desk, people in zip(desks, (50, 51), strict=True):
        desk.add(DATASET, visits={"person": list(range(people)), "amount": [1] * people})
        desk.approve(QUERY.replace("cost: {epsilon: 100}", "cost: {epsilon: 1}"))
    return desks


def p_value(neighbours: list[Desk], grid: Grid, *, failing: bool) -> float:
    times: list[list[float]] = [[], []]
    for _ in range(PAIRS):
        for which, desk in enumerate(neighbours):
            times[which].append(took(desk, which * SLOWER_S, grid, failing=failing))
    return float(mannwhitneyu(*times, method="exact").pvalue)


def took(desk: Desk, slower_s: float, grid: Grid, *, failing: bool) -> float:
    road = desk.workspace.releases._road
    slow = Slow(road._engines, slower_s, failing=failing)
    asked = Road(desk.workspace.store, road._library, slow, road._turns, grid, road._consent_max_age, road._barred)  # type: ignore[arg-type]
    began = time.perf_counter()
    failed = False
    try:
        asked.release(Ask(ME, "spend", {}, fresh=True))
    except DpstatsError:
        failed = True
    assert failed is failing
    return time.perf_counter() - began


@pytest.mark.parametrize("failing", [False, True])
def test_the_times_of_neighbours_cannot_be_told_apart_on_the_grid(neighbours: list[Desk], failing: bool) -> None:
    assert p_value(neighbours, Grid(STEP_S), failing=failing) >= FALSE_ALARMS


def test_without_the_grid_the_same_test_tells_them_apart(neighbours: list[Desk]) -> None:
    assert p_value(neighbours, NO_GRID, failing=False) < FALSE_ALARMS
