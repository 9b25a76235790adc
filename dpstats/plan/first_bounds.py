"""The line to paste where a query does not say how much of one unit counts: with numbers, from the files alone.

They are a first guess that says what it takes for granted, so that a steward can put better ones in its place: that a
unit has up to `max_rows` rows in a group, each within its columns' bounds, and is in up to `GROUPS` groups. No row is
looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlglot import exp

from dpstats.catalog.query import Contribution
from dpstats.plan.arithmetic import Average, Drawn, Expression, Spread, draws_of
from dpstats.plan.moments import DrawSpec
from dpstats.plan.relations import FromClause
from dpstats.plan.typed import Typed
from dpstats.plan.wording import counted, plainly, rounded_up
from dpstats.privacy.loss import Measure

GROUPS = 16
"""The groups that a unit is taken to be in, where there are as many."""


def keys_line(name: str, node: exp.Expr, clause: FromClause, *, private: bool) -> str:
    """What to write for a key: the public column that it is, where it is one; else its values are to be listed.

    Args:
      private: whether they may be found in the data instead.
    """
    if isinstance(node, exp.Column) and not (relation := clause.owner(node).relation).personal and relation.table:
        return f"Write keys: {{{name}: {{from: {relation.table}.{node.name}}}}}"
    found = ", or {private: true}: those that many units share are found in the data, which costs delta" * private
    return f"Write keys: {{{name}: {{values: [..]}}}} or {{from: public_table.column}}{found}"


def total_bounds(value: Typed, rows: int) -> tuple[Decimal, Decimal]:
    """Between what so many rows of a bounded value can add up to; never both 0."""
    low, high = (plainly(rows * end) for end in (min(value.low, 0.0), max(value.high, 0.0)))
    return (Decimal(low), Decimal(high)) if Decimal(low) or Decimal(high) else (Decimal(0), Decimal(1))


def total_line(name: str, bounds: tuple[Decimal, Decimal], rows: int) -> str:
    """What to write for a SUM: `Write bounds: {spend: [0, 2000]}: ..`."""
    low, high = (plainly(float(end)) for end in bounds)
    return (
        f"Write bounds: {{{name}: [{low}, {high}]}}: what one unit may add to one group (here "
        f"{counted(rows, 'row')} at their columns' bounds; a closer guess has less noise)"
    )


def groups_line(
    outputs: Mapping[str, Expression],
    draws: Sequence[DrawSpec],
    contribution: Contribution,
    measure: Measure,
    most: int,
) -> str:
    """What to write for `contribution`: what drops no group first, where it can be had.

    Args:
      outputs: the measures; none where keys are private, which need groups dropped.
      draws: theirs, bounded in each group, without a norm.
      contribution: what the file says.
      most: the groups that one unit can be in, as far as the files say.
    """
    groups = min(most, GROUPS)
    norms = ", ".join(f"{name}: {plainly(norm)}" for name, norm in _norms(outputs, draws, groups, measure).items())
    rows = "" if contribution.max_rows is None else f", max_rows: {contribution.max_rows}"
    dropping = f"contribution: {{max_groups: {groups}{rows}}}, which keeps so many groups of a unit, by a keyed hash"
    if not norms:
        return f"Write {dropping}"
    cut = "nothing within the bounds" if groups == most else f"only a unit at its bounds in more than {groups} groups"
    return (
        f"Write contribution: {{max_norm: {{{norms}}}}}, which drops no group and cuts {cut} (a smaller norm has less "
        f"noise); or {dropping}"
    )


def _norms(
    outputs: Mapping[str, Expression], draws: Sequence[DrawSpec], groups: int, measure: Measure
) -> dict[str, float]:
    """The norm of each measure at its bounds in so many groups; empty where one of them can have none, or no one's."""
    plain = {name: each for name, each in outputs.items() if isinstance(each, Drawn | Average | Spread)}
    used = {place for each in outputs.values() for place in draws_of(each)}
    if used - {place for each in plain.values() for place in draws_of(each)} or not all(
        map(draws_of, outputs.values())
    ):
        return {}  # several aggregates would share a norm, which is by the name of their measure; or one was refused
    if any(draws[place].kind == "distinct" or draws[place].quantiles is not None for place in used):
        return {}
    times = math.sqrt(groups) if measure is Measure.ZCDP else float(groups)
    named = {frozenset(draws_of(each)): name for name, each in plain.items()}  # of two names for one, the last counts
    return {name: rounded_up(_size([draws[place] for place in places]) * times, 4) for places, name in named.items()}


def _size(draws: Sequence[DrawSpec]) -> float:
    """The most that one unit adds to a cell, in the units of the measure: rows of an average, which weigh the rest."""
    weighing = next((draw for draw in draws if draw.kind in {"units", "count"}), draws[0])
    return float(weighing.per_cell * weighing.grid)
