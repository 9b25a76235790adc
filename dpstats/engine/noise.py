"""Exact answers, and the one way out of them: noise.

An `Exact` shows nothing of itself and is opened once, here, so that one charge never pays for two draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, final

from dpstats.engine.ahead import AHEAD, wanted
from dpstats.errors import Unavailable
from dpstats.plan.plan import Draw, Group, Noisy, Plan, Vectors
from dpstats.privacy.mechanism import Mechanism, draw
from dpstats.privacy.quantiles import scores
from dpstats.privacy.selection import select

_Add = Callable[[Mechanism, Sequence[int]], list[int]]


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

    Where keys are private, only groups whose noisy count of units reaches the threshold are left. Where all are
    declared, draws that are there already are used first (`ahead.py`); one that is taken is used here or never.

    Returns:
      The groups, sorted by key, and for each draw an entry for each group, in steps of the draw's grid.

    Raises:
      ValueError: the answer is another plan's, or was opened before.
      Unavailable: the noise could not be drawn.
    """
    noisy = _drawn(plan, exact)
    if noisy is None:
        raise Unavailable
    AHEAD.want(wanted(plan))
    return noisy


def _drawn(plan: Plan, exact: Exact) -> Noisy | None:
    groups, vectors = _open_groups(plan, exact)
    # No error may leave this frame: it would take the exact vectors along in its traceback.
    try:
        return _noisy(plan, groups, vectors)
    except Exception:
        return None


def _noisy(plan: Plan, groups: tuple[Group, ...], vectors: Vectors) -> Noisy:
    """First which groups are released at all, by a draw of its own; then a draw of each vector over those."""
    ready: dict[int, list[int]] = {}
    kept = list(range(len(groups)))
    if plan.threshold is not None:
        place = plan.threshold.draw
        units = draw(plan.draws[place].mechanism, vectors[place])
        kept = [group for group in kept if units[group] >= plan.threshold.at]
        ready[place] = [units[group] for group in kept]
    elif plan.top is not None and plan.top.mechanism is not None:
        kept = sorted(select(plan.top.mechanism, vectors[plan.top.draw], plan.top.k))
    add = draw if plan.private_keys else AHEAD.draw
    drawn = tuple(
        tuple(ready[d.index] if d.index in ready else _draw(d, vectors[d.index], kept, add)) for d in plan.draws
    )
    return _largest(plan, Noisy(tuple(groups[group] for group in kept), drawn))


def _draw(spec: Draw, vector: Sequence[int], kept: Sequence[int], add: _Add) -> list[int]:
    """The noisy whole numbers of the groups that are kept, one group after the other."""
    if spec.quantiles is None:
        return add(spec.mechanism, [vector[group] for group in kept])
    share, tree = spec.quantiles.share, spec.quantiles.tree
    groups = (vector[group * spec.cells : (group + 1) * spec.cells] for group in kept)
    if share is not None:
        return [place for cells in groups for place in select(spec.mechanism, scores(cells, share))]
    return add(spec.mechanism, [count for cells in groups for count in tree.counts(cells)])


def _largest(plan: Plan, noisy: Noisy) -> Noisy:
    """The groups whose noisy values are the largest, where that is how they are chosen: it looks at nothing else."""
    if plan.top is None or plan.top.mechanism is not None:
        return noisy
    values = noisy.vectors[plan.top.draw]
    best = sorted(range(len(values)), key=lambda group: (-values[group], group))[: plan.top.k]
    kept = sorted(best)
    vectors = tuple(
        tuple(entry for group in kept for entry in vector[group * d.entries : (group + 1) * d.entries])
        for d, vector in zip(plan.draws, noisy.vectors, strict=True)
    )
    return Noisy(tuple(noisy.groups[group] for group in kept), vectors)


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
