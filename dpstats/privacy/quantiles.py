"""Quantiles from counts of rows about candidate values: by selection, or read off a noisy binary tree.

The candidates c_0 < c_1 < ... < c_(m-1) are public. A group's rows are counted in 2 m + 1 *cells*: cell 0 below c_0,
cell 2 j + 1 at c_j, cell 2 j + 2 between c_j and the next (or above the last). One unit adds at most r = max_rows rows
to a group, so it changes the cells by at most r in sum.

**One quantile p = a / b** is selected by the score -|(b - a) below - a above|, where `below` and `above` are the rows
on either side of a candidate: b times the distance, in rows, from the rank that p asks for (Smith 2011). A unit's rows
change the inner number by between -a r and (b - a) r, so every score by at most r max(a, b - a), and two of them move
apart by at most twice that.

**Several quantiles** are read off one tree over the m + 1 bins between candidates (bin 0 below c_0, bin j from c_(j-1)
up to, not including, c_j). A node counts the rows of a run of bins; a row is in one node of each level, so a unit
changes the nodes of one group by at most r levels in sum, none by more than r. The root is not needed. At a boundary
c_j the rows below are the nodes that hang off the path to it on the left, those above hang off on the right: both are
independent sums of few noisy nodes. So (1 - p) below - p above is known at every boundary with a known error.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


def cells_of(candidates: int) -> int:
    """How many cells a group's rows are counted in."""
    return 2 * candidates + 1


def score_range(share: Fraction, max_rows: int) -> int:
    """The most by which one unit moves the scores of two candidates apart, for p = `share` in lowest terms."""
    a, b = share.numerator, share.denominator
    return 2 * max_rows * max(a, b - a)


def scores(cells: Sequence[int], share: Fraction) -> list[int]:
    """The score of each candidate: -|(b - a) below - a above| for p = a / b."""
    a, b = share.numerator, share.denominator
    total = sum(cells)
    below = list(itertools.accumulate(cells))[: len(cells) - 1 : 2]
    at = cells[1::2]
    return [-abs((b - a) * under - a * (total - under - here)) for under, here in zip(below, at, strict=True)]


@dataclass(frozen=True)
class Tree:
    """A binary tree over the `bins` between candidates, >= 2; nodes that hold no bin are left out.

    Level 1 has two nodes, each lower one twice as many, down to one bin a node. A group's vector has the nodes level by
    level, left to right.
    """

    bins: int

    @property
    def levels(self) -> int:
        """How many nodes one row is counted in."""
        return (self.bins - 1).bit_length()

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return sum(self._at(level) for level in range(1, self.levels + 1))

    def _at(self, level: int) -> int:
        """The nodes of a level that hold at least one bin."""
        width = 1 << (self.levels - level)
        return -(-self.bins // width)

    def counts(self, cells: Sequence[int]) -> list[int]:
        """The rows in each node. Bin j holds the rows at and above candidate j - 1, below candidate j."""
        bins = [cells[0], *(at + after for at, after in zip(cells[1::2], cells[2::2], strict=True))]
        found: list[int] = []
        for level in range(1, self.levels + 1):
            width = 1 << (self.levels - level)
            found += [sum(bins[start : start + width]) for start in range(0, self.bins, width)]
        return found

    def sides(self, boundary: int) -> tuple[list[int], list[int]]:
        """The nodes whose bins are together all those before bin `boundary`, and all those from it on.

        Args:
          boundary: 1 to bins - 1.
        """
        before: list[int] = []
        after: list[int] = []
        start = 0
        for level in range(1, self.levels + 1):
            place = boundary >> (self.levels - level)
            if place % 2:
                before.append(start + place - 1)
            elif place + 1 < self._at(level):
                after.append(start + place + 1)
            start += self._at(level)
        # The last level's own node, which starts at the boundary, is after it.
        after.append(start - self._at(self.levels) + boundary)
        return before, after
