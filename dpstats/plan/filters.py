"""Which of a query's conditions look at its parameters: what is kept at rest is of the others alone.

Nothing here decides what is answered: `Filters` says the same rows as the query's WHERE, in two steps. Each condition
that AND connects in the outer WHERE is true or not of one row of the join, so the rows that meet all of them are those
that meet the ones without parameters and, of these, those that meet the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlglot import exp

from dpstats.plan.expressions import Compiler
from dpstats.plan.matches import conjuncts
from dpstats.plan.relations import FromClause
from dpstats.plan.typed import Kind, Typed

DAYS = {Kind.DATE, Kind.TIMESTAMP}
SWAPPED: dict[type[exp.Expr], type[exp.Expr]] = {exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE}


@dataclass(frozen=True)
class Span:
    """Rows that pass have a date in the column `f{column}`, from `since` to `until`, parameters by name.

    `closed`: the date `until` itself may be among them.
    """

    column: int
    since: str
    until: str
    closed: bool


@dataclass(frozen=True)
class Filters:
    """`body`: FROM .. WHERE .. without the conditions that look at parameters; these stand over `f0`, `f1`, ..

    `columns`: the SQL over the body's rows of what those conditions look at: `f0`, `f1`, .. `public`: a public table's
    columns are among them.
    """

    body: str
    columns: tuple[str, ...]
    conditions: tuple[str, ...]
    span: Span | None
    public: bool


@dataclass
class _Columns:
    """Where names are looked up: the clause's columns, each under a name of its own."""

    clause: FromClause
    found: dict[str, int] = field(default_factory=dict)
    public: bool = False

    def column(self, node: exp.Column) -> Typed | None:
        column = self.clause.column(node)
        self.public |= column is not None and not self.clause.owner(node).relation.personal
        return column and replace(column, sql=f"f{self.found.setdefault(column.sql, len(self.found))}")

    def replace(self, node: exp.Expr) -> Typed | None:
        return None


def filters_of(select: exp.Select, clause: FromClause, compiler: Compiler) -> Filters:
    """The outer WHERE of an understood query, in two steps."""
    where = select.args.get("where")
    parts = conjuncts(where.this if where else None)
    fixed = [part for part in parts if not _parameters(part)]
    asked = [part for part in parts if _parameters(part)]
    names = _Columns(clause)
    conditions = tuple(compiler.condition(part, names) for part in asked)
    body = replace(clause, where=[compiler.condition(part, clause) for part in fixed]).body
    return Filters(body, tuple(names.found), conditions, _span(asked, clause, names), names.public)


def _parameters(part: exp.Expr) -> bool:
    return part.find(exp.Placeholder, exp.Parameter) is not None


def _span(parts: list[exp.Expr], clause: FromClause, names: _Columns) -> Span | None:
    """The first column of dates that parameters bound on both sides."""
    since: dict[int, str] = {}
    until: dict[int, tuple[str, bool]] = {}
    for part in parts:
        for column, kind, parameter in _comparisons(part):
            typed = clause.column(column)
            if typed is None or typed.kind not in DAYS:
                continue
            place = names.found[typed.sql]
            if kind in {exp.GT, exp.GTE}:
                since.setdefault(place, parameter)
            else:
                until.setdefault(place, (parameter, kind is exp.LTE))
    return next((Span(place, since[place], *until[place]) for place in sorted(since.keys() & until.keys())), None)


def _comparisons(part: exp.Expr) -> list[tuple[exp.Column, type[exp.Expr], str]]:
    """What a condition says of columns and parameters: `column >= $parameter` and the like."""
    if isinstance(part, exp.Between) and isinstance(part.this, exp.Column):
        ends = [(exp.GTE, part.args["low"]), (exp.LTE, part.args["high"])]
        return [(part.this, kind, name) for kind, node in ends if (name := _name(node))]
    if type(part) not in SWAPPED:
        return []
    left, right = part.this, part.expression
    if isinstance(left, exp.Column) and _name(right):
        return [(left, type(part), _name(right))]
    if isinstance(right, exp.Column) and _name(left):
        return [(right, SWAPPED[type(part)], _name(left))]
    return []


def _name(node: exp.Expr) -> str:
    """A parameter's name; "" for anything else."""
    if not isinstance(node, exp.Placeholder | exp.Parameter):
        return ""
    return str(node.this or "")
