"""How far one unit's rows can reach, by the dataset's file alone: how many there are, and how large a value is.

Only plain queries are looked at, of one SELECT over tables; of others nothing is said.
"""

from __future__ import annotations

from decimal import Decimal

import sqlglot
from sqlglot import exp

from dpstats.plan.analysis import Analysis
from dpstats.plan.dialect import DIALECT

Range = tuple[Decimal, Decimal]


def rows_of_a_unit(analysis: Analysis) -> int | None:
    """The most rows that one unit has in one group; None where that is not plain.

    Bound: with one table of many rows a unit, joined on the unit to tables of one row a unit, the joined rows are at
    most those of that table, of which `max_rows_per_unit` are loaded. A join to a public table could multiply them.
    """
    select = _plain(analysis)
    if select is None:
        return None
    tables = [analysis.dataset.tables.get(table.name.lower()) for table in select.find_all(exp.Table)]
    if any(table is None or table.public for table in tables):
        return None
    many = sum(1 for table in tables if table is not None and not table.one_row_per_unit)
    return {0: 1, 1: analysis.dataset.max_rows_per_unit}.get(many)


def values_of_a_row(analysis: Analysis, measure: str) -> Range | None:
    """The bounds of the column that a measure sums or averages; None where it is not a column, or has none."""
    select = _plain(analysis)
    if select is None:
        return None
    node = next((item.unalias() for item in select.expressions if item.alias_or_name == measure), None)
    node = node.this if isinstance(node, exp.Filter) else node
    if not isinstance(node, exp.AggFunc) or not isinstance(node.this, exp.Column):
        return None
    return _bounds(analysis, node.this.name.lower())


def _plain(analysis: Analysis) -> exp.Select | None:
    parsed = sqlglot.parse_one(analysis.query.sql, read=DIALECT)
    return parsed if isinstance(parsed, exp.Select) and len(list(parsed.find_all(exp.Select))) == 1 else None


def _bounds(analysis: Analysis, column: str) -> Range | None:
    found = [
        spec
        for table in analysis.reads
        for name, spec in analysis.dataset.tables[table].columns.items()
        if name.lower() == column
    ]
    return found[0].bounds if len(found) == 1 else None
