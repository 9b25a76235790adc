"""Noise that is drawn ahead is the mechanism's, is used once, and is nowhere but in the memory of who serves."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
import pickle
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dpstats.engine.ahead import (
    AHEAD,
    MOST_DRAWS,
    MOST_KINDS,
    MOST_OF_A_KIND,
    PIECE,
    SCALE_LARGEST,
    DrawnAhead,
    wanted,
)
from dpstats.engine.noise import Exact, add_noise
from dpstats.errors import Unavailable
from dpstats.plan.plan import KeyColumn, Quantiles, Top
from dpstats.privacy.mechanism import ADDED, INT64_MAX, Mechanism, Noise, Sensitivity

FALSE_ALARM = 1e-9
ONE = Sensitivity(1, 1)
PATIENCE_S = 120.0
SOME_ALIKE = 4
"""Draws of scale 2^40 are alike by chance in fewer pairs than these: of 2^12 draws, but for a chance below 2^-60."""


def wide(noise: Noise = Noise.LAPLACE) -> Mechanism:
    return Mechanism(noise, SCALE_LARGEST, ONE)


def fill(ahead: DrawnAhead, mechanism: Mechanism, count: int) -> None:
    ahead.want({(mechanism.noise, mechanism.scale): count})
    assert ahead.wait_until_full(PATIENCE_S)


def there(ahead: DrawnAhead, mechanism: Mechanism) -> int:
    return len(ahead._drawn.get((mechanism.noise, mechanism.scale), ()))


def alike(draws: Sequence[int]) -> int:
    """How many of them were there before."""
    return len(draws) - len(set(draws))


@pytest.fixture
def ahead() -> Iterator[DrawnAhead]:
    store = DrawnAhead()
    with store.filled():
        yield store


@pytest.fixture
def of_the_process() -> Iterator[DrawnAhead]:
    with AHEAD.filled():
        yield AHEAD


# -- the same noise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ADDED.values())
@pytest.mark.parametrize("scale", [0.8, 7.5])
def test_it_has_the_exact_distribution_of_the_mechanism(ahead: DrawnAhead, noise: Noise, scale: float) -> None:
    count = 10_000
    fill(ahead, Mechanism(noise, scale, ONE), count)
    assert there(ahead, Mechanism(noise, scale, ONE)) == count
    drawn = np.array(ahead.draw(Mechanism(noise, scale, ONE), [0] * count))
    reach = math.ceil(45 * scale)
    k = np.arange(-reach, reach + 1, dtype=float)
    weights = np.exp(-(k**2) / (2 * scale**2)) if noise is Noise.GAUSSIAN else np.exp(-np.abs(k) / scale)
    expected = weights / weights.sum() * count
    last = int(np.flatnonzero(expected >= 10)[-1]) - reach
    observed = np.bincount(np.clip(drawn, -last - 1, last + 1) + last + 1, minlength=2 * last + 3)
    inside = expected[reach - last : reach + last + 1]
    statistic, tail = ((observed[1:-1] - inside) ** 2 / inside).sum(), (count - inside.sum()) / 2
    if tail >= 5:
        statistic += ((observed[[0, -1]] - tail) ** 2 / tail).sum()
    assert stats.chi2.sf(statistic, len(inside) + 1) > FALSE_ALARM


def test_it_is_added_to_each_entry_in_its_place_and_the_rest_is_drawn_anew(ahead: DrawnAhead) -> None:
    mechanism = Mechanism(Noise.GAUSSIAN, 30.0, ONE)
    fill(ahead, mechanism, 1000)
    exact = [1000 * i for i in range(3000)]
    off = np.array(ahead.draw(mechanism, exact)) - np.array(exact)
    assert len(off) == 3000
    assert np.abs(off).max() < 1000  # a shift by one place would be 1,000: beyond 33 scales
    deviation = 30.0 / math.sqrt(len(off))
    assert abs(off.mean()) < stats.norm.isf(FALSE_ALARM / 2) * deviation
    assert abs(np.corrcoef(off[:1000], off[1000:2000])[0, 1]) < stats.norm.isf(FALSE_ALARM / 2) / math.sqrt(1000)


@pytest.mark.parametrize("noise", ADDED.values())
def test_values_at_and_past_64_bits_are_saturated_before_and_after_it(ahead: DrawnAhead, noise: Noise) -> None:
    exact = [2**63, -(2**63), 2**64, -(10**30), 10**30, INT64_MAX, -INT64_MAX] * 8
    for mechanism, far in ((Mechanism(noise, 1.0, ONE), 200), (wide(noise), 2**50)):
        fill(ahead, mechanism, len(exact))
        noisy = ahead.draw(mechanism, exact)
        assert all(-(2**63) <= value < 2**63 for value in noisy)
        assert all((n > 0) == (x > 0) and abs(abs(n) - INT64_MAX) < far for n, x in zip(noisy, exact, strict=True))


def test_of_a_scale_a_hair_larger_it_has_nothing(ahead: DrawnAhead) -> None:
    mechanism = Mechanism(Noise.GAUSSIAN, 2.0**39, ONE)
    fill(ahead, mechanism, 32)
    kept = list(ahead._drawn[mechanism.noise, mechanism.scale])
    for other in (replace(mechanism, scale=math.nextafter(2.0**39, 2.0**40)), replace(mechanism, noise=Noise.LAPLACE)):
        assert alike([*kept, *ahead.draw(other, [0] * 32)]) < SOME_ALIKE
    # The sensitivity decides the price, not the noise.
    assert set(ahead.draw(replace(mechanism, sensitivity=Sensitivity(5, 7)), [0] * 32)) == set(kept)


# -- once ------------------------------------------------------------------------------------------------------------


def test_what_is_taken_is_gone(ahead: DrawnAhead) -> None:
    fill(ahead, wide(), 64)
    kept = set(ahead._drawn[wide().noise, wide().scale])
    first = ahead.draw(wide(), [0] * 64)
    assert set(first) == kept
    assert ahead.wait_until_full(PATIENCE_S)
    assert len(kept & set(ahead._drawn[wide().noise, wide().scale])) < SOME_ALIKE


def test_no_draw_is_used_twice_across_threads(ahead: DrawnAhead) -> None:
    fill(ahead, wide(), 1024)
    found: list[list[int]] = []

    def take() -> None:
        for count in (1, 7, 120, 128):
            found.append(ahead.draw(wide(), [0] * count))

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = list(itertools.chain.from_iterable(found))
    assert len(drawn) == 16 * 256
    assert alike(drawn) < SOME_ALIKE


def test_no_draw_is_used_twice_across_forks_and_restarts() -> None:
    """Twice a process that forks: each starts with nothing, and none gives what another gives."""
    command = [sys.executable, str(Path(__file__).with_name("ahead_processes.py"))]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(2)]
    assert [run["there"] for run in runs] == [0, 0]
    drawn = [noise for run in runs for each in run["draws"] for noise in each]
    assert len(drawn) == 2 * 4 * 64
    assert alike(drawn) < SOME_ALIKE


def test_a_release_takes_from_it_and_its_draws_have_noise_of_their_own(of_the_process, plan) -> None:
    p = plan("SELECT 1", keys=[("BIGINT", range(32))], draws=2)
    p = replace(p, draws=tuple(replace(d, mechanism=wide()) for d in p.draws))
    of_the_process.want(wanted(p))
    assert of_the_process.wait_until_full(PATIENCE_S)
    kept = set(of_the_process._drawn[wide().noise, wide().scale])
    vectors = add_noise(p, Exact(p, [[0] * 32] * 2)).vectors
    assert {noise for vector in vectors for noise in vector} == kept


def test_the_draws_of_a_release_that_failed_are_thrown_away(of_the_process, plan) -> None:
    p = plan("SELECT 1", keys=[("BIGINT", range(32))], draws=2)
    p = replace(p, draws=tuple(replace(d, mechanism=wide()) for d in p.draws))
    of_the_process.want(wanted(p))
    assert of_the_process.wait_until_full(PATIENCE_S)
    taken = list(of_the_process._drawn[wide().noise, wide().scale])[32:]
    with pytest.raises(Unavailable):
        add_noise(p, Exact(p, [[0] * 32]))  # one vector for two draws: the first takes its noise
    assert of_the_process.wait_until_full(PATIENCE_S)
    assert alike([*taken, *of_the_process._drawn[wide().noise, wide().scale]]) < SOME_ALIKE


# -- whom it serves --------------------------------------------------------------------------------------------------


def test_of_a_plan_with_declared_keys_it_is_known_what_it_takes(plan) -> None:
    p = plan("SELECT 1", keys=[("BIGINT", range(5)), ("VARCHAR", "abc")], draws=3)
    small = replace(p.draws[2], mechanism=Mechanism(Noise.GAUSSIAN, 1.0, ONE))
    p = replace(p, draws=(*p.draws[:2], small))
    assert wanted(p) == {(Noise.GAUSSIAN, 2.0): 30, (Noise.GAUSSIAN, 1.0): 15}
    selects = Mechanism(Noise.EXPONENTIAL, 1.0, ONE)
    assert wanted(replace(p, top=Top(0, 4, selects))) == {(Noise.GAUSSIAN, 2.0): 8, (Noise.GAUSSIAN, 1.0): 4}
    quantiles = Quantiles((1, 2, 3), 0, 4, None)
    of_tree = replace(p, draws=(replace(small, quantiles=quantiles),))
    assert wanted(of_tree) == {(Noise.GAUSSIAN, 1.0): 15 * of_tree.draws[0].entries}
    of_one = replace(small, mechanism=selects, quantiles=replace(quantiles, share=Fraction(1, 2)))
    assert wanted(replace(p, draws=(of_one,))) == {}


def test_a_plan_with_private_keys_takes_none_for_what_is_found_decides_how_many(of_the_process, plan) -> None:
    p = plan("SELECT 1", keys=[("VARCHAR", "ab")])
    fill(of_the_process, p.draws[0].mechanism, 16)
    private = replace(p, keys=(KeyColumn("k", "VARCHAR", (), private=True),))
    assert wanted(private) == {}
    assert len(add_noise(private, Exact(private, [[5, 6]], [("a",), ("b",)])).groups) == 2
    assert there(of_the_process, p.draws[0].mechanism) == 16


def test_who_does_not_serve_keeps_none(plan) -> None:
    p = plan("SELECT 1", keys=[("BIGINT", range(4))])
    add_noise(p, Exact(p, [[0] * 4]))
    AHEAD.want(wanted(p))
    assert not AHEAD.wait_until_full(0)
    assert AHEAD._levels == AHEAD._drawn == {}


def test_what_was_asked_for_once_is_there_the_next_time(of_the_process, plan) -> None:
    p = plan("SELECT 1", keys=[("BIGINT", range(4))])
    add_noise(p, Exact(p, [[0] * 4]))
    assert of_the_process.wait_until_full(PATIENCE_S)
    assert there(of_the_process, p.draws[0].mechanism) == 4


def test_who_stops_serving_has_none_left() -> None:
    store = DrawnAhead()
    with store.filled():
        fill(store, wide(), 2 * PIECE)
    assert store._drawn == store._levels == {}
    assert not [thread for thread in threading.enumerate() if thread.name == "dpstats-ahead"]


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_its_bounds_hold_and_what_was_wanted_longest_ago_is_forgotten(ahead: DrawnAhead) -> None:
    kinds = [(Noise.LAPLACE, 1.0 + place) for place in range(2 * MOST_KINDS)]
    for kind in kinds:
        ahead.want({kind: 1})
        ahead.want({kinds[0]: 1})
    assert len(ahead._levels) == MOST_KINDS
    assert set(ahead._levels) == {kinds[0], *kinds[-MOST_KINDS + 1 :]}
    for kind in kinds:
        ahead.want({kind: 10**9})
        assert max(ahead._levels.values()) == MOST_OF_A_KIND
        assert sum(ahead._levels.values()) <= MOST_DRAWS
    assert set(ahead._drawn) <= set(ahead._levels)
    assert all(kept.itemsize == 8 and len(kept) <= MOST_OF_A_KIND for kept in ahead._drawn.values())


def test_a_level_is_the_most_that_one_release_took_and_is_not_passed(ahead: DrawnAhead) -> None:
    counts = Counter[int]()
    for count in (10, 600, 3):
        fill(ahead, wide(), count)
        counts[there(ahead, wide())] += 1
    assert counts == {10: 1, 600: 2}


@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, pickle.dumps, json.dumps, len, iter, list])
def test_it_cannot_be_copied_stored_counted_or_listed(ahead: DrawnAhead, use) -> None:
    fill(ahead, wide(), 2)
    with pytest.raises(TypeError):
        use(ahead)
    assert repr(ahead) == "<DrawnAhead>"
    with contextlib.suppress(TypeError):
        ahead.__getstate__()
        pytest.fail("it gave its state")
