"""CAST and TRY_CAST: a cast that fails is NULL. What Spark would read, round or spell otherwise is refused.

From a double to a whole number DuckDB rounds to the even one of two, Spark cuts: `rint` first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from sqlglot import exp

from dpstats.plan.spark.pieces import TEMPORAL, WHOLE, Handler, NotOnSpark, Piece, Scope, Sort, Translating

BITS = {"TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INT", "BIGINT": "BIGINT"}
SORTS = {
    **dict.fromkeys(BITS, Sort.INT),
    "UBIGINT": Sort.INT,
    "INT128": Sort.HUGE,
    "DOUBLE": Sort.DOUBLE,
    "TEXT": Sort.TEXT,
    "VARCHAR": Sort.TEXT,
    "BOOLEAN": Sort.BOOL,
    "DATE": Sort.DATE,
    "TIMESTAMP": Sort.TIMESTAMP,
    "TIMESTAMPNTZ": Sort.TIMESTAMP,
}
_DAY = re.compile(r"[0-9]{4,5}-[0-9]{2}-[0-9]{2}")
SAME_TEXT = {Sort.INT, Sort.TEXT, Sort.UUID, Sort.BOOL, Sort.DATE, Sort.TIMESTAMP}
"""What both engines spell alike."""


def cast(t: Translating, node: exp.Cast | exp.TryCast, scope: Scope) -> Piece:
    """A cast, by what is cast and to what."""
    name = node.args["to"].this.value
    sort = SORTS.get(name)
    if sort is None:
        raise NotOnSpark(f"CAST to {name} on Spark", "CAST to BIGINT or DOUBLE, and ROUND")
    if isinstance(node.this, exp.Placeholder | exp.Parameter):
        return Piece(f"CAST(:{node.this.name} AS {sort.value})", sort)
    if isinstance(node.this, exp.Literal):
        written = _written(node.this, sort)
        if written is not None:
            return written
    x = t.piece(node.this, scope)
    made = _cast(x, name, sort)
    if isinstance(node, exp.TryCast) and name == "BIGINT" and x.sort is Sort.DOUBLE:
        return Piece(f"(CASE WHEN {x.sql} < 9223372036854775808D THEN {made.sql} END)", sort)  # which Spark lets in
    return made


def _cast(x: Piece, name: str, sort: Sort) -> Piece:
    if x.sort is Sort.NULL:
        return Piece(f"CAST(NULL AS {sort.value})", sort)
    if sort is Sort.INT and x.sort in {Sort.INT, Sort.BOOL, Sort.HUGE}:
        return Piece(f"try_cast({x.sql} AS {BITS.get(name, 'BIGINT')})", Sort.INT)
    if sort is Sort.INT and x.sort is Sort.DOUBLE:
        return Piece(f"try_cast(rint({x.sql}) AS {BITS[name]})", Sort.INT)
    if sort is Sort.HUGE and x.sort in {*WHOLE, Sort.DOUBLE}:
        return Piece(f"CAST({x.sql} AS DECIMAL(38, 0))", Sort.HUGE)
    if sort is Sort.DOUBLE and x.sort in {*WHOLE, Sort.DOUBLE, Sort.BOOL}:
        return Piece(as_double(x), Sort.DOUBLE)
    if sort is Sort.TEXT and x.sort in SAME_TEXT:
        return Piece(f"CAST({x.sql} AS STRING)", Sort.TEXT)
    if sort is Sort.BOOL and x.sort in {*WHOLE, Sort.BOOL}:
        return Piece(f"CAST({x.sql} AS BOOLEAN)", Sort.BOOL)
    if sort is Sort.BOOL and x.sort is Sort.DOUBLE:
        return Piece(f"({x.sql} <> 0D)", Sort.BOOL)
    if sort in TEMPORAL and x.sort in TEMPORAL:
        return Piece(f"CAST({x.sql} AS {sort.value})", sort)
    what = f"CAST from {_called(x.sort)} to {_called(sort)}, which Spark reads or writes otherwise than DuckDB"
    raise NotOnSpark(what, "Load the column with that type, or use DuckDB")


def as_double(x: Piece) -> str:
    """The double of a number."""
    return f"CAST({x.sql} AS DOUBLE)"


def _written(literal: exp.Literal, sort: Sort) -> Piece | None:
    """A number or a moment that is written in the query."""
    if not literal.is_string:
        return Piece(f"{float(literal.this)!r}D", sort) if sort is Sort.DOUBLE else None
    if sort is Sort.DATE and _DAY.fullmatch(literal.this):
        return Piece(f"DATE'{'+' if literal.this[4] != '-' else ''}{literal.this}'", sort)
    if sort is Sort.TIMESTAMP:
        return Piece(f"TIMESTAMP_NTZ'{datetime.fromisoformat(literal.this).isoformat(' ')}'", sort)
    return None


def _called(sort: Sort) -> str:
    return {Sort.TEXT: "VARCHAR", Sort.TIMESTAMP: "TIMESTAMP"}.get(sort, sort.value)


HANDLERS: Mapping[type[exp.Expr], Handler] = {exp.Cast: cast, exp.TryCast: cast}
