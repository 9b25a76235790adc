"""The same query at other prices, so that a reader can weigh cost against error before anything is spent. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from dpstats.errors import QueryRefused
from dpstats.plan.analysis import Analysis
from dpstats.plan.build import priced
from dpstats.plan.plan import Plan

TIMES = (Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2), Fraction(4))
"""The prices that are shown, as multiples of the query's own."""


def other_costs(analysis: Analysis, plan: Plan) -> Iterator[Plan]:
    """The plan at each multiple of its cost that a query may have, cheapest first; its draws share it as they do now.

    Only `draws`, `top`, `threshold` and `loss` are made anew; nothing else of these plans is to be relied on.
    """
    for times in TIMES:
        try:
            paid = priced(analysis, plan.groups, times)
        except QueryRefused:  # more than a query may cost, or more or less noise than can be drawn
            continue
        yield replace(plan, draws=paid.draws, top=paid.top, threshold=paid.threshold, loss=paid.loss)
