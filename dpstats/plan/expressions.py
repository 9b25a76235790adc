"""Row-level expressions: understood node by node, or refused.

`Compiler.compile` turns a parsed expression into a `Typed`: DuckDB SQL written anew, which no row can make raise, with
its kind and its range. A node type that is not in the dispatch table is refused, and so is a part of a node that its
handler does not read.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, cast

from sqlglot import exp

from dpstats.catalog.query import DateParameter, EnumParameter, IntegerParameter
from dpstats.plan import casts, functions
from dpstats.plan.functions import as_kind, same_kind
from dpstats.plan.refusals import NAMED_REFUSALS, VOLATILE, Refusals
from dpstats.plan.typed import (
    DOUBLE_RANGE,
    INT_RANGE,
    UNKNOWN,
    Kind,
    Span,
    Typed,
    constant,
    derive,
    finite,
    hull,
    outward,
    product,
    quotient,
    text_literal,
    union,
)

Parameter = DateParameter | EnumParameter | IntegerParameter

EXPRESSION_MAX = 30_000
"""Characters that one expression may become; nested ones double at each level, and DuckDB plans long ones slowly."""
JOINED_MAX = 500
"""Texts that || may join at once; DuckDB gives up on a thousand."""
DEPTH_MAX = 60
"""Levels that one expression may have; DuckDB and Python both give up on deep ones."""
INT64 = 2**63
CONDITIONS = {Kind.BOOL, Kind.NULL, Kind.UNKNOWN}
TEXTS = {Kind.TEXT, Kind.NULL, Kind.UNKNOWN}
UNIT_USE = "the privacy unit's id is used as a value"
UNIT_INSTEAD = "It may only join tables, group a subquery, or stand in COUNT(DISTINCT ..)"

INTERVAL_UNITS = {"DAY", "WEEK", "MONTH", "YEAR", "HOUR", "MINUTE", "SECOND", "QUARTER"}
COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
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
    """Turns parsed row-level expressions into DuckDB SQL that no row can make raise."""

    def __init__(self, refusals: Refusals, parameters: Mapping[str, Parameter]) -> None:
        self.refusals, self._parameters, self._depth = refusals, parameters, 0
        self.used_parameters: set[str] = set()

    def compile(self, node: exp.Expr, scope: Scope, *, unit: bool = False) -> Typed:
        """The expression with what is known of it; `unit` says that the privacy unit's id may stand here as it is."""
        return finite(self._operand(node, scope, unit=unit))

    def condition(self, node: exp.Expr, scope: Scope) -> str:
        """A condition as SQL; NULL counts as false."""
        found = self.compile(node, scope)
        if found.kind not in CONDITIONS:
            self._refuse(node, "a condition that is not true or false", "Compare it with something")
        return found.sql

    def _operand(self, node: exp.Expr, scope: Scope, *, unit: bool = False) -> Typed:
        """As `compile`, but it may be NaN or infinite: arithmetic carries those along, and the end makes them NULL."""
        if self._depth >= DEPTH_MAX:
            return self._refuse(node, "an expression that is nested too deeply", "Compute parts of it in a subquery")
        self._depth += 1
        found = scope.replace(node) or self._dispatch(node, scope)
        self._depth -= 1
        if len(found.sql) > EXPRESSION_MAX:
            return self._refuse(node, "an expression that is too complex", "Compute parts of it in a subquery")
        if found.unit and not unit:
            return self._refuse(node, UNIT_USE, UNIT_INSTEAD)
        return found

    def _refuse(self, node: exp.Expr, what: str, instead: str) -> Typed:
        self.refusals.add(node, what, instead)
        return UNKNOWN

    def _dispatch(self, node: exp.Expr, scope: Scope) -> Typed:
        handler, read = _HANDLERS.get(type(node), (None, ""))
        if handler is not None:
            return handler(self, node, scope) if parts_of(node) <= set(read.split()) else self._unknown(node)
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
            f"{name.upper()} is not on the list of functions and operators, or not in this form",
            f"Known: {known}, CASE, CAST, EXTRACT, DATE_TRUNC, DATE_DIFF, LIKE, IN, BETWEEN and arithmetic",
        )

    def _compiled(self, nodes: Sequence[exp.Expr], scope: Scope) -> list[Typed]:
        return [self.compile(node, scope) for node in nodes]

    # -- leaves ------------------------------------------------------------------------------------------------

    def _column(self, node: exp.Expr, scope: Scope) -> Typed:
        return scope.column(cast(exp.Column, node)) or UNKNOWN

    def _literal(self, node: exp.Expr, scope: Scope) -> Typed:
        if node.is_string:  # loaded text is in normal form C
            text = unicodedata.normalize("NFC", node.this)
            return constant(text_literal(text), Kind.TEXT, values=(text,))
        try:
            number = float(node.this)
        except ValueError:
            return self._refuse(node, "a number that is not understood", "Write it in decimal digits")
        if not math.isfinite(number):
            return self._refuse(node, "a number out of range", "Write a smaller one")
        if node.this.isdecimal() and int(node.this) < INT64:
            return constant(f"{int(node.this)}::BIGINT", Kind.INT, *outward((number, number)))
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
        if isinstance(spec, EnumParameter) and isinstance(spec.values[0], str):
            return constant(f"$p_{name}::VARCHAR", Kind.TEXT)
        numbers = [spec.min, spec.max] if isinstance(spec, IntegerParameter) else [int(v) for v in spec.values]
        return constant(f"$p_{name}::BIGINT", Kind.INT, *outward((float(min(numbers)), float(max(numbers)))))

    def _interval(self, node: exp.Expr, scope: Scope) -> Typed:
        unit = str(node.args.get("unit") or "").upper().removesuffix("S")
        text = node.this.this if isinstance(node.this, exp.Literal) else ""
        if not (text.isdecimal() and len(text) <= 6 and unit in INTERVAL_UNITS):
            return self._refuse(
                node, "an interval that is not understood", "Write INTERVAL 3 DAY (or WEEK, MONTH, YEAR, HOUR)"
            )
        return constant(f"INTERVAL {int(text)} {unit}", Kind.INTERVAL)

    # -- operators ---------------------------------------------------------------------------------------------

    def _paren(self, node: exp.Expr, scope: Scope) -> Typed:
        return self._operand(node.this, scope)

    def _logical(self, node: exp.Expr, scope: Scope) -> Typed:
        sides = self._compiled(list(node.flatten()), scope)
        word = "AND" if isinstance(node, exp.And) else "OR"
        if any(side.kind not in CONDITIONS for side in sides):
            return self._refuse(node, f"{word} of values that are not true or false", "Compare them with something")
        return derive("(" + f" {word} ".join(side.sql for side in sides) + ")", Kind.BOOL, sides)

    def _not(self, node: exp.Expr, scope: Scope) -> Typed:
        side = self.compile(node.this, scope)
        if side.kind not in CONDITIONS:
            return self._refuse(node, "NOT of a value that is not true or false", "Compare it with something")
        return derive(f"(NOT {side.sql})", Kind.BOOL, [side])

    def _comparison(self, node: exp.Expr, scope: Scope) -> Typed:
        sides = self._compiled([node.this, node.expression], scope)
        return self._compare(node, sides, "{} " + COMPARISONS[type(node)] + " {}")

    def _between(self, node: exp.Expr, scope: Scope) -> Typed:
        sides = self._compiled([node.this, node.args["low"], node.args["high"]], scope)
        return self._compare(node, sides, "{} BETWEEN {} AND {}")

    def _in(self, node: exp.Expr, scope: Scope) -> Typed:
        choices = node.args.get("expressions") or []
        if node.args.get("query") or node.args.get("unnest") or node.args.get("field") or not choices:
            return self._refuse(
                node, "IN with a subquery", "List the values, or join the other table on the privacy unit"
            )
        value, *listed = self._compiled([node.this, *choices], scope)
        if not all(choice.constant for choice in listed):
            return self._refuse(node, "IN takes a list of literals", "Write the values, or use OR")
        return self._compare(node, [value, *listed], "{} IN (" + ", ".join("{}" for _ in listed) + ")")

    def _compare(self, node: exp.Expr, sides: Sequence[Typed], form: str) -> Typed:
        values = casts.match_text_to_dates(sides)
        kind = same_kind(values)
        if kind is None or kind is Kind.INTERVAL:
            kinds = " with ".join(sorted({str(value.kind) for value in values}))
            return self._refuse(node, f"a comparison of {kinds}", "CAST one side to the other's type")
        return derive("(" + form.format(*(as_kind(v, kind) for v in values)) + ")", Kind.BOOL, values)

    def _like(self, node: exp.Expr, scope: Scope) -> Typed:
        text, pattern = self._compiled([node.this, node.expression], scope)
        if text.kind not in TEXTS or pattern.kind not in TEXTS or not pattern.constant:
            return self._refuse(
                node, "LIKE takes text and a pattern written in the query", "CAST the left side to VARCHAR"
            )
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return derive(f"({text.sql} {word} {pattern.sql})", Kind.BOOL, [text, pattern])

    def _is(self, node: exp.Expr, scope: Scope) -> Typed:
        words: dict[type[exp.Expr], str] = {exp.Null: "NULL", exp.Boolean: "TRUE" if node.expression.this else "FALSE"}
        value, word = self.compile(node.this, scope), words.get(type(node.expression))
        if word is None or (word != "NULL" and value.kind not in CONDITIONS):
            return self._refuse(node, "IS with something else than NULL, TRUE or FALSE", "Compare with = or <>")
        return derive(f"({value.sql} IS {word})", Kind.BOOL, [value])

    def _negative(self, node: exp.Expr, scope: Scope) -> Typed:
        x = self._operand(node.this, scope)
        if not x.kind.is_number:
            return self._refuse(node, "minus of something that is not a number", "CAST it first")
        return _arithmetic(f"(-{x.sql})", [x], (-x.high, -x.low))

    def _plus_minus(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = (self._operand(side, scope) for side in (node.this, node.expression))
        sign = "+" if isinstance(node, exp.Add) else "-"
        if a.kind.is_number and b.kind.is_number:
            span = (a.low + b.low, a.high + b.high) if sign == "+" else (a.low - b.high, a.high - b.low)
            return _arithmetic(f"({a.sql} {sign} {b.sql})", [a, b], span)
        moved = casts.moved_date(sign, a, b)
        return moved or self._refuse(node, f"{a.kind} {sign} {b.kind}", "Add an interval or a number of days to a date")

    def _times(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = (self._operand(side, scope) for side in (node.this, node.expression))
        if not (a.kind.is_number and b.kind.is_number):
            return self._refuse(node, "a product of something that is not a number", "CAST it first")
        ends = [product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return _arithmetic(f"({a.sql} * {b.sql})", [a, b], (min(ends), max(ends)))

    def _divide(self, node: exp.Expr, scope: Scope) -> Typed:
        """A division by zero is infinite or NaN, which is NULL in the end."""
        a, b = self._operand(node.this, scope), self.compile(node.expression, scope)
        if not (a.kind.is_number and b.kind.is_number):
            return self._refuse(node, "a quotient of something that is not a number", "CAST it first")
        sql = f"({as_kind(a, Kind.DOUBLE)} / {as_kind(b, Kind.DOUBLE)})"
        if b.low <= 0 <= b.high:
            return replace(derive(sql, Kind.DOUBLE, [a, b]), wild=True)
        ends = [quotient(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return _arithmetic(sql, [a, b], (min(ends), max(ends)), Kind.DOUBLE)

    def _whole_division(self, node: exp.Expr, scope: Scope) -> Typed:
        a, b = self._compiled([node.this, node.expression], scope)
        if not ({a.kind, b.kind} <= {Kind.INT, Kind.UNKNOWN}):
            return self._refuse(node, "// and % take whole numbers", "CAST both sides to BIGINT")
        word = "%" if isinstance(node, exp.Mod) else "//"
        most = _remainder_most(a, b) if word == "%" else _quotient_most(a, b)
        low = 0.0 if a.low >= 0 and (word == "%" or b.low >= 0) else -most
        return derive(f"({a.sql} {word} NULLIF({b.sql}, 0))", Kind.INT, [a, b], (low, most), safe=False)

    def _concatenation(self, node: exp.Expr, scope: Scope) -> Typed:
        sides = self._compiled(list(node.flatten()), scope)
        if len(sides) > JOINED_MAX:
            return self._refuse(node, f"more than {JOINED_MAX} texts joined at once", "Join them in several steps")
        if any(side.kind not in TEXTS for side in sides):
            return self._refuse(node, "|| of something that is not text", "CAST it to VARCHAR")
        return functions.joined(" || ".join(side.sql for side in sides), sides)

    # -- conditionals, casts, functions ------------------------------------------------------------------------

    def _case(self, node: exp.Expr, scope: Scope) -> Typed:
        default = node.args.get("default")
        conditions = self._conditions(node, scope)
        values = self._compiled([branch.args["true"] for branch in node.args["ifs"]], scope)
        last = self.compile(default, scope) if default else constant("NULL", Kind.NULL)
        kind = same_kind([*values, last])
        if kind is None or any(c.kind not in CONDITIONS for c in conditions):
            return self._refuse(
                node,
                "CASE whose branches are of several kinds, or whose condition is not one",
                "Give all branches one type",
            )
        pairs = zip(conditions, values, strict=True)
        branches = " ".join(f"WHEN {when.sql} THEN {as_kind(then, kind)}" for when, then in pairs)
        parts = [*conditions, *values, last]
        sure = all(value.sure for value in (*values, last))
        sql = f"(CASE {branches} ELSE {as_kind(last, kind)} END)"
        made = derive(sql, kind, parts, hull(*values, last), sure=sure)
        return replace(made, values=union(*values, last))

    def _conditions(self, node: exp.Expr, scope: Scope) -> list[Typed]:
        """The conditions of CASE; those of CASE x WHEN y are x = y."""
        given = self._compiled([branch.this for branch in node.args["ifs"]], scope)
        if not node.this:
            return given
        value = self.compile(node.this, scope)
        return [self._compare(node, [value, choice], "{} = {}") for choice in given]

    def _cast(self, node: exp.Expr, scope: Scope) -> Typed:
        target = casts.target_of(node.args["to"])
        if target is None:
            known = ", ".join(sorted(casts.KINDS))
            return self._refuse(node, "CAST to a type that is not understood", f"Use one of {known}")
        kind = casts.KINDS[target.partition("(")[0]]
        if isinstance(node.this, exp.Literal) and node.this.is_string and kind.is_temporal:
            return casts.moment(node.this.this, kind) or self._refuse(
                node, f"not a valid {kind.lower()}", "Write 2017-03-01"
            )
        return self._checked(node, casts.cast(self.compile(node.this, scope), target))

    def _extract(self, node: exp.Expr, scope: Scope) -> Typed:
        part = node.this.name if isinstance(node.this, exp.Var | exp.Literal) else str(node.this)
        return self._checked(node, functions.extract(part.lower(), self.compile(node.expression, scope)))

    def _date_trunc(self, node: exp.Expr, scope: Scope) -> Typed:
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
        name, order = _FUNCTION_NODES[type(node)]
        listed = [argument for part in order.split() for argument in _listed(node.args.get(part))]
        fewest, most, check = functions.FUNCTIONS[name]
        if not fewest <= len(listed) <= most:
            return self._refuse(node, f"{name.upper()} with {len(listed)} arguments", f"It takes {fewest} to {most}")
        return self._checked(node, check(self._compiled(listed, scope)))

    def _checked(self, node: exp.Expr, result: Typed | str) -> Typed:
        if isinstance(result, Typed):
            return result
        return self._refuse(node, result, "CAST the argument, or write it another way")


def parts_of(node: exp.Expr) -> set[str]:
    """The parts of a node that are there, but for flags of the parser that change nothing here."""
    return {part for part, value in node.args.items() if value not in (None, False, [])} - _FLAGS


def _listed(part: exp.Expr | Sequence[exp.Expr] | None) -> Sequence[exp.Expr]:
    return [] if part is None else [part] if isinstance(part, exp.Expr) else part


def _arithmetic(sql: str, arguments: Sequence[Typed], span: Span, kind: Kind | None = None) -> Typed:
    """Whole numbers stay whole and must not overflow; a double that may overflow is wild."""
    if kind is None:
        kind = Kind.INT if {a.kind for a in arguments} <= {Kind.INT, Kind.UNKNOWN} else Kind.DOUBLE
    if any(math.isnan(end) for end in span):
        span = (-math.inf, math.inf)
    most = max(abs(end) for end in span)
    safe = kind is Kind.DOUBLE or most <= INT_RANGE
    wild = kind is Kind.DOUBLE and (most > DOUBLE_RANGE or any(a.wild for a in arguments))
    made = derive(sql, kind, arguments, span, safe=safe, sure=all(a.sure for a in arguments))
    return replace(made, wild=wild)


def _remainder_most(a: Typed, b: Typed) -> float:
    """The largest size of a % b: it is smaller than b's, no larger than a's, and has the sign of a."""
    return min(max(abs(a.low), abs(a.high)), max(0.0, max(abs(b.low), abs(b.high)) - 1))


def _quotient_most(a: Typed, b: Typed) -> float:
    """The largest size of a // b, which is cut toward zero; b is at least 1 in size."""
    most = max(abs(a.low), abs(a.high)) / max(1.0, b.low, -b.high)
    return float(math.floor(most)) if math.isfinite(most) else most


_FLAGS = {
    "big_int", "casts_non_integer_decimals", "coalesce", "date_part_boundary", "ignore_nulls", "input_type_preserved",
    "is_nvl", "requires_string", "safe", "typed",
}  # fmt: skip
_FUNCTION_NODES: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Abs: ("abs", "this"),
    exp.Round: ("round", "this decimals"),
    exp.Floor: ("floor", "this"),
    exp.Ceil: ("ceil", "this"),
    exp.Least: ("least", "this expressions"),
    exp.Greatest: ("greatest", "this expressions"),
    exp.Lower: ("lower", "this"),
    exp.Upper: ("upper", "this"),
    exp.Trim: ("trim", "this"),
    exp.Length: ("length", "this"),
    exp.Substring: ("substring", "this start length"),
    exp.Concat: ("concat", "expressions"),
    exp.Coalesce: ("coalesce", "this expressions"),
    exp.Nullif: ("nullif", "this expression"),
    exp.Year: ("year", "this"),
    exp.Month: ("month", "this"),
    exp.Day: ("day", "this"),
    exp.Hour: ("hour", "this"),
    exp.DayOfWeek: ("dayofweek", "this"),
    exp.WidthBucket: ("width_bucket", "this min_value max_value num_buckets"),
}
"""node -> its name in the allow-list, and the parts that are its arguments, in order."""

Handler = Callable[[Compiler, exp.Expr, Scope], Typed]
_HANDLERS: dict[type[exp.Expr], tuple[Handler, str]] = {
    exp.Column: (Compiler._column, "this table db catalog"),
    exp.Literal: (Compiler._literal, "this is_string"),
    exp.Boolean: (Compiler._boolean, "this"),
    exp.Null: (Compiler._null, ""),
    exp.Placeholder: (Compiler._placeholder, "this"),
    exp.Parameter: (Compiler._placeholder, "this"),
    exp.Interval: (Compiler._interval, "this unit"),
    exp.Paren: (Compiler._paren, "this"),
    exp.And: (Compiler._logical, "this expression"),
    exp.Or: (Compiler._logical, "this expression"),
    exp.Not: (Compiler._not, "this"),
    exp.Between: (Compiler._between, "this low high"),
    exp.In: (Compiler._in, "this expressions query unnest field"),
    exp.Like: (Compiler._like, "this expression negate"),
    exp.Is: (Compiler._is, "this expression"),
    exp.Neg: (Compiler._negative, "this"),
    exp.Add: (Compiler._plus_minus, "this expression"),
    exp.Sub: (Compiler._plus_minus, "this expression"),
    exp.Mul: (Compiler._times, "this expression"),
    exp.Div: (Compiler._divide, "this expression"),
    exp.IntDiv: (Compiler._whole_division, "this expression"),
    exp.Mod: (Compiler._whole_division, "this expression"),
    exp.DPipe: (Compiler._concatenation, "this expression"),
    exp.Case: (Compiler._case, "this ifs default"),
    exp.Cast: (Compiler._cast, "this to"),
    exp.TryCast: (Compiler._cast, "this to"),
    exp.Extract: (Compiler._extract, "this expression"),
    exp.TimestampTrunc: (Compiler._date_trunc, "this unit"),
    exp.DateTrunc: (Compiler._date_trunc, "this unit"),
    exp.DateDiff: (Compiler._date_diff, "this expression unit"),
    exp.Anonymous: (Compiler._anonymous, "this expressions"),
    **dict.fromkeys(COMPARISONS, (Compiler._comparison, "this expression")),
    **{node: (Compiler._function, order) for node, (_, order) in _FUNCTION_NODES.items()},
}
"""node -> its handler, and the parts that the handler reads."""
