"""Exact answers, and the one way out of them: noise.

An `Exact` shows nothing of itself and is opened once, here, so that one charge never pays for two draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn, final

from dpstats.errors import Unavailable
from dpstats.plan.plan import Group, Noisy, Plan, Vectors
from dpstats.privacy.mechanism import draw


@final
class Exact:
    """What the rows say, before noise: no text, length, copy or comparison; opened once, for its plan only."""

    __slots__ = ("_plan", "_take")

    def __init__(self, plan: Plan, vectors: Iterable[Iterable[int]], groups: Iterable[Group] | None = None) -> None:
        self._plan = plan
        named = plan.declared_groups() if groups is None else groups
        # Only the list's `pop` is kept: it shows no values, and it gives them once, to one thread.
        self._take = [(tuple(named), tuple(tuple(vector) for vector in vectors))].pop

    def __repr__(self) -> str:
        return "<Exact: opened only by add_noise>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an exact answer is neither copied nor stored")

    def __getstate__(self) -> NoReturn:
        raise TypeError("an exact answer is neither copied nor stored")


def add_noise(plan: Plan, exact: Exact) -> Noisy:
    """Noisy whole numbers, one vector for each of the plan's draws, from that plan's exact answer, which is used up.

    Where keys are private, only groups whose noisy count of units reaches the threshold are left.

    Returns:
      The groups, sorted by key, and for each draw an entry for each group, in steps of the draw's grid.

    Raises:
      ValueError: the answer is another plan's, or was opened before.
      Unavailable: the noise could not be drawn.
    """
    noisy = _drawn(plan, exact)
    if noisy is None:
        raise Unavailable
    return noisy


def _drawn(plan: Plan, exact: Exact) -> Noisy | None:
    groups, vectors = _open_groups(plan, exact)
    # No error may leave this frame: it would take the exact vectors along in its traceback.
    try:
        drawn = tuple(tuple(draw(d.mechanism, vector)) for d, vector in zip(plan.draws, vectors, strict=True))
    except Exception:
        return None
    return _above_threshold(plan, Noisy(groups, drawn))


def _above_threshold(plan: Plan, noisy: Noisy) -> Noisy:
    """What a threshold leaves: it looks at noisy counts alone."""
    if plan.threshold is None:
        return noisy
    units = noisy.vectors[plan.threshold.draw]
    kept = [place for place, count in enumerate(units) if count >= plan.threshold.at]
    vectors = tuple(tuple(vector[place] for place in kept) for vector in noisy.vectors)
    return Noisy(tuple(noisy.groups[place] for place in kept), vectors)


def _open(plan: Plan, exact: Exact) -> Vectors:
    return _open_groups(plan, exact)[1]


def _open_groups(plan: Plan, exact: Exact) -> tuple[tuple[Group, ...], Vectors]:
    if exact._plan != plan:
        raise ValueError("this exact answer belongs to another plan")
    taken = _taken(exact)
    if taken is None:
        raise ValueError("this exact answer was opened before: run the plan again, under a charge of its own")
    return taken


def _taken(exact: Exact) -> tuple[tuple[Group, ...], Vectors] | None:
    try:
        return exact._take()
    except IndexError:
        return None
