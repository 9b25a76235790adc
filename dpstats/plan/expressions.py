"""Row-level expressions: understood node by node, or refused.

`Compiler.compile` turns a parsed expression into a `Typed`: DuckDB SQL written anew, with its kind, its range and
whether a row could make it raise. A node type that is not in the dispatch table is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol

from sqlglot import exp

from dpstats.catalog.query import DateParameter, EnumParameter, IntegerParameter
from dpstats.plan import functions
from dpstats.plan.functions import ANY, derive, same_kind
from dpstats.plan.refusals import Refusals
from dpstats.plan.typed import (
    INT_RANGE,
    UNKNOWN,
    Kind,
    Typed,
    constant,
    finite,
    finite_always,
    hull,
    product,
    text_literal,
    union,
)

Parameter = DateParameter | EnumParameter | IntegerParameter

EXPRESSION_MAX = 100_000
"""Characters that one expression may become; a nested one can double at each level."""
INT64 = 2**63
DOUBLE_EXACT = 2**53
UNIT_USE = "the privacy unit's id is used as a value"
UNIT_INSTEAD = "It may only join tables, group a subquery, or stand in COUNT(DISTINCT ..)"

CAST_KINDS = {
    "BIGINT": Kind.INT,
    "INT": Kind.INT,
    "SMALLINT": Kind.INT,
    "TINYINT": Kind.INT,
    "DOUBLE": Kind.DOUBLE,
    "FLOAT": Kind.DOUBLE,
    "DECIMAL": Kind.DOUBLE,
    "VARCHAR": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "BOOLEAN": Kind.BOOL,
    "DATE": Kind.DATE,
    "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMPNTZ": Kind.TIMESTAMP,
}
INTERVAL_UNITS = {"DAY", "WEEK", "MONTH", "YEAR", "HOUR", "MINUTE", "SECOND", "QUARTER"}
COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
NAMED_REFUSALS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Subquery: ("a subquery inside an expression", "Join a subquery that is grouped by the privacy unit instead"),
    exp.Select: ("a subquery inside an expression", "Join a subquery that is grouped by the privacy unit instead"),
    exp.Exists: ("EXISTS", "Join the other table on the privacy unit instead"),
    exp.Window: ("a window function", "Aggregate in a subquery grouped by the privacy unit instead"),
    exp.Star: ("*", "Name the columns"),
    exp.First: ("FIRST depends on the order of rows", "Use MIN or MAX in a subquery grouped by the privacy unit"),
    exp.Last: ("LAST depends on the order of rows", "Use MIN or MAX in a subquery grouped by the privacy unit"),
    exp.AnyValue: ("ANY_VALUE depends on the order of rows", "Use MIN or MAX in a subquery grouped by the unit"),
    exp.ArrayAgg: ("LIST depends on the order of rows", "Use COUNT, SUM or AVG"),
    exp.GroupConcat: ("STRING_AGG depends on the order of rows", "Use COUNT, SUM or AVG"),
    exp.ArgMax: ("ARG_MAX depends on the order of rows", "Use MAX in a subquery grouped by the privacy unit"),
    exp.ArgMin: ("ARG_MIN depends on the order of rows", "Use MIN in a subquery grouped by the privacy unit"),
    exp.Rand: ("a volatile function", "Remove it: an answer may depend on the data and the parameters only"),
    exp.CurrentDate: ("a volatile function", "Give the date as a parameter"),
    exp.CurrentTimestamp: ("a volatile function", "Give the time as a parameter"),
    exp.Median: ("MEDIAN is not among the statistics of this version", "Use AVG, or counts by declared bins"),
}
VOLATILE = {
    "now",
    "random",
    "uuid",
    "gen_random_uuid",
    "today",
    "current_timestamp",
    "nextval",
    "setseed",
    "txid_current",
}


class Scope(Protocol):
    """Where names are looked up: the columns of a FROM clause, or a grouped subquery's keys and aggregates."""

    def column(self, node: exp.Column) -> Typed | None:
        """The column, or None after recording why not."""
        ...

    def replace(self, node: exp.Expr) -> Typed | None:
        """What a whole expression stands for here (a group key, an aggregate), or None."""
        ...


class Compiler:
    """Turns parsed row-level expressions into bounded, guarded DuckDB SQL."""

    def __init__(self, refusals: Refusals, parameters: Mapping[str, Parameter]) -> None:
        self.refusals, self._parameters = refusals, parameters
        self.used_parameters: set[str] = set()

    def compile(self, node: exp.Expr, scope: Scope, *, unit: bool = False) -> Typed:
        """The expression with what is known of it; `unit` says that the privacy unit's id may stand here as it is."""
        found = scope.replace(node) or self._dispatch(node, scope)
        if len(found.sql) > EXPRESSION_MAX:
            return self._refuse(node, "an expression that is too complex", "Compute parts of it in a subquery")
        if found.unit and not unit:
            return self._refuse(node, UNIT_USE, UNIT_INSTEAD)
        return finite(found)

    def condition(self, node: exp.Expr, scope: Scope) -> str:
        """A condition as SQL that no row can make raise; NULL counts as false."""
        found = self.compile(node, scope)
        if found.kind not in {Kind.BOOL, Kind.NULL, Kind.UNKNOWN}:
            self._refuse(node, "a condition that is not true or false", "Compare it with something")
        return found.guarded

    def _refuse(self, node: exp.Expr, what: str, instead: str) -> Typed:
        self.refusals.add(node, what, instead)
        return UNKNOWN

    def _dispatch(self, node: exp.Expr, scope: Scope) -> Typed:
        if type(node) in COMPARISONS:
            return self._comparison(node, scope)
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node, scope)
        if type(node) in NAMED_REFUSALS:
            return self._refuse(node, *NAMED_REFUSALS[type(node)])
        if isinstance(node, exp.AggFunc | exp.IgnoreNulls):
            inner = node.this if isinstance(node, exp.IgnoreNulls) else node
            if type(inner) in NAMED_REFUSALS:
                return self._refuse(node, *NAMED_REFUSALS[type(inner)])
            return self._refuse(node, "an aggregate where a row's value is expected", "Aggregate in the SELECT list")
        return self._unknown(node)

    def _unknown(self, node: exp.Expr) -> Typed:
        name = node.name if isinstance(node, exp.Anonymous) else node.key
        if name.lower() in VOLATILE:
            return self._refuse(node, f"{name.upper()} is a volatile function", "Give the value as a parameter")
        known = ", ".join(sorted(functions.FUNCTIONS)).upper()
        return self._refuse(
            node,
            f"{name.upper()} is not on the list of functions and operators",
            f"Known: {known}, CASE, CAST, EXTRACT, DATE_TRUNC, DATE_DIFF, LIKE, IN, BETWEEN and arithmetic",
        )

    def _compiled(self, nodes: Sequence[exp.Expr], scope: Scope) -> list[Typed]:
        return [self.compile(node, scope) for node in nodes]

    # -- leaves ------------------------------------------------------------------------------------------------

    def _column(self, node: exp.Expr, scope: Scope) -> Typed:
        assert isinstance(node, exp.Column)
        return scope.column(node) or UNKNOWN

    def _literal(self, node: exp.Expr, scope: Scope) -> Typed:
        assert isinstance(node, exp.Literal)
        if node.is_string:
            return constant(text_literal(node.this), Kind.TEXT, values=(node.this,))
        try:
            number = float(node.this)
        except ValueError:
            return self._refuse(node, "a number that is not understood", "Write it in decimal digits")
        if not math.isfinite(number):
            return self._refuse(node, "a number out of range", "Write a smaller one")
        if node.this.isdigit() and int(node.this) < INT64:
            return constant(f"{int(node.this)}::BIGINT", Kind.INT, number, number)
        return constant(f"{number!r}::DOUBLE", Kind.DOUBLE, number, number)

    def _boolean(self, node: exp.Expr, scope: Scope) -> Typed:
        return constant("TRUE" if node.this else "FALSE", Kind.BOOL)

    def _null(self, node: exp.Expr, scope: Scope) -> Typed:
        return constant("NULL", Kind.NULL)

    def _placeholder(self, node: exp.Expr, scope: Scope) -> Typed:
        name = str(node.this or "")
        spec = self._parameters.get(name)
        if spec is None:
            declared = ", ".join(f"${p}" for p in self._parameters) or "none"
            return self._refuse(
                node, f"${name} is not a declared parameter", f"Declare it under `parameters` ({declared})"
            )
        self.used_parameters.add(name)
        if isinstance(spec, DateParameter):
            return constant(f"$p_{name}::DATE", Kind.DATE)
        if isinstance(spec, IntegerParameter):
            return constant(f"$p_{name}::BIGINT", Kind.INT, float(spec.min), float(spec.max))
        if all(isinstance(value, int) and not isinstance(value, bool) for value in spec.values):
            numbers = [float(value) for value in spec.values]
            return constant(f"$p_{name}::BIGINT", Kind.INT, min(numbers), max(numbers))
        return constant(f"$p_{name}::VARCHAR", Kind.TEXT)

    def _interval(self, node: exp.Expr, scope: Scope) -> Typed:
        unit = str(node.args.get("unit") or "").upper().rstrip("S")
        amount = node.this
        if not (
            isinstance(amount, exp.Literal)
            and amount.this.isdigit()
            and len(amount.this) <= 6
            and unit in INTERVAL_UNITS
        ):
            return self._refuse(
                node, "an interval that is not understood", "Write INTERVAL 3 DAY (or WEEK, MONTH, YEAR, HOUR)"
            )
        return constant(f"INTERVAL {int(amount.this)} {unit}", Kind.INTERVAL)

    # -- operators ---------------------------------------------------------------------------------------------

    def _paren(self, node: exp.Expr, scope: Scope) -> Typed:
        return self.compile(node.this, scope)

    def _logical(self, node: exp.Expr, scope: Scope) -> Typed:
        sides = self._compiled([node.this, node.expression], scope)
        word = "AND" if isinstance(node, exp.And) else "OR"
        if any(side.kind not in {Kind.BOOL, Kind.NULL, Kind.UNKNOWN} for side in sides):
            return self._refuse(node, f"{word} of values that are not true or false", "Compare them with something")
        # Each side is guarded alone, so that one side's error does not hide the other's answer.
        return _settled(derive(f"({sides[0].guarded} {word} {sides[1].guarded})", Kind.BOOL, sides, ANY))

    def _not(self, node: exp.Expr, scope: Scope) -> Typed:
        side = self.compile(node.this, scope)
        if side.kind not in {Kind.BOOL, Kind.NULL, Kind.UNKNOWN}:
            return self._refuse(node, "NOT of a value that is not true or false", "Compare it with something")
        return derive(f"(NOT {side.sql})", Kind.BOOL, [side], ANY)

    def _comparison(self, node: exp.Expr, scope: Scope) -> Typed:
        return self._compare(node, [node.this, node.expression], scope, "{} " + COMPARISONS[type(node)] + " {}")

    def _between(self, node: exp.Expr, scope: Scope) -> Typed:
        if node.args.get("symmetric"):
            return self._unknown(node)
        return self._compare(node, [node.this, node.args["low"], node.args["high"]], scope, "{} BETWEEN {} AND {}")

    def _in(self, node: exp.Expr, scope: Scope) -> Typed:
        choices = node.args.get("expressions") or []
        if node.args.get("query") or node.args.get("unnest") or node.args.get("field") or not choices:
            return self._refuse(
                node, "IN with a subquery", "List the values, or join the other table on the privacy unit"
            )
        if not all(
            isinstance(_bare(choice), exp.Literal | exp.Placeholder | exp.Cast | exp.Null) for choice in choices
        ):
            return self._refuse(node, "IN takes a list of literals", "Write the values, or use OR")
        places = ", ".join("{}" for _ in choices)
        return self._compare(node, [node.this, *choices], scope, "{} IN (" + places + ")")

    def _compare(self, node: exp.Expr, sides: Sequence[exp.Expr], scope: Scope, form: str) -> Typed:
        values = _match_text_to_dates(self._compiled(sides, scope))
        kind = same_kind(values)
        if kind is None or kind is Kind.INTERVAL:
            kinds = " with ".join(sorted({str(value.kind) for value in values}))
            return self._refuse(node, f"a comparison of {kinds}", "CAST one side to the other's type")
        return derive("(" + form.format(*(functions.as_kind(v, kind) for v in values)) + ")", Kind.BOOL, values, ANY)

    def _like(self, node: exp.Expr, scope: Scope) -> Typed:
        text, pattern = self._compiled([node.this, node.expression], scope)
        if (
            text.kind not in {Kind.TEXT, Kind.UNKNOWN}
            or pattern.kind not in {Kind.TEXT, Kind.UNKNOWN}
            or not pattern.constant
        ):
            return self._refuse(
                node, "LIKE takes text and a pattern written in the query", "CAST the left side to VARCHAR"
            )
        return derive(f"({text.sql} LIKE {pattern.sql})", Kind.BOOL, [text, pattern], ANY)

    def _is(self, node: exp.Expr, scope: Scope) -> Typed:
        other = node.expression
        if isinstance(other, exp.Null):
            value = self.compile(node.this, scope)
            return derive(f"({value.guarded} IS NULL)", Kind.BOOL, [_settled(value)], ANY)
        if isinstance(other, exp.Boolean):
            value = self.compile(node.this, scope)
            word = "TRUE" if other.this else "FALSE"
            return derive(f"({value.guarded} IS {word})", Kind.BOOL, [_settled(value)], ANY)
        return self._unknown(node)

    def _negative(self, node: exp.Expr, scope: Scope) -> Typed:
        x = self.compile(node.this, scope)
        if not x.kind.is_number:
            return self._refuse(node, "minus of something that is not a number", "CAST it first")
        return derive(f"(-{x.sql})", x.kind, [x], (-x.high, -x.low), safe=-x.low <= INT_RANGE)

    def _plus_minus(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = self._compiled([node.this, node.expression], scope)
        sign = "+" if isinstance(node, exp.Add) else "-"
        if a.kind.is_number and b.kind.is_number:
            span = (a.low + b.low, a.high + b.high) if sign == "+" else (a.low - b.high, a.high - b.low)
            return _arithmetic(f"({a.sql} {sign} {b.sql})", a, b, span)
        moved = _moved_date(sign, a, b)
        return moved or self._refuse(node, f"{a.kind} {sign} {b.kind}", "Add an interval or a number of days to a date")

    def _times(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = self._compiled([node.this, node.expression], scope)
        if not (a.kind.is_number and b.kind.is_number):
            return self._refuse(node, "a product of something that is not a number", "CAST it first")
        ends = [product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return _arithmetic(f"({a.sql} * {b.sql})", a, b, (min(ends), max(ends)))

    def _divide(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = self._compiled([node.this, node.expression], scope)
        if not (a.kind.is_number and b.kind.is_number):
            return self._refuse(node, "a quotient of something that is not a number", "CAST it first")
        span = ANY
        if b.low > 0 or b.high < 0:
            ends = [product(x, 1 / y) for x in (a.low, a.high) for y in (b.low, b.high)]
            span = (min(ends), max(ends))
        sql = f"(CAST({a.sql} AS DOUBLE) / NULLIF(CAST({b.sql} AS DOUBLE), 0))"
        return finite(derive(sql, Kind.DOUBLE, [a, b], span))

    def _whole_division(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = self._compiled([node.this, node.expression], scope)
        if not ({a.kind, b.kind} <= {Kind.INT, Kind.UNKNOWN}):
            return self._refuse(node, "// and % take whole numbers", "CAST both sides to BIGINT")
        if isinstance(node, exp.Mod):
            most = max(abs(b.low), abs(b.high))
            return derive(
                f"({a.sql} % NULLIF({b.sql}, 0))", Kind.INT, [a, b], (-most if a.low < 0 else 0.0, most), safe=False
            )
        most = max(abs(a.low), abs(a.high))
        low = 0.0 if a.low >= 0 and b.low >= 0 else -most
        return derive(f"({a.sql} // NULLIF({b.sql}, 0))", Kind.INT, [a, b], (low, most), safe=False)

    def _concatenation(self, node: exp.Expr, scope: Scope) -> Typed:
        sides = self._compiled([node.this, node.expression], scope)
        if any(side.kind not in {Kind.TEXT, Kind.NULL, Kind.UNKNOWN} for side in sides):
            return self._refuse(node, "|| of something that is not text", "CAST it to VARCHAR")
        return derive(f"({sides[0].sql} || {sides[1].sql})", Kind.TEXT, sides, ANY)

    # -- conditionals, casts, functions ------------------------------------------------------------------------

    def _case(self, node: exp.Expr, scope: Scope) -> Typed:
        branches: list[str] = []
        parts: list[Typed] = []
        values: list[Typed] = []
        conditions: list[Typed] = []
        for branch in node.args["ifs"]:
            when = exp.EQ(this=node.this.copy(), expression=branch.this.copy()) if node.this else branch.this
            conditions.append(self.compile(when, scope))
            values.append(self.compile(branch.args["true"], scope))
        default = node.args.get("default")
        values.append(self.compile(default, scope) if default else constant("NULL", Kind.NULL))
        kind = same_kind(values)
        if kind is None or any(c.kind not in {Kind.BOOL, Kind.NULL, Kind.UNKNOWN} for c in conditions):
            return self._refuse(
                node,
                "CASE whose branches are of several kinds, or whose condition is not one",
                "Give all branches one type",
            )
        for when_typed, then in zip(conditions, values, strict=False):
            branches.append(f"WHEN {when_typed.guarded} THEN {functions.as_kind(then, kind)}")
        parts = [_settled(c) for c in conditions] + values
        sql = f"CASE {' '.join(branches)} ELSE {functions.as_kind(values[-1], kind)} END"
        return replace(derive(f"({sql})", kind, parts, hull(*values)), values=union(*values))

    def _cast(self, node: exp.Expr, scope: Scope) -> Typed:
        target = node.args["to"]
        kind = CAST_KINDS.get(target.this.value if isinstance(target, exp.DataType) else "")
        if kind is None:
            return self._refuse(
                node, "CAST to a type that is not understood", f"Use one of {', '.join(sorted(set(CAST_KINDS)))}"
            )
        if isinstance(node.this, exp.Literal) and node.this.is_string and kind.is_temporal:
            return _moment(node.this.this, kind) or self._refuse(
                node, f"not a valid {kind.lower()}", "Write 2017-03-01"
            )
        x = self.compile(node.this, scope)
        if x.kind in {Kind.INTERVAL, Kind.UUID} and kind is not Kind.TEXT:
            return self._refuse(node, f"CAST of {x.kind}", "Leave it as it is")
        span = (x.low, x.high) if x.kind.is_number or x.kind is Kind.BOOL else ANY
        if x.kind is Kind.BOOL and kind.is_number:
            span = (0.0, 1.0)
        if kind is Kind.INT:
            span = (functions.math_floor(span[0]), functions.math_ceil(span[1]))
        inner = f"TRY_CAST({x.sql} AS {target.sql(dialect='duckdb')})" if target.expressions else x.sql
        if target.expressions:  # a decimal rounds, so its range may reach one further
            span = (functions.math_floor(span[0]), functions.math_ceil(span[1]))
        made = derive(f"TRY_CAST({inner} AS {kind.value})", kind, [x], span if kind.is_number else ANY)
        return finite_always(made) if kind is Kind.DOUBLE and x.kind is Kind.TEXT else made

    def _extract(self, node: exp.Expr, scope: Scope) -> Typed:
        part = node.this.name if isinstance(node.this, exp.Var | exp.Literal) else str(node.this)
        return self._checked(node, functions.extract(part.lower(), self.compile(node.expression, scope)))

    def _date_trunc(self, node: exp.Expr, scope: Scope) -> Typed:
        if node.args.get("zone"):
            return self._unknown(node)
        return self._checked(node, functions.date_trunc(node.args["unit"].name.lower(), self.compile(node.this, scope)))

    def _date_diff(self, node: exp.Expr, scope: Scope) -> Typed:
        unit = node.args.get("unit")
        end, start = self._compiled([node.this, node.expression], scope)
        return self._checked(node, functions.date_diff(unit.name.lower() if unit else "day", start, end))

    def _anonymous(self, node: exp.Expr, scope: Scope) -> Typed:
        arguments = node.expressions
        if (
            node.name.lower() in {"date_part", "datepart"}
            and len(arguments) == 2
            and isinstance(arguments[0], exp.Literal)
        ):
            return self._checked(node, functions.extract(arguments[0].this.lower(), self.compile(arguments[1], scope)))
        return self._unknown(node)

    def _function(self, node: exp.Expr, scope: Scope) -> Typed:
        name, arguments = _call(node)
        if name is None:
            return self._unknown(node)
        fewest, most, check = functions.FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            return self._refuse(node, f"{name.upper()} with {len(arguments)} arguments", f"It takes {fewest} to {most}")
        return self._checked(node, check(self._compiled(arguments, scope)))

    def _checked(self, node: exp.Expr, result: Typed | str) -> Typed:
        if isinstance(result, Typed):
            return result
        return self._refuse(node, result, "CAST the argument, or write it another way")


def _settled(value: Typed) -> Typed:
    """The same value once its SQL has been guarded: it cannot raise any more."""
    return (
        value
        if value.safe
        else Typed(value.sql, value.kind, value.low, value.high, True, value.unit, value.fact, value.constant)
    )


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Neg | exp.Paren):
        node = node.this
    return node


def _arithmetic(sql: str, a: Typed, b: Typed, span: tuple[float, float]) -> Typed:
    kind = Kind.INT if {a.kind, b.kind} <= {Kind.INT, Kind.UNKNOWN} else Kind.DOUBLE
    low, high = (0.0 if math.isnan(end) else end for end in span)
    if any(math.isnan(end) for end in span):
        low, high = ANY
    inside = max(abs(low), abs(high)) <= INT_RANGE
    return finite(derive(sql, kind, [a, b], (low, high), safe=kind is Kind.DOUBLE or inside))


def _moved_date(sign: str, a: Typed, b: Typed) -> Typed | None:
    """Dates plus or minus intervals and days, and the days between two dates."""
    if a.kind.is_temporal and b.kind is Kind.INTERVAL:
        return derive(f"({a.sql} {sign} {b.sql})", Kind.TIMESTAMP, [a, b], ANY, safe=False)
    if a.kind is Kind.INTERVAL and b.kind.is_temporal and sign == "+":
        return derive(f"({b.sql} + {a.sql})", Kind.TIMESTAMP, [a, b], ANY, safe=False)
    if a.kind is Kind.DATE and b.kind is Kind.INT:
        return derive(f"({a.sql} {sign} CAST({b.sql} AS INTEGER))", Kind.DATE, [a, b], ANY, safe=False)
    if a.kind is Kind.DATE and b.kind is Kind.DATE and sign == "-":
        return derive(f"CAST(({a.sql} - {b.sql}) AS BIGINT)", Kind.INT, [a, b], ANY, safe=False)
    return None


def _moment(text: str, kind: Kind) -> Typed | None:
    try:
        moment = date.fromisoformat(text) if kind is Kind.DATE else datetime.fromisoformat(text)
    except ValueError:
        return None
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return None
    return constant(
        f"{kind.value} {text_literal(moment.isoformat(*((' ',) if isinstance(moment, datetime) else ())))}", kind
    )


def _match_text_to_dates(values: list[Typed]) -> list[Typed]:
    """String literals compared with dates are read as dates, once, here: a cast inside DuckDB could raise."""
    kinds = {value.kind for value in values}
    if Kind.TEXT not in kinds or not kinds & {Kind.DATE, Kind.TIMESTAMP}:
        return values
    kind = Kind.TIMESTAMP if Kind.TIMESTAMP in kinds else Kind.DATE
    return [_literal_as_moment(value, kind) for value in values]


def _literal_as_moment(value: Typed, kind: Kind) -> Typed:
    if value.kind is not Kind.TEXT or not value.constant or not value.sql.startswith("'"):
        return value
    return _moment(value.sql[1:-1], kind) or value


def _call(node: exp.Expr) -> tuple[str | None, list[exp.Expr]]:
    """The name in the allow-list and the arguments, in order; None when an argument that is not known is there."""
    names: dict[type[exp.Expr], str] = {
        exp.Substring: "substring",
        exp.Ceil: "ceil",
        exp.DayOfWeek: "dayofweek",
        exp.WidthBucket: "width_bucket",
    }
    name = names.get(type(node), node.key)
    shapes: dict[str, list[str]] = {
        "substring": ["this", "start", "length"],
        "round": ["this", "decimals"],
        "width_bucket": ["this", "min_value", "max_value", "num_buckets"],
        "nullif": ["this", "expression"],
    }
    listed = {"least", "greatest", "coalesce", "concat"}
    order = shapes.get(name, ["this"])
    arguments = [node.args[key] for key in order if node.args.get(key) is not None and key in node.args]
    if name in listed:
        arguments += node.expressions
    flags = {"safe", "coalesce", "ignore_nulls", "big_int", "expressions", *order}
    unexpected = [key for key, value in node.args.items() if value not in (None, False, []) and key not in flags]
    if unexpected or name not in functions.FUNCTIONS:
        return None, []
    return name, arguments


Handler = Callable[[Compiler, exp.Expr, Scope], Typed]
_FUNCTION_NODES = (
    exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Least, exp.Greatest, exp.Lower, exp.Upper, exp.Trim, exp.Length,
    exp.Substring, exp.Concat, exp.Coalesce, exp.Nullif, exp.Year, exp.Month, exp.Day, exp.Hour, exp.DayOfWeek,
    exp.WidthBucket,
)  # fmt: skip
_HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Column: Compiler._column,
    exp.Literal: Compiler._literal,
    exp.Boolean: Compiler._boolean,
    exp.Null: Compiler._null,
    exp.Placeholder: Compiler._placeholder,
    exp.Parameter: Compiler._placeholder,
    exp.Interval: Compiler._interval,
    exp.Paren: Compiler._paren,
    exp.And: Compiler._logical,
    exp.Or: Compiler._logical,
    exp.Not: Compiler._not,
    exp.Between: Compiler._between,
    exp.In: Compiler._in,
    exp.Like: Compiler._like,
    exp.Is: Compiler._is,
    exp.Neg: Compiler._negative,
    exp.Add: Compiler._plus_minus,
    exp.Sub: Compiler._plus_minus,
    exp.Mul: Compiler._times,
    exp.Div: Compiler._divide,
    exp.IntDiv: Compiler._whole_division,
    exp.Mod: Compiler._whole_division,
    exp.DPipe: Compiler._concatenation,
    exp.Case: Compiler._case,
    exp.Cast: Compiler._cast,
    exp.TryCast: Compiler._cast,
    exp.Extract: Compiler._extract,
    exp.TimestampTrunc: Compiler._date_trunc,
    exp.DateTrunc: Compiler._date_trunc,
    exp.DateDiff: Compiler._date_diff,
    exp.Anonymous: Compiler._anonymous,
    **dict.fromkeys(_FUNCTION_NODES, Compiler._function),
}
