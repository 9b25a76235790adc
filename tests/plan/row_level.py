"""One row-level expression at a time: what the compiler knows of it, and its values."""

from __future__ import annotations

from typing import Any

import duckdb
from shop import SHOP, query

from dpstats.plan.analysis import _Analyser
from dpstats.plan.subqueries import Subqueries
from dpstats.plan.typed import Typed


def understood(expression: str) -> tuple[Typed, str] | None:
    """What is known of an expression over visits, and the WITH clause under which its SQL runs; None if refused."""
    analyser = _Analyser(query(f"SELECT SUM({expression}) AS s FROM visits"), SHOP)
    select = analyser._parsed()
    clause = analyser.relations.from_clause(select, Subqueries(analyser.relations))
    found = analyser.compiler.compile(select.expressions[0].this.this, clause)
    if analyser.refusals:
        return None
    return found, ", ".join(f"{name} AS ({sql})" for name, sql in analyser.sources.ctes())


def values(connection: duckdb.DuckDBPyConnection, with_: str, sql: str) -> list[tuple[Any, ...]]:
    shown = "CASE WHEN typeof(x) IN ('DATE', 'TIMESTAMP') THEN x::VARCHAR END"
    inner = f'SELECT {sql} AS x FROM "dp_t_visits" AS "visits"'
    return connection.execute(f"WITH {with_} SELECT typeof(x), {shown}, x FROM ({inner})").fetchall()
