"""The aggregates of a query's SELECT list: how each is bounded for one unit, and what is drawn for it.

For a (unit, group) pair, each draw's per-unit value is clipped in whole grid steps to `per_cell` in size, inside the
database, before it is added to anybody else's:

- units: 1 if the unit has a row in the group, so at most 1;
- count: its rows in the group, at most the upper bound of the measure;
- sum: the total of its coded rows, clipped to the measure's bounds;
- distinct values: at most the upper bound of the measure of them, chosen by a keyed hash of unit and value; a number of
  distinct values over all units grows by at most as many as a unit adds;
- quantiles: at most `max_rows` rows of the unit in the group, so counts of rows by value change by no more in sum
  (`privacy/quantiles.py`);
- average: at most `max_rows` rows of the unit in the group, chosen by a keyed hash of their content; each row's value
  is clipped to the bounds and centred, so the centred sum is at most max_rows * (half the range), the count max_rows.

So a unit that touches at most `max_groups` groups changes at most that many cells of a draw's vector, each by at most
`per_cell`: `Sensitivity(per_cell, max_groups)`.

With `max_norm`, which quantiles and distinct values refuse, no group and no row is dropped: the largest entries of the
unit's vector over all groups are cut, in `sql.py`, until its norm is at most `norm` (L2 for Gaussian noise, L1 for
Laplace), which is then its sensitivity. The draws behind an average share the cuts of the unit's numbers of rows n:
each centred row is at most `reach` in size, so where n is cut by a factor, so are the sums, and their norm is at most
reach times the norm of what is left of n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial

from sqlglot import exp

from dpstats.plan.arithmetic import Average, Binary, Constant, Drawn, Expression, NullIfZero, Quantile, Spread, draws_of
from dpstats.plan.expressions import Compiler, parts_of
from dpstats.plan.first_bounds import total_bounds, total_line
from dpstats.plan.grid import grid_for
from dpstats.plan.limits import Bounds, Limits
from dpstats.plan.moments import FRACTION, SATURATED, Adds, DrawSpec, Moments, moment_draws
from dpstats.plan.plan import Quantiles
from dpstats.plan.quantiles import candidate_codes, quantile_draw, share_of
from dpstats.plan.refusals import NAMED_REFUSALS
from dpstats.plan.relations import FromClause
from dpstats.plan.typed import Kind, Typed

SPREADS = (exp.VariancePop, exp.StddevPop)
MOMENTS = (exp.Avg, *SPREADS)
MEDIANS = (exp.Median, exp.PercentileCont)
ASKED = (exp.Count, exp.Sum, *MOMENTS, *MEDIANS)
OPERATORS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
SMALLEST, LARGEST = 1e-15, 1e15
"""The sizes of constants that may stand between aggregates."""
MAX_ROWS = 20
"""Rows that a unit may bring to one group of an average, unless the query says otherwise."""


@dataclass(frozen=True)
class Statistic:
    """One aggregate: the SQL of its rows' values (`row`, "" when rows are only counted) and of their codes."""

    row: str
    code: str
    max_rows: int
    draws: tuple[int, ...]
    distinct: int = 0
    """Distinct values of one unit that are kept in a group; 0 for other statistics."""
    candidates: tuple[int, ...] = ()
    """The codes about which rows are counted for a quantile; empty for other statistics."""


@dataclass
class Statistics:
    """Collects the aggregates of a SELECT list; the same aggregate asked twice is drawn once."""

    clause: FromClause
    limits: Limits
    max_rows: int
    one_row: bool
    found: list[Statistic] = field(default_factory=list)
    draws: list[DrawSpec] = field(default_factory=list)
    _known: dict[tuple[object, ...], Expression] = field(default_factory=dict)
    _drawn_moments: dict[tuple[object, ...], int] = field(default_factory=dict)
    _spread_rows: set[str] = field(default_factory=set)
    """The rows whose variance is asked: an average of the same rows uses its moments."""
    _shares: dict[str, set[Fraction]] = field(default_factory=dict)
    """The quantiles that are asked of the same rows: several share a tree."""

    @property
    def compiler(self) -> Compiler:
        return self.clause.compiler

    def expect(self, name: str, node: exp.Expr) -> None:
        """Notes that the measure `name` is this aggregate, so that its bounds hold wherever it is asked again."""
        self._spread_rows |= {self._row_of(spread) for spread in node.find_all(*SPREADS)}
        for quantile in node.find_all(*MEDIANS):
            share = share_of(quantile)
            if share is not None:
                self._shares.setdefault(self._row_of(quantile), set()).add(share)
        if _is_aggregate(node):
            self.limits.own(name, node)

    def measure(self, name: str, node: exp.Expr) -> tuple[Expression, str, str | None]:
        """A measure's expression over the draws, how it is bounded in words, and its unit of measurement."""
        before = len(self.draws)
        self.limits.within(None if _is_aggregate(node) else self._bounded_aggregates(node))
        expression = self._arithmetic(name, node)
        used = sorted(draws_of(expression)) or range(before, len(self.draws))
        words = "; ".join(dict.fromkeys(self.draws[i].words for i in used if self.draws[i].words))
        return expression, words, self._unit_of_measurement(node)

    def _row_of(self, spread: exp.Expr) -> str:
        """The SQL of the rows that an aggregate looks at; "" where it is not understood, which is refused later."""
        if not isinstance(spread.this, exp.Expr) or isinstance(spread.this, exp.Distinct | exp.Order | exp.Limit):
            return ""
        condition = None
        if isinstance(spread.parent, exp.Filter):
            condition = self.compiler.condition(spread.parent.expression.this, self.clause)
        return _filtered(self.compiler.compile(spread.this, self.clause).sql, condition)

    def _bounded_aggregates(self, node: exp.Expr) -> list[exp.Expr]:
        """The aggregates in an expression that need bounds, with their FILTER: all but counts of units."""
        asked = [each for each in node.find_all(*ASKED) if not self._counts_units(each)]
        return [each.parent if isinstance(each.parent, exp.Filter) else each for each in asked]

    def _counts_units(self, aggregate: exp.Expr) -> bool:
        argument = aggregate.this
        if not (isinstance(aggregate, exp.Count) and isinstance(argument, exp.Distinct)):
            return False
        return any(self.compiler.compile(each, self.clause, unit=True).unit for each in argument.expressions)

    def _unit_of_measurement(self, node: exp.Expr) -> str | None:
        inner = node.this if isinstance(node, exp.Filter) else node
        if isinstance(inner, exp.Sum | exp.Avg | exp.StddevPop | exp.Median | exp.PercentileCont) and isinstance(
            inner.this, exp.Column
        ):
            column = self.clause.column(inner.this)
            return column.measured_in if column else None
        return None

    # -- arithmetic between aggregates -------------------------------------------------------------------------

    def _arithmetic(self, name: str, node: exp.Expr) -> Expression:
        if _is_aggregate(node):
            return self._statistic(name, node)
        if isinstance(node, exp.Paren):
            return self._arithmetic(name, node.this)
        if isinstance(node, exp.Literal) and not node.is_string and _is_sane(float(node.this)):
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
        named = node.find(*NAMED_REFUSALS)
        if named is None:
            inner = node.this if isinstance(node, exp.Filter) else node
            what = f"{inner.key.upper()} between or instead of aggregates"
            instead = (
                "Measures are COUNT, COUNT(DISTINCT ..), SUM, AVG, VAR_POP, STDDEV_POP, MEDIAN and QUANTILE_CONT, and "
                "+ - * / and NULLIF(.., 0) between them"
            )
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
        known_parts = {"this", "expression"} if isinstance(aggregate, exp.PercentileCont) else {"this"}
        if argument is None or isinstance(argument, exp.Order | exp.Limit) or parts_of(aggregate) - known_parts:
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
        if isinstance(aggregate, MOMENTS):
            return self._moments(name, node, value, condition)
        if isinstance(aggregate, MEDIANS):
            return self._quantile(name, node, value, condition)
        return self._sum(name, node, value, condition)

    def _count(self, name: str, node: exp.Count, condition: str | None) -> Expression:
        argument = node.this
        if isinstance(argument, exp.Distinct):
            return self._units(name, node, condition)
        row = "" if argument == exp.Star() else self.compiler.compile(argument, self.clause).sql
        parts = [f"({row}) IS NOT NULL"] if row else []
        parts += [f"({condition})"] if condition else []
        sql = f"CASE WHEN {' AND '.join(parts)} THEN 1::BIGINT END" if parts else ""
        owner = node.parent if isinstance(node.parent, exp.Filter) else node
        norm, bounds = self.limits.norm(name, owner), self.limits.of(name, owner)
        if bounds is None:
            bounds = (Decimal(0), Decimal(1)) if self.one_row else self._unclipped(norm)
        least, most = (math.ceil(bounds[0]), math.floor(bounds[1])) if bounds else (0, 0)
        if norm is not None:
            most = min(most, SATURATED // FRACTION)  # so that squares add up inside 128 bits
        if not 0 <= least <= most or most < 1:
            self.clause.refusals.add(
                node,
                f"no bound on the rows that one unit adds to {name}",
                self.limits.line(name, owner, partial(self._most_line, "rows")),
            )
            least, most = 0, self.max_rows
        counted = "count(x{i})" if sql else "count(*)"
        clip = f"CASE WHEN {counted} > 0 THEN greatest({least}, least({most}, {counted})) ELSE 0 END"
        adds = Adds("x{i}" if sql else "", counted=True, low=0, high=most) if least <= 1 else None
        words = "" if bounds == self._unclipped(norm) else f"clipped to [{least}, {most}]"
        spec = DrawSpec(name, "count", Fraction(1), most, words, len(self.found), clip, adds=adds, least=0)
        return self._single(("count", sql, most, least, norm), self._fractional(node, spec, norm), sql, "")

    def _most_line(self, of: str, name: str) -> str:
        return f"Write bounds: {{{name}: [0, {self.max_rows}]}}: the most {of} of one unit in one group, 1 or more"

    def _units(self, name: str, node: exp.Count, condition: str | None) -> Expression:
        listed = node.this.expressions
        if len(listed) != 1:
            return self._several(node)
        unit = self.compiler.compile(listed[0], self.clause, unit=True)
        if not unit.unit:
            return self._distinct(name, node, unit, condition)
        always = unit.sql == self.clause.unit and condition is None
        present = f"{unit.sql} IS NOT NULL" + (f" AND ({condition})" if condition else "")
        row = "" if always else f"CASE WHEN {present} THEN 1::BIGINT END"
        per_unit = "1::BIGINT" if always else "CASE WHEN count(x{i}) > 0 THEN 1::BIGINT ELSE 0 END"
        norm = self.limits.norm(name, node.parent if isinstance(node.parent, exp.Filter) else node)
        adds = Adds("" if always else "x{i}", counted=True, once=True)
        spec = DrawSpec(name, "units", Fraction(1), 1, "", len(self.found), per_unit, adds=adds, least=0)
        return self._single(("units", row, norm), self._fractional(node, spec, norm), row, "")

    def deciding_units(self) -> int:
        """The draw that counts each group's units, added if the query has none: it decides which keys are released."""
        spec = DrawSpec("units", "units", Fraction(1), 1, "", len(self.found), "1::BIGINT", least=0)
        expression = self._single(("units", "", None), spec, "", "")
        return expression.index if isinstance(expression, Drawn) else -1

    def counted_units(self) -> int | None:
        """The draw that counts all of a group's units: the query's own, or one that is added.

        None: with `max_norm` one cannot be added, since the file does not say how far a unit moves it.
        """
        for statistic in self.found:
            if not statistic.row and self.draws[statistic.draws[0]].kind == "units":
                return statistic.draws[0]
        return self.deciding_units() if self.limits.norms is None else None

    def _distinct(self, name: str, node: exp.Count, value: Typed, condition: str | None) -> Expression:
        """COUNT(DISTINCT x): the number of values that any unit has in the group."""
        owner = node.parent if isinstance(node.parent, exp.Filter) else node
        bounds = self.limits.of(name, owner)
        if self.limits.norms is not None:
            self.clause.refusals.add(
                node, "max_norm for a number of distinct values", "Write contribution: {max_groups}"
            )
        if value.kind is Kind.INTERVAL:
            return self._several(node)
        if bounds is None and self.one_row:
            bounds = (Decimal(0), Decimal(1))
        if bounds is None or bounds[0] != 0 or bounds[1] < 1:
            self.clause.refusals.add(
                node,
                f"no bound on the distinct values that one unit adds to {name}",
                self.limits.line(name, owner, partial(self._most_line, "values")),
            )
            bounds = (Decimal(0), Decimal(self.max_rows))
        most, row = int(bounds[1]), _filtered(value.sql, condition)
        spec = DrawSpec(
            name, "distinct", Fraction(1), most, f"clipped to [0, {most}] values", len(self.found), "0", least=0
        )
        return self._single(("distinct", row, most), spec, row, "", distinct=most)

    def _several(self, node: exp.Expr) -> Expression:
        self.clause.refusals.add(node, "COUNT(DISTINCT ..) of several values", "Count one column or expression")
        return Constant(0.0)

    def _sum(self, name: str, node: exp.Expr, value: Typed, condition: str | None) -> Expression:
        norm, bounds = self.limits.norm(name, node), self.limits.of(name, node)
        if bounds is None and self.one_row and value.bounded:
            bounds = (Decimal(value.low), Decimal(value.high))
        if bounds is None and norm is not None:
            bounds = (-norm, norm)
        if value.bounded and (bounds is None or not any(bounds)):
            bounds = self.limits.guessed[node.sql()] = total_bounds(value, self.max_rows)
            line = self.limits.line(name, node, partial(total_line, bounds=bounds, rows=self.max_rows))
            self.clause.refusals.add(node, f"no bounds on one unit's total of {name}", line)
        if value.kind is Kind.UNKNOWN:
            return Constant(0.0)  # refused already
        if bounds is None or not value.bounded:
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
        most, span = max(abs(low), abs(high), 1), max(max(high, 0) - min(low, 0), 1)
        adds = Adds("v{i}", counted=False, low=low, high=high) if low <= 0 <= high else None
        spec = DrawSpec(name, "sum", grid.step, most, words, len(self.found), clip, span=span, adds=adds)
        spec = replace(spec, least=0 if low >= 0 else None)
        if norm is not None:
            steps = self.limits.norm_steps(name, node, norm, grid.step)
            clipped = () if bounds == (-norm, norm) else (words,)
            spec = replace(spec, norm=steps, words=", ".join((f"max_norm {_plain(norm)}", *clipped)))
        return self._single(("sum", row, low, high, grid, norm), spec, row, code)

    def _moments(self, name: str, node: exp.Expr, value: Typed, condition: str | None) -> Expression:
        """AVG, VAR_POP or STDDEV_POP: noisy moments of a unit's rows about the centre of their bounds."""
        bounds = self.limits.of_a_row(name, node, value)
        if bounds is None:
            return Constant(0.0)
        norm = self.limits.norm(name, node)
        rows = 1 if self.one_row else self.max_rows
        row = _filtered(value.sql, condition)
        squares = row in self._spread_rows
        key = ("moments", row, bounds, rows, norm)
        grid = grid_for(bounds[1] - bounds[0], max(abs(float(end)) for end in bounds), whole=False)
        low, high = grid.up(bounds[0]), grid.down(bounds[1])
        if low >= high:
            return self._too_close(name, node)
        centre = (low + high) // 2
        reach = max(high - centre, centre - low, 1)
        first = self._drawn_moments.setdefault(key, len(self.draws))
        if first == len(self.draws):
            index = len(self.found)
            clipped = f"values clipped to [{_plain(bounds[0])}, {_plain(bounds[1])}]"
            kept = f"max_rows {rows}" if norm is None else f"max_norm {_plain(norm)}"
            steps = None if norm is None else self.limits.norm_steps(name, node, norm, Fraction(1, FRACTION))
            specs = moment_draws(name, index, Moments(grid.step, centre, reach, rows, steps), squares=squares)
            self.draws += [replace(spec, words=f"{kept}, {clipped}", weigher=first + 1) for spec in specs]
            code = grid.code(_named(value, index), low, high)
            places = tuple(range(first, len(self.draws)))
            self.found.append(Statistic(row, code, rows if norm is None else 0, places))
        middle, ends = float(centre * grid.step), (float(low * grid.step), float(high * grid.step))
        asked = _unfiltered(node)
        if isinstance(asked, exp.Avg):
            return Average(first, first + 1, middle, *ends)
        most = (ends[1] - ends[0]) ** 2 / 4
        return Spread(first, first + 1, first + 2, most, root=isinstance(asked, exp.StddevPop))

    def _quantile(self, name: str, node: exp.Expr, value: Typed, condition: str | None) -> Expression:
        """MEDIAN(x) or QUANTILE_CONT(x, p): the only one of its rows is selected, several share a tree of counts."""
        share = share_of(_unfiltered(node))
        if share is None:
            self.clause.refusals.add(
                node, "a quantile of no plain share", "Write QUANTILE_CONT(x, 0.9): 0.0001 to 0.9999"
            )
        if self.limits.norms is not None:
            self.clause.refusals.add(node, "max_norm for a quantile", "Write contribution: {max_groups, max_rows}")
        bounds = self.limits.of_a_row(name, node, value)
        if bounds is None or share is None:
            return Constant(0.0)
        points = self.limits.points(name, node)
        whole = value.kind is Kind.INT
        grid = grid_for(bounds[1] - bounds[0], max(abs(float(end)) for end in bounds), whole=whole)
        low, high = grid.up(bounds[0]), grid.down(bounds[1])
        codes = candidate_codes(points, low, high, grid.step, whole=whole) if low < high else ()
        if len(codes) < 2:
            return self._too_close(name, node)
        rows = 1 if self.one_row else self.max_rows
        row = _filtered(value.sql, condition)
        alone = share if len(self._shares.get(row, ())) == 1 else None
        key = ("quantile", row, bounds, codes, rows, alone)
        if key not in self._known:
            index, place = len(self.found), len(self.draws)
            words = f"max_rows {rows}, values clipped to [{_plain(bounds[0])}, {_plain(bounds[1])}]"
            made = quantile_draw(name, index, grid.step, rows, Quantiles(codes, low, high, alone))
            self.draws.append(replace(made, words=words, weigher=place))
            code = grid.code(_named(value, index), low, high)
            self.found.append(Statistic(row, code, rows, (place,), candidates=codes))
            self._known[key] = Drawn(place)
        drawn = self._known[key]
        return Quantile(drawn.index, share) if isinstance(drawn, Drawn) else drawn

    def _too_close(self, name: str, node: exp.Expr) -> Expression:
        self.clause.refusals.add(node, f"bounds of {name} that no step of its grid lies between", "Widen them")
        return Constant(0.0)

    def _single(self, key: tuple[object, ...], spec: DrawSpec, row: str, code: str, *, distinct: int = 0) -> Expression:
        if key in self._known:
            return self._known[key]
        index, place = len(self.found), len(self.draws)
        sql = spec.per_unit.replace("{i}", str(index))
        adds = spec.adds and replace(spec.adds, row=spec.adds.row.replace("{i}", str(index)))
        self.draws.append(replace(spec, per_unit=sql, weigher=place, adds=adds))
        self.found.append(Statistic(row, code.replace("x{i}", f"x{index}"), 0, (place,), distinct))
        self._known[key] = Drawn(place)
        return self._known[key]

    def _fractional(self, node: exp.Expr, spec: DrawSpec, norm: Decimal | None) -> DrawSpec:
        """A count on a grid of thousandths where a weight scales it; as it is where groups are dropped."""
        if norm is None:
            return spec
        grid = Fraction(1, FRACTION)
        sql = f"({spec.per_unit})::HUGEINT * {FRACTION}"
        steps = self.limits.norm_steps(spec.name, node, norm, grid)
        adds = spec.adds and replace(spec.adds, times=FRACTION)
        words = ", ".join(filter(None, (f"max_norm {_plain(norm)}", spec.words)))
        return replace(spec, grid=grid, per_cell=steps, norm=steps, per_unit=sql, words=words, adds=adds)

    def _unclipped(self, norm: Decimal | None) -> Bounds | None:
        return None if norm is None else (Decimal(0), Decimal(SATURATED // FRACTION))


def _unfiltered(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Filter) else node


def _is_sane(number: float) -> bool:
    """Whether a constant between aggregates keeps results inside what doubles hold; others are refused."""
    return number == 0 or SMALLEST <= abs(number) <= LARGEST


def _is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, ASKED) or (isinstance(node, exp.Filter) and isinstance(node.this, ASKED))


def _filtered(sql: str, condition: str | None) -> str:
    return f"CASE WHEN {condition} THEN {sql} END" if condition else sql


def _named(value: Typed, index: int | None = None) -> Typed:
    """The value once it has a column of its own, x{statistic}."""
    name = "x{i}" if index is None else f"x{index}"
    return Typed(name, value.kind, value.low, value.high)


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
