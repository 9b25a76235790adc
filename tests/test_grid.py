"""Work ends on a grid of moments, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dpstats.grid import NO_GRID, Grid


class Hours:
    """A clock that goes on only when it is waited on."""

    def __init__(self) -> None:
        self.now, self.pauses = 7.25, 0

    def wait(self, seconds: float) -> None:
        self.now, self.pauses = self.now + seconds, self.pauses + 1


@contextmanager
def on_grid(hours: Hours, step_s: float) -> Iterator[None]:
    with Grid(step_s, clock=lambda: hours.now, pause=hours.wait).held():
        yield


@pytest.mark.parametrize(
    ("took", "leaves"), [(0.0, 0.5), (0.01, 0.5), (0.49, 0.5), (0.5, 1.0), (0.51, 1.0), (3.2, 3.5)]
)
def test_work_leaves_at_the_next_moment_of_the_grid(took: float, leaves: float) -> None:
    hours = Hours()
    began = hours.now
    with on_grid(hours, 0.5):
        hours.wait(took)
    assert hours.now - began == pytest.approx(leaves)


def test_work_that_fails_leaves_at_the_same_moment() -> None:
    hours = Hours()
    began = hours.now
    with pytest.raises(ZeroDivisionError), on_grid(hours, 0.5):
        _fail(hours)
    assert hours.now - began == pytest.approx(0.5)


def _fail(hours: Hours) -> None:
    hours.wait(0.3)
    raise ZeroDivisionError


def test_without_a_step_nothing_waits() -> None:
    hours = Hours()
    with on_grid(hours, 0.0):
        pass
    assert (hours.pauses, NO_GRID.step_s) == (0, 0.0)
