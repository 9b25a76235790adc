"""The rule that puts a customer into a segment: the per-unit part of an approved query, for a job's own customers.

It is the query's own SQL without its aggregates: the same FROM, CTEs and WHERE, and for each unit its keys. Whoever
runs it over customers of their own learns their segments, and asks dpstats about none of them. Nothing here reads data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from dpstats.catalog.parameters import BoundParameters
from dpstats.plan.analysis import Analysis

Ctes = Mapping[str, exp.Expr]
"""The SELECT of each CTE, by its name in small letters."""


def rule_of(analysis: Analysis, parameters: BoundParameters) -> dict[str, Any]:
    """A query's rule as JSON.

    Returns:
      `sql`: a SELECT in DuckDB's dialect, of the unit's id and the keys, a row for each pair that there is; rows whose
        keys are no declared ones are in no segment.
      `parameters`: the values of its `$names`. `tables`: the columns of each table that it reads.
      `bounds`: what a value is clipped to before anything else.
      `one_segment_per_unit`: whether the keys are facts about the unit, so that it has one.
    """
    select = sqlglot.parse_one(analysis.query.sql, read="duckdb")
    if not isinstance(select, exp.Select):
        raise TypeError("an approved query is one SELECT")
    made = _per_unit(select, analysis)
    sql = made.sql(dialect="duckdb", pretty=True)
    parameters_used = set(re.findall(r"\$([a-z][a-z0-9_]*)", sql))
    names = {identifier.name.lower() for identifier in made.find_all(exp.Identifier)}
    tables = {table: sorted(c for c in columns if c.lower() in names) for table, columns in analysis.reads.items()}
    return {
        "query_version": analysis.version,
        "sql": sql,
        "parameters": {name: value for name, value in parameters.canonical.items() if name in parameters_used},
        "tables": dict(sorted(tables.items())),
        "bounds": {table: bounds for table in sorted(tables) if (bounds := _bounds(analysis, table, tables[table]))},
        "one_segment_per_unit": analysis.facts,
    }


def _per_unit(select: exp.Select, analysis: Analysis) -> exp.Select:
    """The query's SELECT, of the unit and its keys alone."""
    ctes = {cte.alias.lower(): cte.this for cte in select.ctes}
    unit = _unit_column(select, ctes, analysis)
    keys = [item for item in select.expressions if item.find(exp.AggFunc) is None]
    made = select.copy()
    made.set("expressions", [unit, *(key.copy() for key in keys)])
    for clause in ("group", "order", "limit", "having", "offset"):
        made.set(clause, None)
    return made.distinct()


def _unit_column(select: exp.Select, ctes: Ctes, analysis: Analysis) -> exp.Expr:
    """The unit's id, from the first source that has it and whose rows are never absent."""
    for source in _sources(select):
        name = _unit_name(source, ctes, analysis)
        if name is not None:
            return exp.column(name, table=source.alias_or_name).as_(analysis.dataset.privacy_unit)
    raise ValueError("an answerable query reads a personal table")


def _sources(select: exp.Select) -> list[exp.Expr]:
    start = select.args.get("from_") or select.args["from"]
    joined = [join.this for join in select.args.get("joins") or () if join.side.upper() != "LEFT"]
    return [start.this, *joined]


def _unit_name(source: exp.Expr, ctes: Ctes, analysis: Analysis) -> str | None:
    """What the unit's id is called in a source; None where it has none."""
    if isinstance(source, exp.Table):
        cte = ctes.get(source.name.lower())
        if cte is not None:
            return _unit_of(cte, ctes, analysis)
        table = next((t for name, t in analysis.dataset.tables.items() if name.lower() == source.name.lower()), None)
        return None if table is None or table.public else analysis.dataset.privacy_unit
    return _unit_of(source.this, ctes, analysis) if isinstance(source, exp.Subquery) else None


def _unit_of(inner: exp.Expr, ctes: Ctes, analysis: Analysis) -> str | None:
    """The name under which a SELECT gives its own sources' unit."""
    if not isinstance(inner, exp.Select):
        return None
    within = {name.lower() for name in (_unit_name(s, ctes, analysis) for s in _sources(inner)) if name is not None}
    for item in inner.expressions:
        column = item.unalias()
        if isinstance(column, exp.Column) and column.name.lower() in within:
            return str(item.alias_or_name)
    return None


def _bounds(analysis: Analysis, table: str, read: list[str]) -> dict[str, list[float]]:
    """The bounds of those of a table's columns that are read."""
    known = {name.lower(): spec.bounds for name, spec in analysis.dataset.tables[table].columns.items()}
    bounds = {name: known.get(name.lower()) for name in read}
    return {name: [float(end) for end in ends] for name, ends in bounds.items() if ends is not None}
