"""Dates and times: parts, truncation, differences and moves.

Columns hold the years 1 to 9999 (`engine/spark/export.py`), and a query may move them by `YEARS_MAX` in all, so that
no value leaves what 64 bits of microseconds hold: 290,000 years to either side. Thus nothing here can overflow, for
whatever row. Timestamps have no zone; where Spark knows a function of those with one only, the session is in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from dpstats.plan.spark.pieces import Handler, NotOnSpark, Piece, Scope, Sort, Translating, unknown

YEARS_MAX = 250_000
DAYS_MAX = 3_652_059
"""Days that a row's own number may move a date by, as many as the years 1 to 9999 have; by more is NULL."""
YEARS_OF = {"DAY": 1 / 365, "WEEK": 1 / 52, "MONTH": 1 / 12, "QUARTER": 1 / 4, "YEAR": 1, "HOUR": 1 / 8760,
            "MINUTE": 1 / 525_600, "SECOND": 1 / 31_536_000}  # fmt: skip
INTERVALS = {"WEEK": (7, "DAY"), "QUARTER": (3, "MONTH")}
PARTS = {
    "year": "year({d})",
    "quarter": "quarter({d})",
    "month": "month({d})",
    "week": "weekofyear({d})",
    "day": "day({d})",
    "dayofweek": "(dayofweek({d}) - 1)",
    "dow": "(dayofweek({d}) - 1)",
    "isodow": "(weekday({d}) + 1)",
    "dayofyear": "dayofyear({d})",
    "doy": "dayofyear({d})",
    "hour": "hour({t})",
    "minute": "minute({t})",
    "second": "second({t})",
}
"""Spark counts days of the week from 1 (Sunday) or 0 (Monday), DuckDB from 0 (Sunday) and 1 (Monday)."""
DAYS = {"year", "quarter", "month", "week"}
TIMES = {"hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}


def part(t: Translating, name: str, moment: Piece) -> Piece:
    """DATE_PART."""
    if name not in PARTS:
        raise NotOnSpark(f"the part {name.upper()} on Spark", "Use DuckDB")
    sql = PARTS[name].format(d=f"CAST({moment.sql} AS DATE)", t=f"CAST({moment.sql} AS TIMESTAMP_NTZ)")
    return Piece(f"CAST({sql} AS BIGINT)", Sort.INT)


def truncated(t: Translating, node: exp.TimestampTrunc | exp.DateTrunc, scope: Scope) -> Piece:
    """DATE_TRUNC: a date for a day or more, which is what `plan` casts it to."""
    moment, unit = t.piece(node.this, scope), node.args["unit"].name.lower()
    if unit == "day":
        return Piece(f"CAST({moment.sql} AS DATE)", Sort.DATE)
    if unit in DAYS:
        return Piece(f"trunc(CAST({moment.sql} AS DATE), '{unit}')", Sort.DATE)
    if unit in TIMES:
        zoned = f"date_trunc('{unit}', {_zoned(moment)})"
        return Piece(f"CAST({zoned} AS TIMESTAMP_NTZ)", Sort.TIMESTAMP)
    raise unknown(node)


def difference(t: Translating, node: exp.DateDiff, scope: Scope) -> Piece:
    """DATE_DIFF: boundaries of the unit between the two."""
    end, start = t.piece(node.this, scope), t.piece(node.expression, scope)
    unit = node.args["unit"].name.lower()
    return Piece(f"({_count(unit, end)} - {_count(unit, start)})", Sort.INT)


def _count(unit: str, moment: Piece) -> str:
    """How many whole units lie before it, from some start that is the same for all."""
    day = f"CAST({moment.sql} AS DATE)"
    if unit == "year":
        return f"CAST(year({day}) AS BIGINT)"
    if unit == "quarter":
        return f"(CAST(year({day}) AS BIGINT) * 4 + quarter({day}))"
    if unit == "month":
        return f"(CAST(year({day}) AS BIGINT) * 12 + month({day}))"
    if unit == "week":
        return f"(CAST(datediff(trunc({day}, 'week'), DATE'1970-01-05') AS BIGINT) DIV 7)"
    if unit == "day":
        return f"CAST(datediff({day}, DATE'1970-01-01') AS BIGINT)"
    if unit in TIMES:
        return f"(unix_micros({_zoned(moment)}) DIV {TIMES[unit]}L)"
    raise NotOnSpark(f"DATE_DIFF in {unit.upper()} on Spark", "Use DuckDB")


def interval(t: Translating, node: exp.Interval, scope: Scope) -> Piece:
    """INTERVAL n UNIT, as `plan` writes it."""
    count, unit = int(node.this.this), node.args["unit"].name.upper().removesuffix("S")
    if unit not in YEARS_OF:
        raise unknown(node)
    t.moves(count * YEARS_OF[unit])
    times, base = INTERVALS.get(unit, (1, unit))
    return Piece(f"INTERVAL '{count * times}' {base}", Sort.INTERVAL)


def moved(t: Translating, sign: str, left: Piece, right: Piece) -> Piece:
    """Dates plus or minus intervals and days, and the days between two dates."""
    if right.sort is Sort.INTERVAL:
        return Piece(f"(CAST({left.sql} AS TIMESTAMP_NTZ) {sign} {right.sql})", Sort.TIMESTAMP)
    if left.sort is Sort.DATE and right.sort is Sort.DATE:
        return Piece(f"CAST(datediff({left.sql}, {right.sql}) AS BIGINT)", Sort.INT)
    if left.sort is Sort.DATE and right.sort is Sort.INT:
        t.moves(DAYS_MAX * YEARS_OF["DAY"])
        days = f"CASE WHEN {right.sql} BETWEEN -{DAYS_MAX} AND {DAYS_MAX} THEN CAST({right.sql} AS INT) END"
        return Piece(f"{'date_add' if sign == '+' else 'date_sub'}({left.sql}, {days})", Sort.DATE)
    raise NotOnSpark(f"{left.sort} {sign} {right.sort} on Spark", "Use DuckDB")


def _zoned(moment: Piece) -> str:
    return f"CAST(CAST({moment.sql} AS TIMESTAMP_NTZ) AS TIMESTAMP)"


HANDLERS: Mapping[type[exp.Expr], Handler] = {
    exp.TimestampTrunc: truncated,
    exp.DateTrunc: truncated,
    exp.DateDiff: difference,
    exp.Interval: interval,
}
