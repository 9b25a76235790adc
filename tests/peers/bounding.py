"""What each way of bounding keeps, and what is then left of the truth: an exact model, in numpy, of dpstats and peers.

A `Cells` holds a row for each (customer, group). Ways of bounding give, for each cell, what is kept of it on average
over the random choices of groups and rows; the error of a group is |bias + noise|, whose mean has a closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from scipy.stats import norm
from work import GROUPS, Floats, Ints, Work

Shape = Literal["gaussian", "laplace"]


@dataclass(frozen=True, eq=False)
class Cells:
    """Each (customer, group) once: `count` rows of it; `place` is each row's cell."""

    customer: Ints
    group: Ints
    count: Floats
    place: Ints
    amount: Floats

    @classmethod
    def of(cls, work: Work) -> Cells:
        """The cells of a table; customers are numbered anew from 0."""
        packed, place, count = np.unique(work.customer * GROUPS + work.group, return_inverse=True, return_counts=True)
        _, customer = np.unique(packed // GROUPS, return_inverse=True)
        return cls(customer, packed % GROUPS, count.astype(float), place, work.amount)

    @lru_cache(maxsize=16)  # noqa: B019 - one table lives as long as the comparison
    def sums(self, high: float = math.inf) -> Floats:
        """Each cell's sum of amounts, each clipped to [0, high]."""
        return np.bincount(self.place, np.minimum(self.amount, high), len(self.group))

    @cached_property
    def groups_of_customer(self) -> Floats:
        """How many groups the cell's customer is in."""
        return self.a_customer(np.ones(len(self.group)))

    @cached_property
    def rows_of_customer(self) -> Floats:
        """How many rows the cell's customer has in all."""
        return self.a_customer(self.count)

    def a_customer(self, values: Floats) -> Floats:
        """The total over a customer's cells, for each cell."""
        return np.asarray(np.bincount(self.customer, values)[self.customer])

    def totals(self, values: Floats) -> Floats:
        """The total of each group."""
        return np.bincount(self.group, values, GROUPS)


# -- ways of bounding: what is kept of each cell ---------------------------------------------------------------------


def groups_dropped(cells: Cells, values: Floats, most: int) -> Floats:
    """At most `most` groups of a customer, chosen at random: what is kept on average."""
    return np.asarray(values * np.minimum(1.0, most / cells.groups_of_customer))


def rows_dropped(cells: Cells, values: Floats, most: int) -> Floats:
    """At most `most` rows of a customer in a group, chosen at random: what is kept on average."""
    return np.asarray(values * np.minimum(1.0, most / cells.count))


def rows_of_unit_dropped(cells: Cells, values: Floats, most: int) -> Floats:
    """At most `most` rows of a customer over all groups, chosen at random: what is kept on average."""
    return np.asarray(values * np.minimum(1.0, most / cells.rows_of_customer))


def scaled(cells: Cells, values: Floats, most: float, power: int = 2) -> Floats:
    """Each customer's vector over groups, scaled down to a norm (L1 or L2) of at most `most`."""
    length = cells.a_customer(values**power) ** (1 / power)
    return np.asarray(values * np.minimum(1.0, most / np.maximum(length, 1e-300)))


def levelled(cells: Cells, values: Floats, most: float) -> Floats:
    """Each customer's largest entries cut to one size, at which the L2 norm of its vector is at most `most`."""
    order = np.lexsort((values, cells.customer))
    whole = np.empty(len(values), dtype=bool)
    square = values[order] ** 2
    first = np.searchsorted(cells.customer[order], cells.customer[order])
    smaller = np.cumsum(square) - square
    smaller -= smaller[first]
    larger = cells.groups_of_customer[order] - (np.arange(len(values)) - first)
    whole[order] = smaller + larger * square <= most**2 * (1 + 1e-12)
    left = np.maximum(most**2 - cells.a_customer(np.where(whole, values**2, 0)), 0)
    level = np.sqrt(left / np.maximum(cells.a_customer((~whole).astype(float)), 1))
    return np.where(whole, values, level)


# -- noise and error -------------------------------------------------------------------------------------------------


def noise_error(shape: Shape, scale: float) -> float:
    """The mean absolute error of the noise alone: of a Gaussian of this sigma, of a Laplace of this b."""
    return scale * math.sqrt(2 / math.pi) if shape == "gaussian" else scale


def total_error(bias: Floats, shape: Shape, scale: float) -> float:
    """The mean over groups of E|bias + noise|."""
    off = np.abs(bias)
    if shape == "laplace":
        return float(np.mean(off + scale * np.exp(-off / scale)))
    around = noise_error("gaussian", scale) * np.exp(-((off / scale) ** 2) / 2)
    return float(np.mean(around + off * (1 - 2 * norm.cdf(-off / scale))))
