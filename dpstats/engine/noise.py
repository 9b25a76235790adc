"""Exact answers, and the one way out of them: noise.

An `Exact` shows nothing of itself and is opened once, here, so that one charge never pays for two draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn, final

from dpstats.errors import Unavailable
from dpstats.plan.plan import Plan
from dpstats.privacy.mechanism import draw

Vectors = tuple[tuple[int, ...], ...]
"""One vector of whole numbers for each draw of a plan, an entry for each group."""


@final
class Exact:
    """What the rows say, before noise: no text, length, copy or comparison; opened once, for its plan only."""

    __slots__ = ("_plan", "_take")

    def __init__(self, plan: Plan, vectors: Iterable[Iterable[int]]) -> None:
        self._plan = plan
        # Only the list's `pop` is kept: it shows no values, and it gives them once, to one thread.
        self._take = [tuple(tuple(vector) for vector in vectors)].pop

    def __repr__(self) -> str:
        return "<Exact: opened only by add_noise>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an exact answer is neither copied nor stored")

    def __getstate__(self) -> NoReturn:
        raise TypeError("an exact answer is neither copied nor stored")


def add_noise(plan: Plan, exact: Exact) -> Vectors:
    """Noisy whole numbers, one vector for each of the plan's draws, from that plan's exact answer, which is used up.

    Returns:
      For each draw, in the plan's order, an entry for each group, in steps of the draw's grid.

    Raises:
      ValueError: the answer is another plan's, or was opened before.
      Unavailable: the noise could not be drawn.
    """
    noisy = _drawn(plan, exact)
    if noisy is None:
        raise Unavailable
    return noisy


def _drawn(plan: Plan, exact: Exact) -> Vectors | None:
    vectors = _open(plan, exact)
    # No error may leave this frame: it would take the exact vectors along in its traceback.
    try:
        return tuple(tuple(draw(d.mechanism, vector)) for d, vector in zip(plan.draws, vectors, strict=True))
    except Exception:
        return None


def _open(plan: Plan, exact: Exact) -> Vectors:
    if exact._plan != plan:
        raise ValueError("this exact answer belongs to another plan")
    vectors = _taken(exact)
    if vectors is None:
        raise ValueError("this exact answer was opened before: run the plan again, under a charge of its own")
    return vectors


def _taken(exact: Exact) -> Vectors | None:
    try:
        return exact._take()
    except IndexError:
        return None
