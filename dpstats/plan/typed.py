"""What is known of a row-level expression without looking at a row."""

from __future__ import annotations

import math
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
DOUBLE_RANGE = 1e300
"""Double arithmetic whose range stays inside this cannot become infinite."""


@dataclass(frozen=True)
class Typed:
    """An expression as DuckDB SQL, with what is known of it.

    `low`, `high`: the range of its numbers. `safe`: no row can make it raise. `unit`: it is the privacy unit's id.
    `fact`: it is the same in all rows of one unit. `constant`: it depends on no row.
    `measured_in`: the unit of measurement of the column that it is. `values`: every value that it can have besides
    NULL, where the query or the dataset's file says so; empty where they do not.
    """

    sql: str
    kind: Kind
    low: float = -math.inf
    high: float = math.inf
    safe: bool = True
    unit: bool = False
    fact: bool = False
    constant: bool = False
    measured_in: str | None = None
    values: tuple[object, ...] = ()

    @property
    def bounded(self) -> bool:
        """Whether its numbers are proven to lie in a finite range."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def guarded(self) -> str:
        """The SQL, made so that no row can raise: an error becomes NULL."""
        return self.sql if self.safe else f"TRY({self.sql})"


def constant(
    sql: str, kind: Kind, low: float = -math.inf, high: float = math.inf, values: tuple[object, ...] = ()
) -> Typed:
    """A literal or a parameter: the same for everyone, so also a fact about each unit."""
    return Typed(sql, kind, low, high, fact=True, constant=True, values=values)


UNKNOWN = Typed("NULL", Kind.UNKNOWN, fact=True, constant=True)
"""What a refused part is taken for, so that the analysis can go on and find every reason."""


def finite(value: Typed) -> Typed:
    """A double with infinities and NaN turned into NULL, unless its range proves there are none."""
    if value.kind is not Kind.DOUBLE or (abs(value.low) <= DOUBLE_RANGE and abs(value.high) <= DOUBLE_RANGE):
        return value
    return finite_always(value)


def finite_always(value: Typed) -> Typed:
    """A double with infinities and NaN turned into NULL."""
    return replace(value, sql=f"CASE WHEN isfinite({value.guarded}) THEN {value.guarded} END", safe=True)


def product(a: float, b: float) -> float:
    """a * b with 0 * infinity = 0, as ranges need it."""
    return 0.0 if a == 0 or b == 0 else a * b


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
