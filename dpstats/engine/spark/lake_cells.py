"""Cells of an owner's Parquet as Spark reads them, made what a load by DuckDB would have stored (`engine/cells.py`).

Which type a file's column has is DuckDB's word: Spark is told what to read it as. Only pairs of types are taken in
which both engines make the same of every cell; a cell that does not fit is NULL, and none makes a query raise. Text is
not brought to normal form C, which Spark does not know; ids are, when they are noted.

A partition's cell is made without a pattern: Spark moves no pattern below what is selected, so it would read the files
of all partitions whatever a query asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dpstats.catalog.types import ColumnType
from dpstats.engine.cells import ID_MAX
from dpstats.plan.fanout import CELL_MAX
from dpstats.plan.spark.pieces import named

UNITS_OF_ONE = 4
"""Characters at most that normal form C makes one of: a longer id is nobody's in any form."""
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_READ_AS = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INT",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "INTEGER": "INT",
    "VARCHAR": "STRING",
    "UUID": "BINARY",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP_S": "TIMESTAMP_NTZ",
    "TIMESTAMP_MS": "TIMESTAMP_NTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_NTZ",
}
_SAME = ("TINYINT", "SMALLINT", "BIGINT", "FLOAT", "DOUBLE", "BOOLEAN", "DATE")
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE")
_DAYS = "DATE'0001-01-01' AND DATE'9999-12-31'"
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def read_as(source_type: str) -> str | None:
    """The Spark type in which a column of that DuckDB type is read; None if Spark does not read it."""
    if source_type.startswith("DECIMAL("):
        return source_type
    return source_type if source_type in _SAME else _READ_AS.get(source_type)


def cell(name: str, source_type: str, column: ColumnType, *, partition: bool, unit: bool) -> str | None:
    """Spark SQL for the file's column `name` as a data version would hold it; None if the two types do not go together.

    Args:
      partition: it is a column in the names of folders, which is text.
      unit: it is the privacy unit's.
    """
    x, kind = named(name), source_type.partition("(")[0]
    if column.name == "uuid":
        return _uuid(x, kind)
    if column.name == "varchar":
        text = _text(x, kind)
        if text is None or not unit:
            return text and f"left({text}, {CELL_MAX})"
        return f"CASE WHEN length({text}) <= {ID_MAX * UNITS_OF_ONE} THEN {text} END"
    return _MADE[column.name](x, kind, column, partition)


def _text(x: str, kind: str) -> str | None:
    if kind == "VARCHAR":
        return f"try_validate_utf8({x})"
    return f"CAST({x} AS STRING)" if kind in (*_WHOLE, "BOOLEAN", "DATE") else None


def _uuid(x: str, kind: str) -> str | None:
    if kind == "VARCHAR":
        return f"CASE WHEN try_validate_utf8({x}) RLIKE '{_UUID}' THEN lower({x}) END"
    hexed = f"lower(hex({x}))"
    parts = ", ".join(f"substring({hexed}, {start}, {size})" for start, size in ((1, 8), (9, 4), (13, 4), (17, 4)))
    return (
        f"CASE WHEN {x} IS NOT NULL THEN concat_ws('-', {parts}, substring({hexed}, 21, 12)) END"
        if kind == "UUID"
        else None
    )


def _integer(x: str, kind: str, column: ColumnType, partition: bool) -> str | None:
    to = "INT" if column.name == "integer" else "BIGINT"
    if kind in (*_WHOLE, "BOOLEAN"):
        return f"try_cast({x} AS {to})"
    if kind == "DECIMAL":
        return f"try_cast(round({x}, 0) AS {to})"
    if kind in ("FLOAT", "DOUBLE"):  # halves go to the even one in DuckDB; 2^63 Spark would let in
        number = f"rint(CAST({x} AS DOUBLE))"
        return f"CASE WHEN {number} < 9223372036854775808D THEN try_cast({number} AS {to}) END"
    # Of digits, and a sign that stands elsewhere makes no number.
    digits = f"translate({x}, '0123456789', '') IN ('', '-')"
    return f"CASE WHEN {digits} THEN try_cast({x} AS {to}) END" if partition else None


def _double(x: str, kind: str, _column: ColumnType, _partition: bool) -> str | None:
    if kind not in (*_WHOLE, "BOOLEAN", "DECIMAL", "FLOAT", "DOUBLE"):
        return None
    number = f"CAST({x} AS DOUBLE)"  # NaN is above all numbers in Spark
    finite = f"{number} > double('-Infinity') AND {number} < double('Infinity')"
    return f"CASE WHEN {finite} THEN {number} + 0D END"


def _decimal(x: str, kind: str, column: ColumnType, _partition: bool) -> str | None:
    return f"try_cast({x} AS {column.sql})" if kind in (*_WHOLE, "DECIMAL") else None


def _boolean(x: str, kind: str, _column: ColumnType, _partition: bool) -> str | None:
    return f"CAST({x} AS BOOLEAN)" if kind in (*_WHOLE, "BOOLEAN") else None


def _date(x: str, kind: str, _column: ColumnType, partition: bool) -> str | None:
    if partition:
        day = f"try_cast({x} AS DATE)"  # Spark takes other spellings too
        return f"CASE WHEN CAST({day} AS STRING) = {x} AND {day} BETWEEN {_DAYS} THEN {day} END"
    if kind not in _MOMENTS:
        return None
    day = f"CAST({x} AS DATE)"
    return f"CASE WHEN {day} BETWEEN {_DAYS} THEN {day} END"


def _timestamp(x: str, kind: str, column: ColumnType, partition: bool) -> str | None:
    moment = _date(x, kind, column, partition) if partition or kind == "DATE" else x if kind in _MOMENTS else None
    if moment is None:
        return None
    low, high = "TIMESTAMP_NTZ'0001-01-01 00:00:00'", "TIMESTAMP_NTZ'9999-12-31 23:59:59.999999'"
    at = f"CAST({moment} AS TIMESTAMP_NTZ)"
    return f"CASE WHEN {at} BETWEEN {low} AND {high} THEN {at} END"


_MADE: Mapping[str, Callable[[str, str, ColumnType, bool], str | None]] = {
    "bigint": _integer,
    "integer": _integer,
    "double": _double,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
}
