"""ORDER BY measure DESC LIMIT k: only the k groups with the largest counts or sums are released.

Where keys are declared, OpenDP selects the k groups by their exact values, and the measures of those are drawn after it
(`privacy/selection.py`). One unit moves the values of two groups apart by at most what it adds to one of them, or takes
from the other: the most that its part can be, less the least. Its parts in the k winners are at most k, so the draws
after the selection change in at most min(max_groups, k) cells. Where keys are found in the data, every group that the
threshold lets pass has its noisy values already, and the largest of those are kept: that is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dpstats.plan.arithmetic import Drawn, Expression
from dpstats.plan.moments import DrawSpec
from dpstats.plan.refusals import Refusals

ORDERED = {"count", "units", "sum"}
"""The kinds of draws that groups can be ordered by."""


@dataclass(frozen=True)
class TopSpec:
    """The `k` groups with the largest `draw`, which is the measure called `name`."""

    name: str
    draw: int
    k: int


def ordered_measure(select: exp.Select, names: Sequence[str]) -> str | None:
    """The measure by which a SELECT orders its groups: by its name, its number or its text; None for something else."""
    (item,) = select.args["order"].expressions
    node = item.this
    for place, each in enumerate(select.expressions, start=1):
        by_number = isinstance(node, exp.Literal) and not node.is_string and node.this == str(place)
        by_name = isinstance(node, exp.Column) and not node.table and node.name.lower() == each.alias.lower() != ""
        if (by_number or by_name or node == each.unalias()) and each.alias in names:
            return str(each.alias)
    return None


def top_of(
    select: exp.Select, outputs: Mapping[str, Expression], draws: Sequence[DrawSpec], refusals: Refusals
) -> TopSpec | None:
    """What ORDER BY and LIMIT ask for; None where there is neither, or where it was refused."""
    order, limit = select.args.get("order"), select.args.get("limit")
    if order is None and limit is None:
        return None
    k = _limit(limit)
    if order is None or k is None:
        refusals.add(order or limit, "ORDER BY without LIMIT, or LIMIT without ORDER BY", _WRITE)
        return None
    if len(order.expressions) != 1 or not _falls(order.expressions[0]):
        refusals.add(order, "an order that is not by one measure, the largest first", _WRITE)
        return None
    name = ordered_measure(select, list(outputs))
    expression = outputs.get(name) if name is not None else None
    if name is None or not isinstance(expression, Drawn) or draws[expression.index].kind not in ORDERED:
        refusals.add(order, "an order by something that is not a COUNT or a SUM of the SELECT list", _WRITE)
        return None
    return TopSpec(name, expression.index, k)


_WRITE = "Write ORDER BY measure DESC LIMIT k, of a COUNT or a SUM; rows come sorted by key"


def _limit(limit: exp.Expr | None) -> int | None:
    if not isinstance(limit, exp.Limit) or limit.args.get("limit_options") or limit.args.get("offset"):
        return None
    number = limit.expression
    if not isinstance(number, exp.Literal) or number.is_string or not number.this.isdigit() or len(number.this) > 7:
        return None
    return int(number.this) or None


def _falls(item: exp.Expr) -> bool:
    return isinstance(item, exp.Ordered) and bool(item.args.get("desc")) and not item.args.get("with_fill")


def moved_apart(spec: DrawSpec) -> int:
    """The most by which one unit moves the values of two groups apart, in grid steps.

    Its parts lie in a span of `spec.span` steps, 0 among them; a norm bounds each part's size too.
    """
    span = spec.per_cell if spec.span is None else spec.span
    if spec.norm is None:
        return span
    return min(span, spec.norm * (2 if span > spec.per_cell else 1))
