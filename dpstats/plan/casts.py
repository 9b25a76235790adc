"""CASTs, written dates and times, and dates that are moved: what each becomes, or why not.

A cast that fails on a row is NULL. A number cast to a narrower type goes through that type, so that it rounds and
overflows (to NULL) as it would in DuckDB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlglot import exp

from dpstats.plan.functions import whole
from dpstats.plan.typed import ANY, Kind, Span, Typed, constant, derive, text_literal

INT_BITS = {"TINYINT": 7, "SMALLINT": 15, "INT": 31, "BIGINT": 63}
KINDS = {
    **dict.fromkeys(INT_BITS, Kind.INT),
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
SPREAD = {"FLOAT": 2.0**-23, "DECIMAL": 2.0**-50}
"""How far a number may move on its way through a type, relative to the largest of its range."""
DECIMAL_DIGITS = 38


def target_of(node: exp.Expr) -> str | None:
    """The name of a cast's type if it is understood, with the digits of a decimal: BIGINT, DECIMAL(10, 2)."""
    if not isinstance(node, exp.DataType) or any(node.args.get(key) for key in ("nested", "values", "kind", "collate")):
        return None
    name = node.this.value if isinstance(node.this, exp.DType) else ""
    digits = [_digits(parameter) for parameter in node.expressions]
    if name == "DECIMAL" and len(digits) == 2:
        precision, scale = digits
        return f"DECIMAL({precision}, {scale})" if 0 <= scale <= precision <= DECIMAL_DIGITS and precision else None
    return name if name in KINDS and not digits and name != "DECIMAL" else None


def _digits(parameter: exp.Expr) -> int:
    """A type's parameter if it is a plain whole number, else -1."""
    number = parameter.this if isinstance(parameter, exp.DataTypeParam) else None
    return int(number.this) if isinstance(number, exp.Literal) and number.this.isdecimal() else -1


def cast(x: Typed, target: str) -> Typed | str:
    """CAST or TRY_CAST of `x` to a type that `target_of` understood."""
    name = target.partition("(")[0]
    kind = KINDS[name]
    if x.kind in {Kind.INTERVAL, Kind.UUID} and kind is not Kind.TEXT:
        return f"CAST of {x.kind}"
    span = _span(x, name) if kind.is_number else ANY
    through = f"TRY_CAST({x.sql} AS {target})" if _narrows(name) else x.sql
    made = derive(f"TRY_CAST({through} AS {kind.value})", kind, [x], span, sure=_never_fails(x, name))
    return _wild(made) if kind is Kind.DOUBLE and x.kind is Kind.TEXT else made


def _narrows(name: str) -> bool:
    return name in {"TINYINT", "SMALLINT", "INT", "FLOAT", "DECIMAL"}


def _never_fails(x: Typed, name: str) -> bool:
    return x.sure and not _narrows(name) and KINDS[name] in {x.kind, Kind.DOUBLE}


def _wild(x: Typed) -> Typed:
    """Text may say `inf` or `nan`."""
    return replace(x, wild=True)


def _span(x: Typed, name: str) -> Span:
    low, high = (0.0, 1.0) if x.kind is Kind.BOOL else (x.low, x.high) if x.kind.is_number else ANY
    bits = INT_BITS.get(name)
    if bits:
        low, high = whole(low, high)
        return (max(low, -(2.0**bits)), min(high, 2.0**bits)) if _narrows(name) else (low, high)
    if name not in SPREAD:
        return low, high
    spread = SPREAD[name] * max(abs(low), abs(high))
    if name == "DECIMAL":
        low, high = whole(low, high)  # it rounds, at most to the next whole number
    return low - spread, high + spread


def moment(text: str, kind: Kind) -> Typed | None:
    """A date or timestamp written in the query, as a literal of that kind; None if it is not one."""
    try:
        found = date.fromisoformat(text) if kind is Kind.DATE else datetime.fromisoformat(text)
    except ValueError:
        return None
    if isinstance(found, datetime) and found.tzinfo is not None:
        return None
    iso = found.isoformat(" ") if isinstance(found, datetime) else found.isoformat()
    return constant(f"{kind.value} {text_literal(iso)}", kind)


def moved_date(sign: str, a: Typed, b: Typed) -> Typed | None:
    """Dates plus or minus intervals and days, and the days between two dates; None for anything else."""
    if a.kind.is_temporal and b.kind is Kind.INTERVAL:
        return derive(f"({a.sql} {sign} {b.sql})", Kind.TIMESTAMP, [a, b], safe=False)
    if a.kind is Kind.INTERVAL and b.kind.is_temporal and sign == "+":
        return derive(f"({b.sql} + {a.sql})", Kind.TIMESTAMP, [a, b], safe=False)
    if a.kind is Kind.DATE and b.kind is Kind.INT:
        return derive(f"({a.sql} {sign} TRY_CAST({b.sql} AS INTEGER))", Kind.DATE, [a, b], safe=False)
    if a.kind is Kind.INT and b.kind is Kind.DATE and sign == "+":
        return derive(f"({b.sql} + TRY_CAST({a.sql} AS INTEGER))", Kind.DATE, [a, b], safe=False)
    if a.kind is Kind.DATE and b.kind is Kind.DATE and sign == "-":
        days = derive(f"({a.sql} - {b.sql})", Kind.INT, [a, b], safe=False)
        return derive(f"CAST({days.sql} AS BIGINT)", Kind.INT, [a, b])
    return None


def match_text_to_dates(values: Sequence[Typed]) -> Sequence[Typed]:
    """String literals compared with dates are read as dates, once, here: a cast inside DuckDB could raise."""
    kinds = {value.kind for value in values}
    if Kind.TEXT not in kinds or not kinds & {Kind.DATE, Kind.TIMESTAMP}:
        return values
    kind = Kind.TIMESTAMP if Kind.TIMESTAMP in kinds else Kind.DATE
    return [_literal_as_moment(value, kind) for value in values]


def _literal_as_moment(value: Typed, kind: Kind) -> Typed:
    if value.kind is not Kind.TEXT or not value.constant or not value.sql.startswith("'"):
        return value
    return moment(value.sql[1:-1], kind) or value
