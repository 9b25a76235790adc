"""An exact answer shows nothing, and goes out once, through noise."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import threading
from dataclasses import replace

import pytest

from dpstats.engine.noise import Exact, _open, add_noise
from dpstats.errors import Unavailable
from dpstats.plan.plan import Threshold
from dpstats.privacy.mechanism import SCALE_MIN, Mechanism, Noise, Sensitivity

SECRET = 7_654_321


@pytest.fixture
def exact(plan):
    return Exact(plan("SELECT 1"), [[SECRET]])


def test_its_text_does_not_depend_on_its_values(plan):
    a, b = Exact(plan("SELECT 1"), [[SECRET]]), Exact(plan("SELECT 1"), [[1]])
    assert repr(a) == repr(b) == str(a) == f"{a}"
    assert repr(a._take).split(" at ")[0] == repr(b._take).split(" at ")[0]


@pytest.mark.parametrize(
    "use",
    [copy.copy, copy.deepcopy, pickle.dumps, json.dumps, vars, len, iter, list, int, float],
    ids=lambda use: use.__name__,
)
def test_it_cannot_be_copied_stored_counted_or_listed(exact, use):
    with pytest.raises(TypeError) as caught:
        use(exact)
    assert str(SECRET) not in str(caught.value)


def test_its_state_cannot_be_asked_for(exact):
    with pytest.raises(TypeError):
        exact.__getstate__()
    with pytest.raises(AttributeError):
        exact.note = "a place to write things"


def test_two_equal_answers_are_not_equal(plan):
    p = plan("SELECT 1")
    assert Exact(p, [[SECRET]]) != Exact(p, [[SECRET]])


def test_noise_is_added_to_every_group_of_every_draw(plan):
    p = plan("SELECT 1", keys=[("BIGINT", range(50))], draws=3)
    vectors = [[1000 * draw + group for group in range(50)] for draw in range(3)]
    noisy = add_noise(p, Exact(p, vectors)).vectors
    assert [len(vector) for vector in noisy] == [50] * 3
    assert noisy != tuple(map(tuple, vectors))
    # Twenty standard deviations: a false alarm has a probability below 1e-80.
    assert all(abs(n - x) <= 40 for ns, xs in zip(noisy, vectors, strict=True) for n, x in zip(ns, xs, strict=True))


def test_it_is_opened_once(plan):
    p = plan("SELECT 1")
    exact = Exact(p, [[SECRET]])
    add_noise(p, exact)
    with pytest.raises(ValueError, match="opened before"):
        add_noise(p, exact)


def test_of_many_threads_one_opens_it(plan):
    p = plan("SELECT 1")
    exact, opened = Exact(p, [[SECRET]]), []

    def attempt():
        with contextlib.suppress(ValueError):
            opened.append(_open(p, exact))

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [((SECRET,),)]


def test_another_plan_does_not_open_it_and_does_not_use_it_up(plan):
    p = plan("SELECT 1")
    exact = Exact(p, [[SECRET]])
    with pytest.raises(ValueError, match="another plan"):
        add_noise(plan("SELECT 2"), exact)
    assert _open(p, exact) == ((SECRET,),)


def test_a_failure_to_draw_says_nothing_of_the_values(plan, everything_said):
    p = plan("SELECT 1", draws=2)
    short = Exact(p, [[SECRET]])  # one vector for two draws
    with pytest.raises(Unavailable) as caught:
        add_noise(p, short)
    assert str(SECRET) not in everything_said(caught.value)
    assert caught.value.__context__ is None


def test_a_noisy_count_at_the_threshold_is_released_and_one_below_it_is_not(plan):
    """The price of a threshold holds the mass at it. At the smallest scale noise is 0 but for a chance of 1e-55."""
    p = plan("SELECT 1", keys=[("VARCHAR", "abcd")])
    faint = replace(p.draws[0], mechanism=Mechanism(Noise.GAUSSIAN, SCALE_MIN, Sensitivity(1, 1)))
    p = replace(p, draws=(faint,), threshold=Threshold(draw=0, at=7, max_groups=1, delta_steps=1))
    noisy = add_noise(p, Exact(p, [[6, 7, 8, 0]]))
    assert noisy.groups == (("b",), ("c",))
    assert noisy.vectors == ((7, 8),)
