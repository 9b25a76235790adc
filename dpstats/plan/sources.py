"""The dataset's tables as queries see them: only declared columns, each value saturated to its bounds.

Every personal row passes here before anything else looks at it. A number is clipped to its column's public bounds, NaN
and infinities are NULL, integers are 64-bit and decimals are doubles. Each is a function of that one value.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from dpstats.catalog.dataset import Column, DatasetFile, Table
from dpstats.plan.consent import Consented
from dpstats.plan.fanout import WHOLE, Fanout, Reading
from dpstats.plan.relation import Relation
from dpstats.plan.typed import Kind, Typed, quoted

KINDS = {
    "bigint": Kind.INT,
    "integer": Kind.INT,
    "double": Kind.DOUBLE,
    "decimal": Kind.DOUBLE,
    "varchar": Kind.TEXT,
    "boolean": Kind.BOOL,
    "date": Kind.DATE,
    "timestamp": Kind.TIMESTAMP,
    "uuid": Kind.UUID,
}
RANK = "dp_rank"
"""The column that a load gives every personal table of many rows a unit: a row's place among its unit's, from 1."""
BLOCK_RANK = "dp_block_rank"
"""The column that a load gives the table that has blocks besides: a row's place among its unit's of the same block."""


class Sources:
    """The tables of one dataset, and which of their columns a query reads."""

    def __init__(self, dataset: DatasetFile) -> None:
        self._dataset = dataset
        self._tables = {name.lower(): name for name in dataset.tables}
        self.reads: dict[str, set[str]] = {}

    def relation(self, name: str) -> Relation | None:
        """The relation of a table, by lower-case name; None if there is no such table."""
        if name not in self._tables:
            return None
        table_name = self._tables[name]
        table = self._dataset.tables[table_name]
        self.reads.setdefault(table_name, set())
        if not table.public:
            self.reads[table_name].add(self._dataset.privacy_unit)
        columns = {c.lower(): self._typed(table_name, table, c) for c in table.columns}
        sliced = self._dataset.blocks is not None and self._dataset.blocks.table == table_name
        many = math.inf if sliced else self._dataset.max_rows_per_unit  # so many in each block
        rows = math.inf if table.public else 1 if table.one_row_per_unit else many
        fanout = Fanout() if table.public else Fanout((table_name,) * (rows > 1), (), frozenset({table_name}))
        return Relation(quoted(f"dp_t_{table_name}"), columns, not table.public, rows, table_name, fanout)

    def read(self, table: str | None, column: str) -> None:
        """Notes that a column (lower-case) of one of the dataset's tables is read."""
        if table is not None:
            name = next(c for c in self._dataset.tables[table].columns if c.lower() == column)
            self.reads[table].add(name)

    def _typed(self, table_name: str, table: Table, name: str) -> Typed:
        column = table.columns[name]
        kind = KINDS[column.type.name]
        low, high = (float(end) for end in column.bounds) if column.bounds else (-math.inf, math.inf)
        unit = not table.public and name == self._dataset.privacy_unit
        known = Typed(quoted(name), kind, low, high, unit=unit, measured_in=column.unit, values=column.values or ())
        identifies = column.identifies and not table.public and not unit
        return replace(known, identifies=identifies, made_of=frozenset({f"{table_name}.{name}"}))

    def ctes(self, consented: Consented | None = None, *, public: bool | None = None) -> list[tuple[str, str]]:
        """For each table that is read: the name and the SELECT that saturates its columns; or of one kind of table.

        Args:
          consented: whose rows are read; None: everybody's.
        """
        return [
            table_cte(self._dataset, table, columns, consented=consented)
            for table, columns in sorted(self.reads.items())
            if public is None or self._dataset.tables[table].public is public
        ]


def texts_of(dataset: DatasetFile, table: str, columns: Collection[str]) -> list[str]:
    """Those of a table's columns that hold text, but for the unit's id, which is never cut."""
    listed = dataset.tables[table].columns
    return [name for name in columns if listed[name].type.name == "varchar" and name != dataset.privacy_unit]


def table_cte(
    dataset: DatasetFile,
    table: str,
    columns: Collection[str],
    reading: Reading = WHOLE,
    consented: Consented | None = None,
) -> tuple[str, str]:
    """The name of a table in queries, and the SELECT that saturates its columns, of the rows that are read."""
    listed = dataset.tables[table].columns
    chosen = sorted(columns) or [next(iter(listed))]
    cells = {name: saturated(name, listed[name]) for name in chosen}
    if reading.characters is not None:
        texts = texts_of(dataset, table, chosen)
        cells |= {name: f"left({cells[name]}, {reading.characters})" for name in texts}
    parts = ", ".join(f"{cell} AS {quoted(name)}" for name, cell in cells.items())
    rank = BLOCK_RANK if reading.by_block else RANK
    kept = [] if reading.rank is None else [f"{rank} <= {reading.rank}"]
    if consented is not None and not dataset.tables[table].public:
        kept.append(consented.condition(dataset.privacy_unit, table))
    where = f" WHERE {' AND '.join(kept)}" if kept else ""
    return quoted(f"dp_t_{table}"), f"SELECT {parts} FROM {quoted(table)}{where}"


def saturated(name: str, column: Column) -> str:
    """A column's value, clipped to its bounds; NULL stays NULL (LEAST and GREATEST alone would make it a bound)."""
    kind, sql = KINDS[column.type.name], quoted(name)
    if not kind.is_number:
        return sql
    number = f"CAST({sql} AS {kind.value})"
    if kind is Kind.INT and column.bounds is None:
        return number
    present = f"isfinite({number})" if kind is Kind.DOUBLE else f"{sql} IS NOT NULL"
    if column.bounds is None:
        return f"CASE WHEN {present} THEN {number} END"
    low, high = (_number(end, kind, up) for end, up in zip(column.bounds, (True, False), strict=True))
    return f"CASE WHEN {present} THEN greatest({low}, least({high}, {number})) END"


def _number(value: Decimal, kind: Kind, up: bool) -> str:
    if kind is Kind.INT:
        return f"{math.ceil(value) if up else math.floor(value)}::BIGINT"
    return f"{float(value)!r}::DOUBLE"
