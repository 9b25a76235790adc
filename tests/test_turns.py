"""Twins take turns, so many compute at once, and so many wait: nobody for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from dpstats.errors import Busy
from dpstats.turns import Limits, Turns

SOON_S, LONG_S = 0.2, 60.0
HOLDS = """
import sys
from pathlib import Path
from dpstats.turns import Limits, Turns
with Turns(Path(sys.argv[1]), Limits()).alone("q", 1e9):
    print("held", flush=True)
    sys.stdin.readline()
"""


def turns(folder: Path, **limits: float) -> Turns:
    return Turns(folder / "turns.lock", Limits(**limits))  # type: ignore[arg-type]


class Held:
    """A turn that another thread has until it is let go."""

    def __init__(self, turn: Callable[[], AbstractContextManager[None]], failing: bool = False) -> None:
        self._has, self._let_go, self._failing = threading.Event(), threading.Event(), failing
        self._turn = turn

    def run(self) -> None:
        with self._turn():
            self._has.set()
            assert self._let_go.wait(LONG_S)
            if self._failing:
                raise ZeroDivisionError

    def let_go(self) -> None:
        self._let_go.set()

    def is_there(self) -> bool:
        return self._has.wait(LONG_S)

    @property
    def has_it(self) -> bool:
        return self._has.is_set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


@contextmanager
def held(pool: ThreadPoolExecutor, turn: Callable[[], AbstractContextManager[None]]) -> Iterator[Future[None]]:
    first = Held(turn)
    running = pool.submit(first.run)
    assert first.is_there()
    try:
        yield running
    finally:
        first.let_go()
        running.result(LONG_S)


def waiting(turns_: Turns, many: int) -> None:
    """Returns once so many wait."""
    while turns_._waiting < many:
        threading.Event().wait(0.001)


def test_callers_of_one_question_come_one_by_one_and_others_beside_them(tmp_path: Path, pool) -> None:
    mine = turns(tmp_path)
    inside, most = [0], [0]
    guard = threading.Lock()

    def ask() -> None:
        with mine.alone("q", mine.deadline()):
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with guard:
                inside[0] -= 1

    with held(pool, lambda: mine.alone("other", mine.deadline())):
        for done in [pool.submit(ask) for _ in range(20)]:
            done.result(LONG_S)
    assert most == [1]
    assert mine._twins == {}


def test_a_turn_that_fails_wakes_the_next_one(tmp_path: Path, pool) -> None:
    mine = turns(tmp_path)
    first, second = (
        Held(lambda: mine.alone("q", mine.deadline()), failing=True),
        Held(lambda: mine.alone("q", mine.deadline())),
    )
    running = pool.submit(first.run)
    assert first.is_there()
    next_ = pool.submit(second.run)
    waiting(mine, 1)
    assert not second.has_it
    first.let_go()
    with pytest.raises(ZeroDivisionError):
        running.result(LONG_S)
    assert second.is_there()
    second.let_go()
    next_.result(LONG_S)
    assert (mine._waiting, mine._twins) == (0, {})


def test_a_wait_ends_at_its_deadline_and_leaves_the_one_who_computes_alone(tmp_path: Path, pool) -> None:
    mine = turns(tmp_path, wait_s=SOON_S, at_once=1)
    for turn in (lambda: mine.alone("q", mine.deadline()), lambda: mine.computing(mine.deadline())):
        with held(pool, turn) as running:
            with pytest.raises(Busy), turn():
                pass
            assert not running.done()
            assert mine._waiting == 0
        with turn():
            pass


def test_more_than_may_wait_are_refused_at_once(tmp_path: Path, pool) -> None:
    mine = turns(tmp_path, at_once=1, waiting=2)
    with held(pool, lambda: mine.computing(mine.deadline())):
        patient = [Held(lambda: mine.computing(mine.deadline())) for _ in range(2)]
        asked = [pool.submit(each.run) for each in patient]
        waiting(mine, 2)
        with pytest.raises(Busy), mine.computing(mine.deadline()):
            pass
        with mine.alone("q", mine.deadline()):  # who need not wait needs no place
            pass
        for each in patient:
            each.let_go()
    for each in asked:
        each.result(LONG_S)


def test_so_many_compute_at_once_and_no_more(tmp_path: Path, pool) -> None:
    mine = turns(tmp_path, at_once=3)
    computing = [Held(lambda: mine.computing(mine.deadline())) for _ in range(4)]
    asked = [pool.submit(each.run) for each in computing]
    waiting(mine, 1)
    assert sum(each.has_it for each in computing) == 3
    for each in computing:
        each.let_go()
    for each in asked:
        each.result(LONG_S)


@pytest.mark.parametrize("killed", [False, True])
def test_another_process_is_waited_for_until_it_is_done_or_dead(tmp_path: Path, pool, killed: bool) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "turns.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    mine = turns(tmp_path)
    with mine.alone("another question", mine.deadline()):
        pass
    me = Held(lambda: mine.alone("q", mine.deadline()))
    asked = pool.submit(me.run)
    waiting(mine, 1)
    assert not me.has_it
    if killed:
        os.kill(other.pid, signal.SIGKILL)
    other.communicate("\n" if not killed else None)
    assert me.is_there()
    me.let_go()
    asked.result(LONG_S)
