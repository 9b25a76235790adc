"""What is known of a row-level expression without looking at a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """The kind of value. Integers are 64-bit, decimals are read as doubles; UNKNOWN stands for a refused part."""

    INT = "BIGINT"
    DOUBLE = "DOUBLE"
    TEXT = "VARCHAR"
    BOOL = "BOOLEAN"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    UUID = "UUID"
    INTERVAL = "INTERVAL"
    NULL = "NULL"
    UNKNOWN = "UNKNOWN"

    @property
    def is_number(self) -> bool:
        return self in {Kind.INT, Kind.DOUBLE, Kind.UNKNOWN}

    @property
    def is_temporal(self) -> bool:
        return self in {Kind.DATE, Kind.TIMESTAMP, Kind.UNKNOWN}


INT_RANGE = 2.0**62
"""Integer arithmetic whose range stays inside this cannot overflow."""
INT_EXACT = 2.0**53
"""Up to here doubles, in which ranges are kept, hold every whole number."""
DOUBLE_RANGE = 1e300
"""Double arithmetic whose range stays inside this cannot become infinite."""
Span = tuple[float, float]
ANY: Span = (-math.inf, math.inf)


@dataclass(frozen=True)
class Typed:
    """An expression as DuckDB SQL that no row can make raise, with what is known of it.

    `low`, `high`: the range of its numbers, where they are finite. `wild`: it may be NaN or infinite, which only an
    operand of arithmetic may be; `finite` makes those NULL. `sure`: it is a number that is never NULL.
    `unit`: it is the privacy unit's id. `fact`: it is the same in all rows of one unit. `constant`: it depends on no
    row. `measured_in`: the unit of measurement of the column that it is. `values`: every value that it can have besides
    NULL, where the query or the dataset's file says so; empty where they do not. `identifies`: it is made of
    what says who somebody is: an e-mail address, say. `made_of`: of a relation's column, those of tables behind it.
    """

    sql: str
    kind: Kind
    low: float = -math.inf
    high: float = math.inf
    wild: bool = False
    sure: bool = False
    unit: bool = False
    fact: bool = False
    constant: bool = False
    measured_in: str | None = None
    values: tuple[object, ...] = ()
    identifies: bool = False
    made_of: frozenset[str] = frozenset()

    @property
    def bounded(self) -> bool:
        """Whether its numbers are proven to lie in a finite range."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def constant(
    sql: str, kind: Kind, low: float = -math.inf, high: float = math.inf, values: tuple[object, ...] = ()
) -> Typed:
    """A literal or a parameter: the same for everyone, so also a fact about each unit."""
    return Typed(sql, kind, low, high, sure=kind.is_number, fact=True, constant=True, values=values)


UNKNOWN = Typed("NULL", Kind.UNKNOWN, fact=True, constant=True)
"""What a refused part is taken for, so that the analysis can go on and find every reason."""


def derive(
    sql: str, kind: Kind, arguments: Sequence[Typed], span: Span = ANY, *, safe: bool = True, sure: bool = False
) -> Typed:
    """What an operation makes of its arguments.

    Args:
      sql: the operation over the arguments' SQL.
      span: the range of its numbers.
      safe: no row can make the operation raise. If one could, it stands in a TRY of its own, at once: DuckDB computes
        a subexpression that occurs twice once, outside of any TRY further out, so only the closest one protects.
      sure: it is never NULL.
    """
    low, high = outward(span) if kind is Kind.INT else span
    return Typed(
        sql if safe else f"TRY({sql})",
        kind,
        low,
        high,
        sure=sure and safe,
        fact=all(argument.fact for argument in arguments),
        constant=all(argument.constant for argument in arguments),
        identifies=any(argument.identifies for argument in arguments),
    )


def outward(span: Span) -> Span:
    """The range of whole numbers whose ends, past 2^53, were rounded to doubles, widened by as much."""
    low, high = span
    return (
        math.nextafter(low, -math.inf) if abs(low) >= INT_EXACT else low,
        math.nextafter(high, math.inf) if abs(high) >= INT_EXACT else high,
    )


def finite(value: Typed) -> Typed:
    """The value with infinities and NaN turned into NULL."""
    if not value.wild:
        return value
    return replace(value, sql=f"CASE WHEN isfinite({value.sql}) THEN {value.sql} END", wild=False, sure=False)


def one_zero(value: Typed) -> str:
    """The SQL of a value with -0.0 written 0.0.

    To MIN, MAX and GROUP BY the two are one value, and which of them stands for both depends on the order of rows.
    """
    return f"({value.sql} + 0.0::DOUBLE)" if value.kind is Kind.DOUBLE else value.sql


def product(a: float, b: float) -> float:
    """a * b with 0 * infinity = 0, as ranges need it."""
    return 0.0 if a == 0 or b == 0 else a * b


def quotient(a: float, b: float) -> float:
    """a / b, b not 0, with x / infinity = 0, as ranges need it."""
    return 0.0 if math.isinf(b) else a / b


def hull(*values: Typed) -> tuple[float, float]:
    """The range that holds the ranges of all values; NULLs add nothing."""
    known = [value for value in values if value.kind is not Kind.NULL]
    if not known:
        return -math.inf, math.inf
    return min(value.low for value in known), max(value.high for value in known)


def union(*values: Typed) -> tuple[object, ...]:
    """Every value that one of them can have; empty if that is not known of all. NULLs add nothing."""
    known = [value for value in values if value.kind is not Kind.NULL]
    if not all(value.values for value in known):
        return ()
    return tuple(dict.fromkeys(each for value in known for each in value.values))


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """An SQL string."""
    return "'" + value.replace("'", "''") + "'"
