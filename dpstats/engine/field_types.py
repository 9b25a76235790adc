"""Types of a table's log, of Delta Lake and Iceberg, as DuckDB finds them in its files.

A file is read by its own schema, so it may have a column in such a type alone that every value of it is the same in the
log's: whole numbers and decimals of fewer digits, and FLOAT for DOUBLE. What is not listed no file may have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NARROW = ("TINYINT", "SMALLINT")
_WHOLE = (*_NARROW, "INTEGER")
_BOTH: Mapping[str, tuple[str, ...]] = {
    "boolean": ("BOOLEAN",),
    "long": (*_WHOLE, "BIGINT"),
    "float": ("FLOAT",),
    "double": ("FLOAT", "DOUBLE"),
    "date": ("DATE",),
    "string": ("VARCHAR",),
}
_UTC = "TIMESTAMP WITH TIME ZONE"
# Spark writes a moment in UTC as INT96, which DuckDB takes for a time without a zone: its clock is the same.
DELTA: Mapping[str, tuple[str, ...]] = {
    **_BOTH,
    "byte": ("TINYINT",),
    "short": _NARROW,
    "integer": _WHOLE,
    "timestamp": (_UTC, "TIMESTAMP"),
    "timestamp_ntz": ("TIMESTAMP",),
}
ICEBERG: Mapping[str, tuple[str, ...]] = {
    **_BOTH,
    "int": _WHOLE,
    "timestamp": ("TIMESTAMP",),
    "timestamptz": (_UTC,),
    "uuid": ("UUID",),
}
_DECIMAL = re.compile(r"decimal\(([0-9]+), ?([0-9]+)\)")


def kinds_of(name: str, types: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """DuckDB's types that a file may have a column in.

    Args:
      name: the column's type, as the log spells it. types: those of its format.
    """
    if decimal := _DECIMAL.fullmatch(name):
        digits, scale = map(int, decimal.groups())
        return frozenset(f"DECIMAL({fewer},{scale})" for fewer in range(max(scale, 1), digits + 1))
    return frozenset(types.get(name, ()))
