"""How many rows of a public table one personal row may meet in a join.

Claim: in a FROM clause with its WHERE, the rows of one unit are at most the product of its rows in the personal items
times, for each public item, the most of that item's rows that share a value in the columns which `_equated` finds.
Argument: add the items one after the other, the personal ones first. A row made so far meets only those rows of the
next item whose every equated column has the value that the other side has in that row: columns of items that are there
already, or none at all. A condition in the ON of a LEFT JOIN binds the item that it joins and no other; a row that
meets nothing stays one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from dpstats.plan.fanout import Matches
from dpstats.plan.functions import same_kind
from dpstats.plan.typed import quoted

if TYPE_CHECKING:
    from dpstats.plan.relations import FromClause, Joined


@dataclass(frozen=True)
class Condition:
    """One condition that AND connects to others; in the ON of a LEFT JOIN it binds the item `only` alone."""

    node: exp.Expr
    only: str | None = None


def conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    """The conditions that AND connects, in whatever parentheses."""
    if condition is None:
        return []
    bare = condition.unnest()
    return [part for side in bare.flatten() for part in conjuncts(side)] if isinstance(bare, exp.And) else [bare]


def matches_of(clause: FromClause) -> tuple[Matches, ...]:
    """The public items of an understood clause."""
    known = {item.alias for item in clause.items if item.relation.personal}
    found = []
    for item in clause.items:
        if not item.relation.personal:
            found.append(_matches(clause, item, known))
            known.add(item.alias)
    return tuple(found)


def _matches(clause: FromClause, item: Joined, known: set[str]) -> Matches:
    nodes = [c.node for c in clause.conditions if c.only in {None, item.alias}]
    columns = sorted({column for node in nodes for column in _equated(clause, item, node, known)})
    source = f"FROM {item.relation.sql}"
    if columns:
        present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        source += f" WHERE {present} GROUP BY {', '.join(columns)}"
    name = item.alias + (f" with one {', '.join(columns)}" if columns else "")
    return Matches(name, f"SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n {source}) AS dp_counted")


def _equated(clause: FromClause, item: Joined, node: exp.Expr, known: set[str]) -> list[str]:
    """The SQL of the item's column that the condition sets equal to something known, if it does."""
    if not isinstance(node, exp.EQ):
        return []
    for mine, other in ((node.this, node.expression), (node.expression, node.this)):
        if not isinstance(mine, exp.Column) or clause.owner(mine) is not item:
            continue
        if {clause.owner(column).alias for column in other.find_all(exp.Column)} <= known:
            column, value = (clause.compiler.compile(side, clause, unit=True) for side in (mine, other))
            # Compared as another kind, different values of the column may be equal.
            if same_kind((column, value)) is column.kind:
                return [column.sql.removeprefix(f"{quoted(item.alias)}.")]
    return []
