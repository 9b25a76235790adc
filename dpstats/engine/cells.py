"""From a cell of a file to a cell of a data version, in SQL that no cell can make fail.

A cell that is not of its column's type becomes NULL; so do NaN, infinities, and times outside of the years 1 to 9999.
Minus zero becomes zero and text is brought to Unicode normal form C, so that what looks equal is equal. Text keeps its
first `CELL_MAX` characters, so that one cell cannot fill the memory; an id is never cut, which would make two units
one: a longer one is nobody's.
"""

from __future__ import annotations

import re

from dpstats.catalog.types import ColumnType
from dpstats.plan.fanout import CELL_MAX

ID_MAX = 256
"""Characters of a privacy unit's id."""
_READABLE = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)|VARCHAR|ENUM\(.*\)|UUID"
    r'|DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|"NULL"'
)
_FLOATING = ("FLOAT", "DOUBLE")
_MOMENTS = ("date", "timestamp")


def is_readable(source_type: str) -> bool:
    """Whether cells of this DuckDB type can be read: not bytes, not nested values, not times without a date."""
    return _READABLE.fullmatch(source_type) is not None


def given(cell: str, source_type: str) -> str:
    """SQL for `cell`, a column of that DuckDB type, as the file gives it: NULL for no value and no number."""
    return _finite(cell, source_type) if source_type in _FLOATING else cell


def cast(cell: str, source_type: str, column_type: ColumnType) -> str:
    """SQL for `cell` as the column's type, NULL where it is not one. A time with a zone becomes UTC without one."""
    cell = given(cell, source_type)
    if source_type == "VARCHAR" and column_type.name == "timestamp":
        cell = f"TRY_CAST({cell} AS TIMESTAMP WITH TIME ZONE)"  # the session is in UTC; a plain cast drops the zone
    return f"TRY_CAST({cell} AS {column_type.sql})"


def clean(cell: str, source_type: str, column_type: ColumnType) -> str:
    """SQL for `cell` as it is stored: `cast`, finite, and in one spelling."""
    value = cast(cell, source_type, column_type)
    if column_type.name == "double":
        return _finite(value, "DOUBLE")
    if column_type.name == "varchar":
        return f"left(nfc_normalize({value}), {CELL_MAX})"  # what NFC is cut to is in NFC
    if column_type.name in _MOMENTS:
        # Of the years 1 to 9999: beyond them, arithmetic of dates raises for one row, and infinities are there.
        sql = column_type.sql
        return f"CASE WHEN {value} >= {sql} '0001-01-01' AND {value} < {sql} '10000-01-01' THEN {value} END"
    return value


def clean_id(cell: str, source_type: str, column_type: ColumnType) -> str:
    """SQL for `cell`, a privacy unit's id, as it is stored; NULL where it is none."""
    if column_type.name != "varchar":
        return clean(cell, source_type, column_type)
    value = f"nfc_normalize({cast(cell, source_type, column_type)})"
    return f"CASE WHEN length({value}) <= {ID_MAX} THEN {value} END"


def _finite(number: str, floating_type: str) -> str:
    """NULL for NaN and infinities; adding zero turns -0.0 into 0.0 (IEEE 754, 6.3)."""
    return f"CASE WHEN isfinite({number}) THEN {number} + CAST(0 AS {floating_type}) END"
