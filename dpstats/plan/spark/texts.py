"""Functions of text: characters are counted alike by both engines; what else differs is said here."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from dpstats.plan.spark.pieces import Handler, NotOnSpark, Piece, Scope, Sort, Translating

BLANKS = r"^\p{Zs}+|(?<!\p{Zs})\p{Zs}+\z"  # looked at from the first blank of a run alone: long runs take no longer
"""What DuckDB's TRIM takes away: Unicode's spaces. Spark's takes U+0020 alone."""


def substring(t: Translating, node: exp.Substring, scope: Scope) -> Piece:
    start, length = (_written(node.args.get(part)) for part in ("start", "length"))
    if start is None or start < 1 or (node.args.get("length") is not None and length is None):
        what = "SUBSTR on Spark with a start below 1, or with one that is not written in the query"
        raise NotOnSpark(what, "Write SUBSTR(text, 1, 3)")
    x = t.piece(node.this, scope).sql
    return Piece(f"substring({x}, {start}{'' if length is None else f', {length}'})", Sort.TEXT)


def _written(node: exp.Expr | None) -> int | None:
    bare = node.this if isinstance(node, exp.Cast) else node
    return (
        int(bare.this) if isinstance(bare, exp.Literal) and bare.this.isdecimal() and int(bare.this) < 2**31 else None
    )


def lowered(t: Translating, node: exp.Lower | exp.Upper, scope: Scope) -> Piece:
    return Piece(f"{node.key}({t.piece(node.this, scope).sql})", Sort.TEXT)


def trimmed(t: Translating, node: exp.Trim, scope: Scope) -> Piece:
    return Piece(f"regexp_replace({t.piece(node.this, scope).sql}, {t.text(BLANKS)}, '')", Sort.TEXT)


def characters(t: Translating, node: exp.Length, scope: Scope) -> Piece:
    return Piece(f"CAST(length({t.piece(node.this, scope).sql}) AS BIGINT)", Sort.INT)


def left(t: Translating, node: exp.Left, scope: Scope) -> Piece:
    return Piece(f"left({t.piece(node.this, scope).sql}, {int(node.expression.this)})", Sort.TEXT)


def joined(t: Translating, node: exp.DPipe, scope: Scope) -> Piece:
    """NULL if one is."""
    return Piece(f"({t.piece(node.this, scope).sql} || {t.piece(node.expression, scope).sql})", Sort.TEXT)


def concatenated(t: Translating, node: exp.Concat, scope: Scope) -> Piece:
    """DuckDB's CONCAT skips NULLs, which in Spark `concat_ws` does."""
    listed = ", ".join(t.piece(each, scope).sql for each in node.expressions)
    return Piece(f"concat_ws('', {listed})", Sort.TEXT)


HANDLERS: Mapping[type[exp.Expr], Handler] = {
    exp.Substring: substring,
    exp.Lower: lowered,
    exp.Upper: lowered,
    exp.Trim: trimmed,
    exp.Length: characters,
    exp.Left: left,
    exp.DPipe: joined,
    exp.Concat: concatenated,
}
