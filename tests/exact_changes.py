"""How far one unit may move the exact answers beneath the noise: the claim that a plan's price stands on, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from dpstats.plan.plan import Draw, Group, Plan, Vectors
from dpstats.privacy.mechanism import Noise, Sensitivity
from dpstats.privacy.quantiles import scores

Cells: TypeAlias = Sequence[int]
"""One group's exact whole numbers for one draw."""
Pair: TypeAlias = tuple[Cells, Cells]
"""The same group's with one unit and without."""


def check_moved(plan: Plan, pairs: Sequence[Sequence[Pair]]) -> bool:
    """Asserts that one unit moves each draw by no more than it is priced for, and what selects groups too.

    Args:
      pairs: for each group of either data set, a pair for each draw of the plan.

    Returns:
      Whether anything moved.
    """
    kept = len(pairs)
    if plan.top is not None and plan.top.mechanism is not None:
        moved = [more[0] - less[0] for more, less in (group[plan.top.draw] for group in pairs)]
        assert _range(moved) <= plan.top.mechanism.sensitivity.per_cell, "top"
        kept = plan.top.k  # whichever groups are selected, so many are drawn
    for draw in plan.draws:
        own = [group[draw.index] for group in pairs]
        if draw.quantiles is not None and draw.quantiles.share is not None:
            _check_scores(draw, own, kept)
        else:
            _check_vector(draw, sorted((_changes(draw, pair) for pair in own), key=sum, reverse=True)[:kept])
    return any(more != less for group in pairs for more, less in group)


def pairs_of(
    plan: Plan, more: tuple[Sequence[Group], Vectors], less: tuple[Sequence[Group], Vectors]
) -> list[list[Pair]]:
    """Two exact answers, as the engine gives them, group by group; a group that one has not is all zeros."""
    with_one, without = (_by_group(plan, *each) for each in (more, less))
    nothing = [(0,) * draw.cells for draw in plan.draws]
    return [
        list(zip(with_one.get(group, nothing), without.get(group, nothing), strict=True))
        for group in {**with_one, **without}
    ]


def _by_group(plan: Plan, groups: Sequence[Group], vectors: Vectors) -> dict[Group, list[Cells]]:
    return {
        group: [vectors[d.index][place * d.cells : (place + 1) * d.cells] for d in plan.draws]
        for place, group in enumerate(groups)
    }


def _changes(draw: Draw, pair: Pair) -> list[int]:
    """How far each number that noise is added to moves in one group, where it moves."""
    more, less = pair if draw.quantiles is None else tuple(draw.quantiles.tree.counts(cells) for cells in pair)
    return [abs(a - b) for a, b in zip(more, less, strict=True) if a != b]


def _check_vector(draw: Draw, groups: Sequence[Sequence[int]]) -> None:
    changes, bound = [change for group in groups for change in group], draw.mechanism.sensitivity
    assert max(changes, default=0) <= bound.per_cell, draw.name
    assert sum(changes) <= bound.per_cell * bound.cells, draw.name
    if draw.quantiles is None:
        assert len(changes) <= bound.cells, draw.name
    assert _norm(draw.mechanism.noise, changes) <= _claimed(draw.mechanism.noise, bound), draw.name


def _norm(noise: Noise, changes: Sequence[int]) -> int:
    return sum(change**2 for change in changes) if noise is Noise.GAUSSIAN else sum(changes)


def _claimed(noise: Noise, bound: Sensitivity) -> int:
    return bound.l2_squared if noise is Noise.GAUSSIAN else bound.l1


def _check_scores(draw: Draw, groups: Sequence[Pair], kept: int) -> None:
    touched = [moved for moved in _moved_scores(draw, groups) if any(moved)]
    assert max(map(_range, touched), default=0) <= draw.mechanism.sensitivity.per_cell, draw.name
    assert min(len(touched), kept) <= draw.mechanism.sensitivity.cells, draw.name


def _moved_scores(draw: Draw, groups: Sequence[Pair]) -> Iterator[list[int]]:
    of: Any = draw.quantiles
    for more, less in groups:
        yield [a - b for a, b in zip(scores(more, of.share), scores(less, of.share), strict=True)]


def _range(moved: Sequence[int]) -> int:
    """How far two candidates move apart, one that does not move among them."""
    return max([0, *moved]) - min([0, *moved])
