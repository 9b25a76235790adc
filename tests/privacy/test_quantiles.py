"""Scores and trees of counts: sensitivity by enumeration, and that they say what they should of the rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_selection import EXACT, within_claim

from dpstats.privacy.mechanism import ADDED, SELECTED, Mechanism, Noise, Sensitivity
from dpstats.privacy.quantiles import Tree, cells_of, score_range, scores

SHARES = [Fraction(1, 2), Fraction(1, 4), Fraction(9, 10), Fraction(1, 100)]
CANDIDATES = (2, 5, 9)


def cells(values: Sequence[int], candidates: Sequence[int] = CANDIDATES) -> list[int]:
    """How many values lie in each cell about the candidates."""
    found = [0] * cells_of(len(candidates))
    for value in values:
        below = sum(candidate <= value for candidate in candidates)
        found[2 * below - (value in candidates)] += 1
    return found


@pytest.mark.parametrize("share", SHARES)
@given(values=st.lists(st.integers(0, 11), max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_score_is_the_distance_in_rank_times_the_shares_denominator(share: Fraction, values: list[int]) -> None:
    a, b = share.numerator, share.denominator
    below = [sum(v < c for v in values) for c in CANDIDATES]
    above = [sum(v > c for v in values) for c in CANDIDATES]
    wanted = [-abs((b - a) * under - a * over) for under, over in zip(below, above, strict=True)]
    assert scores(cells(values), share) == wanted


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("max_rows", [1, 2])
def test_one_unit_moves_two_scores_apart_by_at_most_the_range_and_may_reach_it(share: Fraction, max_rows: int) -> None:
    """Every group of at most four rows, and every unit of at most `max_rows` rows more."""
    places = (1, 2, 4, 5, 7, 9, 10)
    reached = 0
    for others in itertools.chain.from_iterable(itertools.combinations_with_replacement(places, n) for n in range(5)):
        before = scores(cells(others), share)
        for n in range(1, max_rows + 1):
            for mine in itertools.combinations_with_replacement(places, n):
                change = [x - y for x, y in zip(scores(cells((*others, *mine)), share), before, strict=True)]
                reached = max(reached, max(change) - min(change))
    assert reached <= score_range(share, max_rows)
    if share == Fraction(1, 2):
        assert reached == score_range(share, max_rows)


@pytest.mark.parametrize("noise", SELECTED.values())
@pytest.mark.parametrize("share", SHARES[:3])
def test_a_selected_quantile_is_as_private_as_claimed_on_every_tiny_group(noise: Noise, share: Fraction) -> None:
    moved = score_range(share, 1)
    mechanism = Mechanism(noise, moved / 1.7, Sensitivity(moved, 1))
    places = (1, 2, 5, 7, 10)
    for others in itertools.chain.from_iterable(itertools.combinations_with_replacement(places, n) for n in range(4)):
        without = EXACT[noise](scores(cells(others), share), mechanism.scale, 1)
        for mine in places:
            beside = EXACT[noise](scores(cells((*others, mine)), share), mechanism.scale, 1)
            assert within_claim(mechanism, without, beside), (others, mine)


@given(st.integers(2, 70), st.data())
@settings(max_examples=60, deadline=None)
def test_the_two_sides_of_a_boundary_are_all_bins_before_it_and_all_from_it_on(bins: int, data: st.DataObject) -> None:
    tree = Tree(bins)
    per_bin = data.draw(st.lists(st.integers(0, 9), min_size=bins, max_size=bins))
    nodes = tree.counts(_as_cells(per_bin))
    assert len(nodes) == tree.nodes
    for boundary in range(1, bins):
        before, after = tree.sides(boundary)
        assert sum(nodes[i] for i in before) == sum(per_bin[:boundary])
        assert sum(nodes[i] for i in after) == sum(per_bin[boundary:])
        assert len(before) + len(after) <= tree.levels + 1
        assert len({*before, *after}) == len(before) + len(after)


def _as_cells(per_bin: Sequence[int]) -> list[int]:
    return [per_bin[0], *(part for count in per_bin[1:] for part in (count // 2, count - count // 2))]


@given(st.integers(2, 40), st.integers(1, 5), st.data())
@settings(max_examples=100, deadline=None)
def test_one_units_rows_move_the_nodes_by_no_more_than_their_price_says(
    bins: int, max_rows: int, data: st.DataObject
) -> None:
    tree = Tree(bins)
    row = st.integers(0, cells_of(bins - 1) - 1)
    mine = data.draw(st.lists(row, min_size=1, max_size=max_rows))
    nodes = np.array(tree.counts([mine.count(cell) for cell in range(cells_of(bins - 1))]))
    bound = Sensitivity(max_rows, tree.levels)
    assert nodes.max() <= bound.per_cell
    assert nodes.sum() <= bound.l1
    assert (nodes**2).sum() <= bound.l2_squared


def test_rows_in_one_place_reach_the_price_of_a_tree() -> None:
    nodes = np.array(Tree(16).counts([0, 0, 3, *[0] * 28]))
    bound = Sensitivity(3, Tree(16).levels)
    assert nodes.sum() == bound.l1
    assert (nodes**2).sum() == bound.l2_squared
    assert len(ADDED) == 2
