"""Aggregates, windows, groups and the keyed hash.

DuckDB adds whole numbers in 128 bits; Spark would add BIGINTs in 64 and wrap, so they are added as decimals of 38
digits, NULL beyond, which `plan` proves not to happen but for norms of far larger vectors, which count as too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from dpstats.plan.spark import dates
from dpstats.plan.spark.pieces import Handler, NotOnSpark, Piece, Scope, Sort, Translating, unknown


def counted(t: Translating, node: exp.Count, scope: Scope, where: str = "") -> Piece:
    """COUNT(*), COUNT(x) and COUNT(DISTINCT x)."""
    argument = node.this
    if isinstance(argument, exp.Star):
        return Piece(f"count({f'CASE WHEN {where} THEN 1 END' if where else '*'})", Sort.INT)
    distinct = isinstance(argument, exp.Distinct)
    value = t.piece(argument.expressions[0] if distinct else argument, scope)
    return Piece(f"count({'DISTINCT ' if distinct else ''}{_kept(value, where)})", Sort.INT)


def total(t: Translating, node: exp.Sum, scope: Scope, where: str = "") -> Piece:
    """SUM of whole numbers, exact; nothing else is ever summed."""
    value = t.piece(node.this, scope)
    if value.sort not in {Sort.INT, Sort.HUGE}:
        raise NotOnSpark(f"SUM of {value.sort}", "Use DuckDB")
    kept = _kept(value, where)
    return Piece(f"sum({kept if value.sort is Sort.HUGE else f'CAST({kept} AS DECIMAL(20, 0))'})", Sort.HUGE)


def end(t: Translating, node: exp.Min | exp.Max, scope: Scope, where: str = "") -> Piece:
    """MIN and MAX."""
    value = t.piece(node.this, scope)
    return Piece(f"{node.key}({_kept(value, where)})", value.sort)


def filtered(t: Translating, node: exp.Filter, scope: Scope) -> Piece:
    """FILTER (WHERE ..) as CASE: Spark has none in windows."""
    handler = _FILTERED.get(type(node.this))
    if handler is None:
        raise unknown(node)
    return handler(t, node.this, scope, t.piece(node.expression.this, scope).condition)


def _kept(value: Piece, where: str) -> str:
    return f"CASE WHEN {where} THEN {value.sql} END" if where else value.sql


def window(t: Translating, node: exp.Window, scope: Scope) -> Piece:
    """OVER (..). Spark wants an order for ROW_NUMBER; where there is none, rows that are alike are numbered."""
    partition = [t.piece(each, scope).sql for each in node.args.get("partition_by") or []]
    order = node.args.get("order")
    ordered = [t.piece(each.this, scope).sql for each in order.expressions] if order is not None else []
    if isinstance(node.this, exp.RowNumber):
        value, ordered = Piece("row_number()", Sort.INT), ordered or partition[:1]
    else:
        value = t.piece(node.this, scope)
    spec = node.args.get("spec")
    frame = ""
    if spec is not None:
        if (spec.args.get("kind"), spec.args.get("start"), spec.args.get("start_side")) != (
            "ROWS", "UNBOUNDED", "PRECEDING",
        ) or spec.args.get("end") not in {None, "CURRENT ROW"}:  # fmt: skip
            raise unknown(node)
        frame = " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    by = f" ORDER BY {', '.join(ordered)}" if ordered else ""
    return Piece(f"{value.sql} OVER (PARTITION BY {', '.join(partition)}{by}{frame})", value.sort)


def grouped(t: Translating, node: exp.Struct, scope: Scope) -> Piece:
    """STRUCT_PACK(a := x, ..)."""
    parts = {each.this.name: t.piece(each.expression, scope) for each in node.expressions}
    sql = ", ".join(f"'{name}', {piece.sql}" for name, piece in parts.items())
    return Piece(f"named_struct({sql})", Sort.GROUP, tuple((name, piece.sort) for name, piece in parts.items()))


def extracted(t: Translating, node: exp.StructExtract, scope: Scope) -> Piece:
    """STRUCT_EXTRACT(s, 'a')."""
    value, name = t.piece(node.this, scope), node.expression.this
    return Piece(f"{value.sql}.`{name}`", dict(value.fields)[name])


def named_function(t: Translating, node: exp.Anonymous, scope: Scope) -> Piece:
    """Functions that sqlglot knows no node for."""
    name, arguments = node.name.lower(), node.expressions
    if name == "date_part" and isinstance(arguments[0], exp.Literal):
        return dates.part(t, arguments[0].this, t.piece(arguments[1], scope))
    pieces = [t.piece(each, scope) for each in arguments]
    if name == "hash":
        return Piece(f"xxhash64({', '.join(map(_hashed, pieces))})", Sort.INT)
    if name == "strlen":
        return Piece(f"CAST(octet_length({pieces[0].sql}) AS BIGINT)", Sort.INT)
    if name == "isfinite" and pieces[0].sort is Sort.DOUBLE:
        x = pieces[0].sql  # NaN is above all numbers in Spark
        return Piece(f"({x} > double('-Infinity') AND {x} < double('Infinity'))", Sort.BOOL)
    raise unknown(node)


def _hashed(piece: Piece) -> str:
    """Minus zero, which equals zero, has another hash in Spark."""
    return f"({piece.sql} + 0D)" if piece.sort is Sort.DOUBLE else piece.sql


_FILTERED: Mapping[type[exp.Expr], Callable[..., Piece]] = {
    exp.Count: counted,
    exp.Sum: total,
    exp.Min: end,
    exp.Max: end,
}
HANDLERS: Mapping[type[exp.Expr], Handler] = {
    exp.Count: counted,
    exp.Sum: total,
    exp.Min: end,
    exp.Max: end,
    exp.Filter: filtered,
    exp.Window: window,
    exp.Struct: grouped,
    exp.StructExtract: extracted,
    exp.Anonymous: named_function,
}
