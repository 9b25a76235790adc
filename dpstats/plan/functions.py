"""The allow-list of row-level functions: for each, how it is checked, its range, and the DuckDB SQL it becomes.

A function that is not here is refused. Each entry takes checked arguments and gives a `Typed`, or a reason.
All are deterministic functions of one row, so a row's value never depends on another row. None may raise, whatever
the row: what DuckDB cannot compute is NULL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from dpstats.plan.fanout import CELL_MAX
from dpstats.plan.typed import DOUBLE_RANGE, INT_RANGE, Kind, Span, Typed, derive, hull, text_literal, union

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
DIGITS_MAX = 30
BUCKETS_MAX = 1_000_000
TEXT_MAX = CELL_MAX
"""Characters that texts joined with || or CONCAT keep."""
SUBSTRING_REACH = 2.0**31
"""DuckDB raises for starts and lengths past 2^32."""


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
    safe = x.kind is not Kind.INT or max(ends) <= INT_RANGE
    return derive(f"abs({x.sql})", x.kind, arguments, (low, max(ends)), safe=safe, sure=x.sure)


def _floor_or_ceil(name: str) -> Function:
    def check(arguments: Arguments) -> Typed | str:
        (x,) = arguments
        if not x.kind.is_number:
            return f"{name.upper()} takes a number"
        return (
            x
            if x.kind is Kind.INT
            else derive(f"{name}({x.sql})", x.kind, arguments, whole(x.low, x.high), sure=x.sure)
        )

    return check


def _round(arguments: Arguments) -> Typed | str:
    x = arguments[0]
    if not x.kind.is_number:
        return "ROUND takes a number"
    digits = _written(arguments[1]) if len(arguments) == 2 else 0
    if digits is None or abs(digits) > DIGITS_MAX:
        return f"the digits of ROUND must be a whole number of at most {DIGITS_MAX}, written in the query"
    if x.kind is Kind.INT and digits >= 0:
        return x
    low, high = whole(x.low, x.high)
    spread = 10.0**-digits if digits < 0 else 0.0
    sql = f"round({x.sql}, {digits})"
    return derive(sql, x.kind, arguments, (low - spread, high + spread), safe=x.kind is not Kind.INT, sure=x.sure)


def _written(value: Typed) -> int | None:
    """The whole number that is written here, or None."""
    return int(value.low) if value.sure and value.kind is Kind.INT and value.low == value.high else None


def whole(low: float, high: float) -> Span:
    """A range, its ends moved out to whole numbers."""
    return float(math.floor(low)) if math.isfinite(low) else low, float(math.ceil(high)) if math.isfinite(
        high
    ) else high


def _extreme(name: str) -> Function:
    """LEAST and GREATEST skip NULLs, so only an argument that is never NULL can be relied on as a bound."""

    def check(arguments: Arguments) -> Typed | str:
        kind = same_kind(arguments)
        if kind is None or kind is Kind.BOOL:
            return f"{name.upper()} takes arguments of one kind"
        sql = f"{name}({', '.join(as_kind(a, kind) for a in arguments)})"
        sure = [a for a in arguments if a.sure]
        low, high = hull(*arguments)
        if name == "least":
            high = min([high, *(a.high for a in sure)])
        else:
            low = max([low, *(a.low for a in sure)])
        return derive(sql, kind, arguments, (low, high), sure=bool(sure))

    return check


def _text_to_text(name: str) -> Function:
    def check(arguments: Arguments) -> Typed | str:
        (x,) = arguments
        if x.kind not in {Kind.TEXT, Kind.UNKNOWN}:
            return f"{name.upper()} takes text"
        return derive(f"{name}({x.sql})", Kind.TEXT, arguments)

    return check


def _length(arguments: Arguments) -> Typed | str:
    (x,) = arguments
    if x.kind not in {Kind.TEXT, Kind.UNKNOWN}:
        return "LENGTH takes text"
    return derive(f"length({x.sql})", Kind.INT, arguments, (0, math.inf))


def _substring(arguments: Arguments) -> Typed | str:
    if arguments[0].kind not in {Kind.TEXT, Kind.UNKNOWN} or not all(a.kind is Kind.INT for a in arguments[1:]):
        return "SUBSTR takes text, a start and a length"
    inside = all(max(abs(a.low), abs(a.high)) < SUBSTRING_REACH for a in arguments[1:])
    return derive(f"substring({', '.join(a.sql for a in arguments)})", Kind.TEXT, arguments, safe=inside)


def joined(sql: str, arguments: Arguments) -> Typed:
    """Text made of several texts, cut to TEXT_MAX: joined again and again, one row's text could fill the memory."""
    return derive(f"left({sql}, {TEXT_MAX})", Kind.TEXT, arguments)


def _concat(arguments: Arguments) -> Typed | str:
    return joined(f"concat({', '.join(f'CAST({a.sql} AS VARCHAR)' for a in arguments)})", arguments)


def _coalesce(arguments: Arguments) -> Typed | str:
    kind = same_kind(arguments)
    if kind is None:
        return "COALESCE takes arguments of one kind"
    sql = f"COALESCE({', '.join(as_kind(a, kind) for a in arguments)})"
    made = derive(sql, kind, arguments, hull(*arguments), sure=any(a.sure for a in arguments))
    return replace(made, values=union(*arguments))


def _nullif(arguments: Arguments) -> Typed | str:
    kind = same_kind(arguments)
    if kind is None:
        return "NULLIF takes two arguments of one kind"
    x, other = arguments
    same = f"{as_kind(x, kind)} = {as_kind(other, kind)}"
    # As DuckDB would write NULLIF out; written out here, it counts towards the length that an expression may have.
    return derive(f"CASE WHEN {same} THEN NULL ELSE {x.sql} END", x.kind, arguments, (x.low, x.high))


def _year_like(part: str) -> Function:
    return lambda arguments: extract(part, arguments[0])


def extract(part: str, moment: Typed) -> Typed | str:
    """EXTRACT(part FROM moment)."""
    part = PART_ALIASES.get(part, part)
    if part not in PARTS:
        return f"the part {part.upper()} is not among {', '.join(sorted(PARTS))}"
    if not moment.kind.is_temporal:
        return f"{part.upper()} is taken of a date or a timestamp"
    taken = derive(f"date_part({text_literal(part)}, {moment.sql})", Kind.INT, [moment], safe=False)
    return derive(f"CAST({taken.sql} AS BIGINT)", Kind.INT, [moment], PARTS[part])  # a DOUBLE where all are NULL


def date_trunc(unit: str, moment: Typed) -> Typed | str:
    """DATE_TRUNC(unit, moment): a date for a day or longer, a timestamp for less."""
    if unit not in TRUNC_TO_DAY | TRUNC_TO_TIME:
        return f"the unit {unit.upper()} is not among {', '.join(sorted(TRUNC_TO_DAY | TRUNC_TO_TIME))}"
    if not moment.kind.is_temporal:
        return "DATE_TRUNC is taken of a date or a timestamp"
    kind = Kind.DATE if unit in TRUNC_TO_DAY else Kind.TIMESTAMP
    # Of a timestamp: near the ends of its range DuckDB raises for a date, in spite of TRY.
    sql = f"date_trunc({text_literal(unit)}, {as_kind(moment, Kind.TIMESTAMP)})"
    truncated = derive(sql, Kind.TIMESTAMP, [moment], safe=False)
    return derive(f"TRY_CAST({truncated.sql} AS {kind.value})", kind, [moment])


def date_diff(unit: str, start: Typed, end: Typed) -> Typed | str:
    """DATE_DIFF(unit, start, end): how many boundaries of the unit lie between."""
    if unit not in DIFF_UNITS:
        return f"the unit {unit.upper()} is not among {', '.join(sorted(DIFF_UNITS))}"
    if not (start.kind.is_temporal and end.kind.is_temporal):
        return "DATE_DIFF takes two dates or timestamps"
    kind = same_kind((start, end)) or Kind.TIMESTAMP
    sides = ", ".join(as_kind(side, kind) for side in (start, end))
    return derive(f"date_diff({text_literal(unit)}, {sides})", Kind.INT, [start, end], safe=False)


def width_bucket(arguments: Arguments) -> Typed | str:
    """WIDTH_BUCKET(x, low, high, n): 0 below, 1 to n inside, n + 1 from `high` up (SQL:2003; DuckDB has none)."""
    x, low, high, buckets = arguments
    n = _written(buckets)
    fixed = low.sure and high.sure and low.low == low.high < high.low == high.high
    if not (x.kind.is_number and fixed and high.low - low.low <= DOUBLE_RANGE / BUCKETS_MAX):
        return "WIDTH_BUCKET takes a number and two bounds written as numbers, low < high"
    if n is None or not 1 <= n <= BUCKETS_MAX:
        return f"the buckets of WIDTH_BUCKET are a whole number from 1 to {BUCKETS_MAX}, written in the query"
    number, start, end = as_kind(x, Kind.DOUBLE), f"{low.low!r}::DOUBLE", f"{high.low!r}::DOUBLE"
    place = f"TRY_CAST(floor(({number} - {start}) * {n}::DOUBLE / ({end} - {start})) AS BIGINT)"
    inside = f"WHEN {number} < {end} THEN least({n}::BIGINT, 1 + {place})"
    outside = f"WHEN {number} < {start} THEN 0::BIGINT {inside} WHEN {number} >= {end} THEN {n + 1}::BIGINT"
    return derive(f"CASE {outside} END", Kind.INT, arguments, (0.0, n + 1.0))


FUNCTIONS: dict[str, tuple[int, int, Function]] = {
    "abs": (1, 1, _absolute),
    "round": (1, 2, _round),
    "floor": (1, 1, _floor_or_ceil("floor")),
    "ceil": (1, 1, _floor_or_ceil("ceil")),
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
