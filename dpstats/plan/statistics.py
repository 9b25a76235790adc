"""The aggregates of a query's SELECT list: how each is bounded for one unit, and what is drawn for it.

For a (unit, group) pair, each draw's per-unit value is clipped in whole grid steps to `per_cell` in size, inside the
database, before it is added to anybody else's:

- units: 1 if the unit has a row in the group, so at most 1;
- count: its rows in the group, at most the upper bound of the measure;
- sum: the total of its coded rows, clipped to the measure's bounds;
- average: at most `max_rows` rows of the unit in the group, chosen by a keyed hash of their content; each row's value
  is clipped to the bounds and centred, so the centred sum is at most max_rows * (half the range), the count max_rows.

So a unit that touches at most `max_groups` groups changes at most that many cells of a draw's vector, each by at most
`per_cell`: `Sensitivity(per_cell, max_groups)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from sqlglot import exp

from dpstats.plan.arithmetic import Average, Binary, Constant, Drawn, Expression, NullIfZero
from dpstats.plan.expressions import Compiler, parts_of
from dpstats.plan.grid import Grid, grid_for
from dpstats.plan.refusals import NAMED_REFUSALS
from dpstats.plan.relations import FromClause
from dpstats.plan.typed import UNKNOWN, Kind, Typed

ASKED = (exp.Count, exp.Sum, exp.Avg)
LATER = (
    exp.Median,
    exp.Quantile,
    exp.PercentileCont,
    exp.VariancePop,
    exp.Variance,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
)
OPERATORS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
MAX_ROWS = 20
"""Rows that a unit may bring to one group of an average, unless the query says otherwise."""
Bounds = tuple[Decimal, Decimal]


@dataclass(frozen=True)
class DrawSpec:
    """One vector to draw: its name, kind, grid and the most that one unit moves one cell, in grid steps.

    `row` is the SQL of a row's part over the query's rows, "" where rows are only counted; `coded` the SQL of its code
    over the column `x{statistic}`; `per_unit` the SQL that clips one unit's part in one group.
    """

    name: str
    kind: str
    grid: Fraction
    per_cell: int
    words: str
    statistic: int
    per_unit: str


@dataclass(frozen=True)
class Statistic:
    """One aggregate: the SQL of its rows' values (`row`, "" when rows are only counted) and of their codes."""

    row: str
    code: str
    max_rows: int
    draws: tuple[int, ...]


@dataclass
class Statistics:
    """Collects the aggregates of a SELECT list; the same aggregate asked twice is drawn once."""

    clause: FromClause
    bounds: Mapping[str, Bounds]
    max_rows: int
    one_row: bool
    found: list[Statistic] = field(default_factory=list)
    draws: list[DrawSpec] = field(default_factory=list)
    used_bounds: set[str] = field(default_factory=set)
    _known: dict[tuple[object, ...], Expression] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    """An aggregate's SQL -> the measure that is just this aggregate and has bounds."""
    _share_name: bool = True

    @property
    def compiler(self) -> Compiler:
        return self.clause.compiler

    def expect(self, name: str, node: exp.Expr) -> None:
        """Notes that the measure `name` is this aggregate, so that its bounds hold wherever it is asked again."""
        if name in self.bounds and _is_aggregate(node):
            self._owners[node.sql()] = name

    def measure(self, name: str, node: exp.Expr) -> tuple[Expression, str, str | None]:
        """A measure's expression over the draws, how it is bounded in words, and its unit of measurement."""
        before = len(self.draws)
        if _is_aggregate(node):
            expression = self._statistic(name, node)
        else:
            # A measure's bounds can mean only one aggregate in it.
            self._share_name = len({a.sql() for a in _bounded_aggregates(node)} - self._owners.keys()) == 1
            expression = self._arithmetic(name, node)
            self._share_name = True
        used = sorted(_draws(expression)) or range(before, len(self.draws))
        words = "; ".join(dict.fromkeys(self.draws[i].words for i in used if self.draws[i].words))
        return expression, words, self._unit_of_measurement(node)

    def _unit_of_measurement(self, node: exp.Expr) -> str | None:
        inner = node.this if isinstance(node, exp.Filter) else node
        if isinstance(inner, exp.Sum | exp.Avg) and isinstance(inner.this, exp.Column):
            column = self.clause.column(inner.this)
            return column.measured_in if column else None
        return None

    # -- arithmetic between aggregates -------------------------------------------------------------------------

    def _arithmetic(self, name: str, node: exp.Expr) -> Expression:
        if _is_aggregate(node):
            return self._statistic(name, node)
        if isinstance(node, exp.Paren):
            return self._arithmetic(name, node.this)
        if isinstance(node, exp.Literal) and not node.is_string and math.isfinite(float(node.this)):
            return Constant(float(node.this))
        if isinstance(node, exp.Neg):
            return Binary("-", Constant(0.0), self._arithmetic(name, node.this))
        if type(node) in OPERATORS:
            left, right = self._arithmetic(name, node.this), self._arithmetic(name, node.expression)
            return Binary(OPERATORS[type(node)], left, right)
        if isinstance(node, exp.Nullif) and isinstance(node.expression, exp.Literal) and node.expression.this == "0":
            return NullIfZero(self._arithmetic(name, node.this))
        if isinstance(node, exp.Cast) and node.args["to"].this.value in {"DOUBLE", "FLOAT"}:
            return self._arithmetic(name, node.this)
        return self._refused(node)

    def _refused(self, node: exp.Expr) -> Expression:
        named = node.find(*NAMED_REFUSALS, *LATER)
        if named is None:
            inner = node.this if isinstance(node, exp.Filter) else node
            what = f"{inner.key.upper()} between or instead of aggregates"
            instead = (
                "Measures are COUNT, COUNT(DISTINCT unit), SUM and AVG, and + - * / and NULLIF(.., 0) between them"
            )
        elif isinstance(named, LATER):
            what, instead = f"{named.key.upper()} is not among the statistics of this version", "Use COUNT, SUM or AVG"
        else:
            what, instead = NAMED_REFUSALS[type(named)]
        self.clause.refusals.add(named or node, what, instead)
        return Constant(0.0)

    # -- one aggregate -----------------------------------------------------------------------------------------

    def _statistic(self, name: str, node: exp.Expr) -> Expression:
        condition = None
        aggregate = node
        if isinstance(node, exp.Filter):
            aggregate, condition = node.this, self.compiler.condition(node.expression.this, self.clause)
        argument = aggregate.this
        if argument is None or isinstance(argument, exp.Order | exp.Limit) or parts_of(aggregate) - {"this"}:
            return self._refused(aggregate)
        if isinstance(aggregate, exp.Count):
            return self._count(name, aggregate, condition)
        if isinstance(argument, exp.Distinct):
            self.clause.refusals.add(
                node, f"{aggregate.key.upper()}(DISTINCT ..)", "Aggregate per unit in a subquery first"
            )
            return Constant(0.0)
        value = self.compiler.compile(argument, self.clause)
        if not value.kind.is_number:
            self.clause.refusals.add(node, f"{aggregate.key.upper()} of {value.kind}", "CAST it to a number")
            return Constant(0.0)
        if isinstance(aggregate, exp.Avg):
            return self._average(name, node, value, condition)
        return self._sum(name, node, value, condition)

    def _count(self, name: str, node: exp.Count, condition: str | None) -> Expression:
        argument = node.this
        if isinstance(argument, exp.Distinct):
            return self._units(name, node, condition)
        row = "" if argument == exp.Star() else self.compiler.compile(argument, self.clause).sql
        parts = [f"({row}) IS NOT NULL"] if row else []
        parts += [f"({condition})"] if condition else []
        sql = f"CASE WHEN {' AND '.join(parts)} THEN 1::BIGINT END" if parts else ""
        bounds = self._bounds(name, node.parent if isinstance(node.parent, exp.Filter) else node)
        if bounds is None:
            bounds = (Decimal(0), Decimal(1)) if self.one_row else None
        least, most = (math.ceil(bounds[0]), math.floor(bounds[1])) if bounds else (0, 0)
        if not 0 <= least <= most or most < 1:
            self.clause.refusals.add(
                node,
                f"no bound on the rows that one unit adds to {name}",
                f"Write bounds: {{{name}: [0, m]}} with m >= 1 rows of one unit in one group",
            )
            return Constant(0.0)
        words = f"clipped to [{least}, {most}]"
        counted = "count(x{i})" if sql else "count(*)"
        clip = f"CASE WHEN {counted} > 0 THEN greatest({least}, least({most}, {counted})) ELSE 0 END"
        return self._single(("count", sql, most, least), name, "count", Grid(Fraction(1)), most, words, sql, "", clip)

    def _units(self, name: str, node: exp.Count, condition: str | None) -> Expression:
        listed = node.this.expressions
        unit = self.compiler.compile(listed[0], self.clause, unit=True) if len(listed) == 1 else UNKNOWN
        if not unit.unit:
            self.clause.refusals.add(
                node,
                "COUNT(DISTINCT ..) of something other than the privacy unit",
                "Count the unit's id; other distinct counts are not among this version's statistics",
            )
            return Constant(0.0)
        always = unit.sql == self.clause.unit and condition is None
        present = f"{unit.sql} IS NOT NULL" + (f" AND ({condition})" if condition else "")
        row = "" if always else f"CASE WHEN {present} THEN 1::BIGINT END"
        per_unit = "1::BIGINT" if always else "CASE WHEN count(x{i}) > 0 THEN 1::BIGINT ELSE 0 END"
        return self._single(("units", row), name, "units", Grid(Fraction(1)), 1, "", row, "", per_unit)

    def _sum(self, name: str, node: exp.Expr, value: Typed, condition: str | None) -> Expression:
        bounds = self._bounds(name, node)
        if bounds is None and self.one_row and value.bounded:
            bounds = (Decimal(value.low), Decimal(value.high))
        if bounds is None or not any(bounds):
            self.clause.refusals.add(
                node,
                f"no bounds on one unit's total of {name}",
                f"Write bounds: {{{name}: [low, high]}}: what one unit may add to one group",
            )
            return Constant(0.0)
        if not value.bounded:
            self.clause.refusals.add(
                node,
                "SUM of a value without proven bounds",
                "Give its columns `bounds` in dataset.yaml, or write LEAST(GREATEST(x, low), high)",
            )
            return Constant(0.0)
        row_largest = max(abs(value.low), abs(value.high))
        grid = grid_for(max(abs(end) for end in bounds), row_largest, whole=value.kind is Kind.INT)
        low, high = grid.up(bounds[0]), grid.down(bounds[1])
        if low > high:
            return self._too_close(name, node)
        row = _filtered(value.sql, condition)
        code = grid.code(_named(value), grid.down(value.low), grid.up(value.high))
        clip = (
            f"CASE WHEN count(v{{i}}) > 0 THEN greatest({low}::HUGEINT, least({high}::HUGEINT, sum(v{{i}}))) ELSE 0 END"
        )
        words = f"clipped to [{_plain(bounds[0])}, {_plain(bounds[1])}]"
        most = max(abs(low), abs(high), 1)
        return self._single(("sum", row, low, high, grid), name, "sum", grid, most, words, row, code, clip)

    def _average(self, name: str, node: exp.Expr, value: Typed, condition: str | None) -> Expression:
        bounds = self._bounds(name, node) or ((Decimal(value.low), Decimal(value.high)) if value.bounded else None)
        if bounds is None or bounds[0] >= bounds[1]:
            self.clause.refusals.add(
                node,
                f"no bounds on a row's value of {name}",
                f"Give its columns `bounds` in dataset.yaml, or write bounds: {{{name}: [low, high]}}",
            )
            return Constant(0.0)
        rows = 1 if self.one_row else self.max_rows
        row = _filtered(value.sql, condition)
        key = ("average", row, bounds, rows)
        if key in self._known:
            return self._known[key]
        grid = grid_for(bounds[1] - bounds[0], max(abs(float(end)) for end in bounds), whole=False)
        low, high = grid.up(bounds[0]), grid.down(bounds[1])
        if low >= high:
            return self._too_close(name, node)
        centre = (low + high) // 2
        reach = max(high - centre, centre - low, 1)
        index, first = len(self.found), len(self.draws)
        code = grid.code(_named(value, index), low, high)
        words = f"max_rows {rows}, values clipped to [{_plain(bounds[0])}, {_plain(bounds[1])}]"
        kept = f"FILTER (WHERE r{index} <= {rows} AND v{index} IS NOT NULL)"
        total = f"coalesce(sum(v{index} - {centre}::BIGINT) {kept}, 0)"
        clipped = f"greatest({-rows * reach}::HUGEINT, least({rows * reach}::HUGEINT, {total}))"
        counted = f"least({rows}, count(*) {kept})"
        self.draws += [
            DrawSpec(f"{name}.sum", "rows_sum", grid.step, rows * reach, words, index, clipped),
            DrawSpec(f"{name}.rows", "count", Fraction(1), rows, words, index, counted),
        ]
        self.found.append(Statistic(row, code, rows, (first, first + 1)))
        low_value, high_value = float(low * grid.step), float(high * grid.step)
        expression = Average(first, first + 1, float(centre * grid.step), low_value, high_value)
        self._known[key] = expression
        return expression

    def _too_close(self, name: str, node: exp.Expr) -> Expression:
        self.clause.refusals.add(node, f"bounds of {name} that no step of its grid lies between", "Widen them")
        return Constant(0.0)

    def _single(
        self,
        key: tuple[object, ...],
        name: str,
        kind: str,
        grid: Grid,
        per_cell: int,
        words: str,
        row: str,
        code: str,
        per_unit: str,
    ) -> Expression:
        if key in self._known:
            return self._known[key]
        index, place = len(self.found), len(self.draws)
        sql = per_unit.replace("{i}", str(index))
        self.draws.append(DrawSpec(name, kind, grid.step, per_cell, words, index, sql))
        self.found.append(Statistic(row, code.replace("x{i}", f"x{index}"), 0, (place,)))
        self._known[key] = Drawn(place)
        return self._known[key]

    def _bounds(self, name: str, node: exp.Expr) -> Bounds | None:
        """The bounds of the measure that is this aggregate; else those of the measure that it is part of."""
        name = self._owners.get(node.sql(), name if self._share_name else "")
        if name in self.bounds:
            self.used_bounds.add(name)
            return self.bounds[name]
        return None


def _is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, ASKED) or (isinstance(node, exp.Filter) and isinstance(node.this, ASKED))


def _bounded_aggregates(node: exp.Expr) -> list[exp.Expr]:
    """The aggregates in an expression that need bounds, with their FILTER."""
    found: list[exp.Expr] = []
    for aggregate in node.find_all(*ASKED):
        if not isinstance(aggregate.this, exp.Distinct):
            found.append(aggregate.parent if isinstance(aggregate.parent, exp.Filter) else aggregate)
    return found


def _draws(expression: Expression) -> set[int]:
    match expression:
        case Drawn(index):
            return {index}
        case Average(total, count):
            return {total, count}
        case Binary(_, left, right):
            return _draws(left) | _draws(right)
        case NullIfZero(operand):
            return _draws(operand)
        case Constant():
            return set()


def _filtered(sql: str, condition: str | None) -> str:
    return f"CASE WHEN {condition} THEN {sql} END" if condition else sql


def _named(value: Typed, index: int | None = None) -> Typed:
    """The value once it has a column of its own, x{statistic}."""
    name = "x{i}" if index is None else f"x{index}"
    return Typed(name, value.kind, value.low, value.high)


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
