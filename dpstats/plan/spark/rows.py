"""Row-level expressions: where Spark's differ from DuckDB's, and what is written so that they do not.

The session has ANSI mode off, so that an overflow or a cast that fails is NULL and no row can make a query raise; but
whole numbers would wrap there, so whatever `plan` marked with TRY is written with a function that gives NULL.
Arithmetic outside of TRY was proven by `plan` to stay in range.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from dpstats.plan.spark import casts, dates, texts
from dpstats.plan.spark.pieces import (
    TEMPORAL,
    Handler,
    NotOnSpark,
    Piece,
    Scope,
    Sort,
    Translating,
    named,
    together,
)
from dpstats.plan.spark.pieces import unknown as not_known

INT64 = 2**63
LONG = 2_000
"""Characters of an operand up to which rounding is written out, which is faster; it stands there six times."""
WORDS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.And: "AND", exp.Or: "OR",
}  # fmt: skip
SIGNS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
TRIED: dict[type[exp.Expr], str] = {exp.Add: "try_add", exp.Sub: "try_subtract", exp.Mul: "try_multiply"}


def literal(t: Translating, node: exp.Literal, scope: Scope) -> Piece:
    """A text is bound; a whole number is a BIGINT, a larger one a DECIMAL, and any other number a DOUBLE."""
    if node.is_string:
        return Piece(t.text(node.this), Sort.TEXT)
    if node.this.isdecimal():
        return Piece(f"{node.this}L", Sort.INT) if int(node.this) < INT64 else Piece(node.this, Sort.HUGE)
    return Piece(f"{float(node.this)!r}D", Sort.DOUBLE)


def column(t: Translating, node: exp.Column, scope: Scope) -> Piece:
    """A column, by the names in scope."""
    name, table = node.name.lower(), node.table.lower()
    for item in scope:
        if name in item.columns and (not table or item.alias.lower() == table):
            found = item.columns[name]
            return Piece(f"{named(item.alias)}.{found.sql}" if table else found.sql, found.sort, found.fields)
    raise NotOnSpark(f"the column {node.sql()} is not there", "Use DuckDB")


def boolean(t: Translating, node: exp.Boolean, scope: Scope) -> Piece:
    return Piece("TRUE" if node.this else "FALSE", Sort.BOOL)


def null(t: Translating, node: exp.Null, scope: Scope) -> Piece:
    return Piece("NULL", Sort.NULL)


def paren(t: Translating, node: exp.Paren, scope: Scope) -> Piece:
    inner = t.piece(node.this, scope)
    return Piece(f"({inner.sql})", inner.sort, inner.fields)


def words(t: Translating, node: exp.Binary, scope: Scope) -> Piece:
    """Comparisons, AND and OR: texts are compared byte by byte in both engines."""
    left, right = t.piece(node.this, scope), t.piece(node.expression, scope)
    if isinstance(node, exp.And | exp.Or):
        return Piece(f"({left.condition} {WORDS[type(node)]} {right.condition})", Sort.BOOL)
    return Piece(f"({left.sql} {WORDS[type(node)]} {right.sql})", Sort.BOOL)


def negation(t: Translating, node: exp.Not, scope: Scope) -> Piece:
    return Piece(f"(NOT {t.piece(node.this, scope).condition})", Sort.BOOL)


def between(t: Translating, node: exp.Between, scope: Scope) -> Piece:
    value, low, high = (t.piece(node.args[part], scope).sql for part in ("this", "low", "high"))
    return Piece(f"({value} BETWEEN {low} AND {high})", Sort.BOOL)


def within(t: Translating, node: exp.In, scope: Scope) -> Piece:
    value, query = t.piece(node.this, scope).sql, node.args.get("query")
    if query is not None:
        return Piece(f"({value} IN ({t.subquery(query.this)}))", Sort.BOOL)
    listed = ", ".join(t.piece(each, scope).sql for each in node.expressions)
    return Piece(f"({value} IN ({listed}))", Sort.BOOL)


def like(t: Translating, node: exp.Like, scope: Scope) -> Piece:
    r"""A backslash escapes in Spark's patterns and stands for itself in DuckDB's: it is doubled."""
    value, pattern = t.piece(node.this, scope).sql, t.piece(node.expression, scope).sql
    sql = rf"({value} LIKE replace({pattern}, '\\', '\\\\'))"
    return Piece(f"(NOT {sql})" if node.args.get("negate") else sql, Sort.BOOL)


def is_(t: Translating, node: exp.Is, scope: Scope) -> Piece:
    word = "NULL" if isinstance(node.expression, exp.Null) else "TRUE" if node.expression.this else "FALSE"
    value = t.piece(node.this, scope)
    return Piece(f"({value.sql if word == 'NULL' else value.condition} IS {word})", Sort.BOOL)


def negative(t: Translating, node: exp.Neg, scope: Scope) -> Piece:
    inner = t.piece(node.this, scope)
    return Piece(f"(-{inner.sql})", inner.sort)


def arithmetic(t: Translating, node: exp.Binary, scope: Scope) -> Piece:
    left, right = t.piece(node.this, scope), t.piece(node.expression, scope)
    if TEMPORAL & {left.sort, right.sort}:
        return dates.moved(t, "+" if isinstance(node, exp.Add) else "-", left, right)
    return Piece(f"({left.sql} {SIGNS[type(node)]} {right.sql})", together(left.sort, right.sort))


def quotient(t: Translating, node: exp.Div, scope: Scope) -> Piece:
    """Of doubles. Infinite or NaN in DuckDB, which `plan` makes NULL in the end, is NULL at once in Spark."""
    left, right = (casts.as_double(t.piece(side, scope)) for side in (node.this, node.expression))
    return Piece(f"({left} / {right})", Sort.DOUBLE)


def whole_quotient(t: Translating, node: exp.IntDiv, scope: Scope) -> Piece:
    """Cut toward zero by both. Spark's DIV of decimals is a BIGINT: here, of squares that `plan` made to fit."""
    left, right = t.piece(node.this, scope), t.piece(node.expression, scope)
    return Piece(f"({left.sql} DIV {right.sql})", Sort.INT)


def conditional(t: Translating, node: exp.Case, scope: Scope) -> Piece:
    """`plan` writes no CASE x WHEN y."""
    branches = [(t.piece(each.this, scope), t.piece(each.args["true"], scope)) for each in node.args["ifs"]]
    default = node.args.get("default")
    last = t.piece(default, scope) if default is not None else Piece("NULL", Sort.NULL)
    said = " ".join(f"WHEN {when.condition} THEN {then.sql}" for when, then in branches)
    sort = together(*(then.sort for _, then in branches), last.sort)
    return Piece(f"(CASE {said} ELSE {last.sql} END)", sort)


def coalesced(t: Translating, node: exp.Coalesce, scope: Scope) -> Piece:
    return _call("coalesce", [t.piece(each, scope) for each in (node.this, *node.expressions)])


def nullif(t: Translating, node: exp.Nullif, scope: Scope) -> Piece:
    left, right = t.piece(node.this, scope), t.piece(node.expression, scope)
    return Piece(f"nullif({left.sql}, {right.sql})", left.sort)


def extreme(t: Translating, node: exp.Least | exp.Greatest, scope: Scope) -> Piece:
    """Both skip NULLs in both engines; Spark's take two arguments or more."""
    arguments = [t.piece(each, scope) for each in (node.this, *node.expressions)]
    return arguments[0] if len(arguments) == 1 else _call(node.key, arguments)


def absolute(t: Translating, node: exp.Abs, scope: Scope) -> Piece:
    return _call("abs", [t.piece(node.this, scope)])


def root(t: Translating, node: exp.Sqrt, scope: Scope) -> Piece:
    return Piece(f"sqrt({casts.as_double(t.piece(node.this, scope))})", Sort.DOUBLE)


def whole(t: Translating, node: exp.Floor | exp.Ceil, scope: Scope) -> Piece:
    """Of a double, a double; Spark's are BIGINTs, which end where a double has no fraction any more."""
    x = t.piece(node.this, scope).sql
    return Piece(f"(CASE WHEN abs({x}) < 4503599627370496D THEN CAST({node.key}({x}) AS DOUBLE) ELSE {x} END)",
                 Sort.DOUBLE)  # fmt: skip


def truncated(t: Translating, node: exp.Trunc, scope: Scope) -> Piece:
    """Toward zero. Only what `plan/sql.py` cuts is truncated: it is within a norm, so within a BIGINT."""
    x = t.piece(node.this, scope).sql
    return Piece(f"CAST(CAST({x} AS BIGINT) AS DOUBLE)", Sort.DOUBLE)


def rounded(t: Translating, node: exp.Round, scope: Scope) -> Piece:
    """Of a double, half away from zero, by the steps that DuckDB takes; whole numbers stand in TRY."""
    x, digits = t.piece(node.this, scope), _digits(node)
    if x.sort is not Sort.DOUBLE:
        raise not_known(node)
    if digits == 0:
        return Piece(_half_away(x.sql), Sort.DOUBLE)
    scale = f"{10.0 ** abs(digits)!r}D"
    if digits < 0:
        return Piece(f"({_half_away(f'({x.sql} / {scale})')} * {scale})", Sort.DOUBLE)
    near = f"({_half_away(f'({x.sql} * {scale})')} / {scale})"
    return Piece(f"(CASE WHEN abs({x.sql}) < 1e270D THEN {near} ELSE {x.sql} END)", Sort.DOUBLE)


def _half_away(x: str) -> str:
    """The nearest whole number, of two the one farther from zero: rint takes the even one, and differs only there."""
    if len(x) > LONG:
        return f"round({x})"  # the same by way of decimals, and slower
    return f"(CASE WHEN abs({x} - rint({x})) = 0.5D THEN {x} + 0.5D * signum({x}) ELSE rint({x}) END)"


def _digits(node: exp.Round) -> int:
    given = node.args.get("decimals")
    if given is None:
        return 0
    sign, number = (-1, given.this) if isinstance(given, exp.Neg) else (1, given)
    return sign * int(number.this)


def tried(t: Translating, node: exp.Try, scope: Scope) -> Piece:
    """One operation that a row may make fail, which is NULL then."""
    inner = node.this.unnest()
    if type(inner) in TRIED:
        left, right = t.piece(inner.this, scope), t.piece(inner.expression, scope)
        if not TEMPORAL & {left.sort, right.sort}:
            return Piece(f"{TRIED[type(inner)]}({left.sql}, {right.sql})", together(left.sort, right.sort))
        return t.piece(inner, scope)
    handler = _TRIED.get(type(inner))
    return handler(t, inner, scope) if handler else t.piece(inner, scope)


def _tried_negative(t: Translating, node: exp.Neg, scope: Scope) -> Piece:
    return Piece(f"try_subtract(0L, {t.piece(node.this, scope).sql})", Sort.INT)


def _tried_absolute(t: Translating, node: exp.Abs, scope: Scope) -> Piece:
    x = t.piece(node.this, scope).sql
    return Piece(f"(CASE WHEN {x} >= 0 THEN {x} ELSE try_subtract(0L, {x}) END)", Sort.INT)


def _tried_remainder(t: Translating, node: exp.Mod, scope: Scope) -> Piece:
    left, right = t.piece(node.this, scope), t.piece(node.expression, scope)
    return Piece(f"({left.sql} % {right.sql})", Sort.INT)


def _tried_quotient(t: Translating, node: exp.IntDiv, scope: Scope) -> Piece:
    """The smallest BIGINT has no opposite."""
    a, b = t.piece(node.this, scope).sql, t.piece(node.expression, scope).sql
    return Piece(f"(CASE WHEN {b} = -1 THEN try_subtract(0L, {a}) ELSE {a} DIV {b} END)", Sort.INT)


def _tried_round(t: Translating, node: exp.Round, scope: Scope) -> Piece:
    x, digits = t.piece(node.this, scope), _digits(node)
    if x.sort is not Sort.INT or not -18 <= digits < 0:
        raise NotOnSpark(f"ROUND to {digits} digits on Spark", "Round whole numbers to at most 18 digits")
    return Piece(f"try_cast(round(CAST({x.sql} AS DECIMAL(20, 0)), {digits}) AS BIGINT)", Sort.INT)


def _call(name: str, arguments: list[Piece]) -> Piece:
    sort = together(*(argument.sort for argument in arguments))
    return Piece(f"{name}({', '.join(argument.sql for argument in arguments)})", sort)


_TRIED: Mapping[type[exp.Expr], Handler] = {
    exp.Neg: _tried_negative,
    exp.Abs: _tried_absolute,
    exp.Mod: _tried_remainder,
    exp.IntDiv: _tried_quotient,
    exp.Round: _tried_round,
}
HANDLERS: Mapping[type[exp.Expr], Handler] = {
    exp.Literal: literal,
    exp.Column: column,
    exp.Boolean: boolean,
    exp.Null: null,
    exp.Paren: paren,
    exp.Not: negation,
    exp.Between: between,
    exp.In: within,
    exp.Like: like,
    exp.Is: is_,
    exp.Neg: negative,
    exp.Div: quotient,
    exp.IntDiv: whole_quotient,
    exp.Case: conditional,
    exp.Coalesce: coalesced,
    exp.Nullif: nullif,
    exp.Least: extreme,
    exp.Greatest: extreme,
    exp.Abs: absolute,
    exp.Sqrt: root,
    exp.Floor: whole,
    exp.Ceil: whole,
    exp.Trunc: truncated,
    exp.Round: rounded,
    exp.Try: tried,
    **dict.fromkeys(WORDS, words),
    **dict.fromkeys(SIGNS, arithmetic),
    **dates.HANDLERS,
    **casts.HANDLERS,
    **texts.HANDLERS,
}
