"""The allow-list of row-level functions: for each, how it is checked, its range, and the DuckDB SQL it becomes.

A function that is not here is refused. Each entry takes checked arguments and gives a `Typed`, or a reason.
All are deterministic functions of one row, so a row's value never depends on another row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from dpstats.plan.typed import INT_RANGE, Kind, Typed, hull, text_literal, union

Arguments = Sequence[Typed]
Function = Callable[[Arguments], Typed | str]

TRUNC_TO_DAY = {"day", "week", "month", "quarter", "year"}
TRUNC_TO_TIME = {"hour", "minute", "second"}
PARTS: dict[str, tuple[float, float]] = {
    "year": (-math.inf, math.inf),
    "quarter": (1, 4),
    "month": (1, 12),
    "week": (1, 53),
    "day": (1, 31),
    "dayofweek": (0, 6),
    "dow": (0, 6),
    "isodow": (1, 7),
    "dayofyear": (1, 366),
    "doy": (1, 366),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
PART_ALIASES = {"weekday": "dayofweek", "dayofmonth": "day"}
DIFF_UNITS = {"year", "quarter", "month", "week", "day", "hour", "minute", "second"}


def _derive(sql: str, kind: Kind, arguments: Arguments, low: float = -math.inf, high: float = math.inf) -> Typed:
    """A result that depends on its arguments alone."""
    return Typed(
        sql,
        kind,
        low,
        high,
        safe=all(argument.safe for argument in arguments),
        fact=all(argument.fact for argument in arguments),
        constant=all(argument.constant for argument in arguments),
    )


def derive(sql: str, kind: Kind, arguments: Arguments, span: tuple[float, float], *, safe: bool = True) -> Typed:
    """A result with a range; `safe` says whether the operation itself can raise."""
    made = _derive(sql, kind, arguments, *span)
    return made if safe else Typed(made.sql, made.kind, made.low, made.high, False, False, made.fact, made.constant)


ANY = (-math.inf, math.inf)


def same_kind(arguments: Arguments) -> Kind | None:
    """The kind that all arguments share (integers mix with doubles, dates with timestamps), or None."""
    kinds = {argument.kind for argument in arguments} - {Kind.NULL, Kind.UNKNOWN}
    if len(kinds) <= 1:
        return next(iter(kinds), Kind.NULL)
    if kinds == {Kind.INT, Kind.DOUBLE}:
        return Kind.DOUBLE
    if kinds == {Kind.DATE, Kind.TIMESTAMP}:
        return Kind.TIMESTAMP
    return None


def as_kind(value: Typed, kind: Kind) -> str:
    """The SQL of a value brought to a kind that holds it; an out-of-range date becomes NULL."""
    if value.kind is kind or value.kind in {Kind.NULL, Kind.UNKNOWN}:
        return value.sql
    return f"TRY_CAST({value.sql} AS {kind.value})"


def _absolute(arguments: Arguments) -> Typed | str:
    (x,) = arguments
    if not x.kind.is_number:
        return "ABS takes a number"
    ends = (abs(x.low), abs(x.high))
    low = 0.0 if x.low <= 0 <= x.high else min(ends)
    return derive(f"abs({x.sql})", x.kind, arguments, (low, max(ends)), safe=max(ends) <= INT_RANGE)


def _rounded(name: str) -> Function:
    def check(arguments: Arguments) -> Typed | str:
        x = arguments[0]
        if not x.kind.is_number:
            return f"{name.upper()} takes a number"
        if len(arguments) == 2 and not (arguments[1].constant and arguments[1].kind is Kind.INT):
            return "the digits of ROUND must be a whole number written in the query"
        if x.kind is Kind.INT and len(arguments) == 1:
            return x
        spread = 0.0 if len(arguments) == 1 else 10.0 ** max(0.0, -arguments[1].low)
        sql = f"{name}({', '.join(a.sql for a in arguments)})"
        return derive(sql, x.kind, arguments, (math_floor(x.low) - spread, math_ceil(x.high) + spread), safe=False)

    return check


def math_floor(x: float) -> float:
    return float(math.floor(x)) if math.isfinite(x) else x


def math_ceil(x: float) -> float:
    return float(math.ceil(x)) if math.isfinite(x) else x


def _extreme(name: str) -> Function:
    """LEAST and GREATEST skip NULLs, so only a constant, which is never NULL here, can be relied on as a bound."""

    def check(arguments: Arguments) -> Typed | str:
        kind = same_kind(arguments)
        if kind is None or kind is Kind.BOOL:
            return f"{name.upper()} takes arguments of one kind"
        sql = f"{name}({', '.join(as_kind(a, kind) for a in arguments)})"
        if not kind.is_number:
            return derive(sql, kind, arguments, ANY)
        sure = [a for a in arguments if a.constant and a.kind is not Kind.NULL]
        low, high = hull(*arguments)
        if name == "least":
            high = min([high, *(a.high for a in sure)])
        else:
            low = max([low, *(a.low for a in sure)])
        return derive(sql, kind, arguments, (low, high))

    return check


def _text_to_text(name: str) -> Function:
    def check(arguments: Arguments) -> Typed | str:
        (x,) = arguments
        if x.kind not in {Kind.TEXT, Kind.UNKNOWN}:
            return f"{name.upper()} takes text"
        return derive(f"{name}({x.sql})", Kind.TEXT, arguments, ANY)

    return check


def _length(arguments: Arguments) -> Typed | str:
    (x,) = arguments
    if x.kind not in {Kind.TEXT, Kind.UNKNOWN}:
        return "LENGTH takes text"
    return derive(f"length({x.sql})", Kind.INT, arguments, (0, math.inf))


def _substring(arguments: Arguments) -> Typed | str:
    if arguments[0].kind not in {Kind.TEXT, Kind.UNKNOWN} or not all(a.kind is Kind.INT for a in arguments[1:]):
        return "SUBSTR takes text, a start and a length"
    return derive(f"substring({', '.join(a.sql for a in arguments)})", Kind.TEXT, arguments, ANY, safe=False)


def _concat(arguments: Arguments) -> Typed | str:
    parts = ", ".join(f"CAST({a.sql} AS VARCHAR)" for a in arguments)
    return derive(f"concat({parts})", Kind.TEXT, arguments, ANY)


def _coalesce(arguments: Arguments) -> Typed | str:
    kind = same_kind(arguments)
    if kind is None:
        return "COALESCE takes arguments of one kind"
    made = derive(f"COALESCE({', '.join(as_kind(a, kind) for a in arguments)})", kind, arguments, hull(*arguments))
    return replace(made, values=union(*arguments))


def _nullif(arguments: Arguments) -> Typed | str:
    kind = same_kind(arguments)
    if kind is None:
        return "NULLIF takes two arguments of one kind"
    a, b = arguments
    return derive(f"NULLIF({as_kind(a, kind)}, {as_kind(b, kind)})", kind, arguments, (a.low, a.high))


def _year_like(part: str) -> Function:
    return lambda arguments: extract(part, arguments[0])


def extract(part: str, moment: Typed) -> Typed | str:
    """EXTRACT(part FROM moment)."""
    part = PART_ALIASES.get(part, part)
    if part not in PARTS:
        return f"the part {part.upper()} is not among {', '.join(sorted(PARTS))}"
    if not moment.kind.is_temporal:
        return f"{part.upper()} is taken of a date or a timestamp"
    return derive(f"date_part({text_literal(part)}, {moment.sql})", Kind.INT, [moment], PARTS[part], safe=False)


def date_trunc(unit: str, moment: Typed) -> Typed | str:
    """DATE_TRUNC(unit, moment): a date for a day or longer, a timestamp for less."""
    if unit not in TRUNC_TO_DAY | TRUNC_TO_TIME:
        return f"the unit {unit.upper()} is not among {', '.join(sorted(TRUNC_TO_DAY | TRUNC_TO_TIME))}"
    if not moment.kind.is_temporal:
        return "DATE_TRUNC is taken of a date or a timestamp"
    sql = f"date_trunc({text_literal(unit)}, {moment.sql})"
    if unit in TRUNC_TO_DAY:
        return derive(f"TRY_CAST({sql} AS DATE)", Kind.DATE, [moment], ANY, safe=False)
    return derive(f"TRY_CAST({sql} AS TIMESTAMP)", Kind.TIMESTAMP, [moment], ANY, safe=False)


def date_diff(unit: str, start: Typed, end: Typed) -> Typed | str:
    """DATE_DIFF(unit, start, end): how many boundaries of the unit lie between."""
    if unit not in DIFF_UNITS:
        return f"the unit {unit.upper()} is not among {', '.join(sorted(DIFF_UNITS))}"
    if not (start.kind.is_temporal and end.kind.is_temporal):
        return "DATE_DIFF takes two dates or timestamps"
    sides = ", ".join(f"CAST({side.sql} AS TIMESTAMP)" for side in (start, end))
    return derive(f"date_diff({text_literal(unit)}, {sides})", Kind.INT, [start, end], ANY, safe=False)


def width_bucket(arguments: Arguments) -> Typed | str:
    """WIDTH_BUCKET(x, low, high, n): 0 below, 1 to n inside, n + 1 from `high` up (SQL:2003; DuckDB has none)."""
    x, low, high, buckets = arguments
    fixed = all(a.constant and a.low == a.high for a in (low, high, buckets))
    if not (x.kind.is_number and fixed and buckets.kind is Kind.INT and low.low < high.low and buckets.low >= 1):
        return "WIDTH_BUCKET takes a number, two bounds written as numbers (low < high) and a whole number of buckets"
    n = int(buckets.low)
    place = f"CAST(floor((({x.sql}) - {low.sql}) * {n} / ({high.sql} - {low.sql})) AS BIGINT)"
    inside = f"least({n}, 1 + {place})"
    sql = f"CASE WHEN ({x.sql}) < {low.sql} THEN 0 WHEN ({x.sql}) >= {high.sql} THEN {n + 1} ELSE {inside} END"
    null_safe = f"CASE WHEN ({x.sql}) IS NOT NULL THEN CAST({sql} AS BIGINT) END"
    return derive(null_safe, Kind.INT, arguments, (0, n + 1), safe=False)


FUNCTIONS: dict[str, tuple[int, int, Function]] = {
    "abs": (1, 1, _absolute),
    "round": (1, 2, _rounded("round")),
    "floor": (1, 1, _rounded("floor")),
    "ceil": (1, 1, _rounded("ceil")),
    "least": (1, 50, _extreme("least")),
    "greatest": (1, 50, _extreme("greatest")),
    "lower": (1, 1, _text_to_text("lower")),
    "upper": (1, 1, _text_to_text("upper")),
    "trim": (1, 1, _text_to_text("trim")),
    "length": (1, 1, _length),
    "substring": (2, 3, _substring),
    "concat": (1, 50, _concat),
    "coalesce": (1, 50, _coalesce),
    "nullif": (2, 2, _nullif),
    "year": (1, 1, _year_like("year")),
    "month": (1, 1, _year_like("month")),
    "day": (1, 1, _year_like("day")),
    "hour": (1, 1, _year_like("hour")),
    "dayofweek": (1, 1, _year_like("dayofweek")),
    "width_bucket": (4, 4, width_bucket),
}
"""name -> (fewest arguments, most arguments, check)."""
