"""A small shop: a dataset file with every column type, queries asked the short way, and its rows in DuckDB.

The plan's room knows no database; here its SQL is run as the engine would, on tables that never saw the loader, so that
NaN, -0.0 and values past their bounds are there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import duckdb
import yaml

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import QueryFile, parse_query
from dpstats.engine.bound import ranked, twins
from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.analysis import Analysis, analyse
from dpstats.plan.build import build
from dpstats.plan.caps import PublicCount, nothing_counted
from dpstats.plan.plan import Draw, Plan
from dpstats.plan.sources import RANK

DATASET = """
dataset: shop
title: A shop
privacy_unit: uid
budget: {epsilon: 6.0, delta: 1.0e-6}
max_rows_per_unit: 1000
purposes:
  measurement: {title: Reporting, consent: notice}
  marketing: {title: Marketing, consent: opt_in}
tables:
  visits:
    columns:
      uid: {type: bigint}
      item: {type: bigint, bounds: [0, 1000]}
      n: {type: integer, bounds: [-5, 50]}
      paid: {type: double, bounds: [0, 100], unit: USD}
      wild: {type: double}
      big: {type: bigint}
      price: {type: 'decimal(10,2)', bounds: [-10, 10]}
      word: {type: varchar}
      flag: {type: boolean}
      day: {type: date}
      seen: {type: timestamp}
      code: {type: uuid}
      secret: {type: varchar, purposes: [marketing]}
  people:
    one_row_per_unit: true
    columns:
      uid: {type: bigint}
      Band: {type: varchar, values: [high, low, mid]}
      age: {type: integer, bounds: [0, 120]}
  calls:
    columns:
      uid: {type: bigint}
      minutes: {type: double, bounds: [0, 60]}
      topic: {type: varchar}
  items:
    public: true
    columns: {item: {type: bigint}, dept: {type: varchar}, cost: {type: double, bounds: [0, 9]}}
"""
PERSONAL = ("visits", "people", "calls")
KEY = 2**63 + 12345
Rows: TypeAlias = Mapping[str, Sequence[tuple[Any, ...]]]
"""The rows of each table, in the order of its columns; the unit's id comes first in a personal one."""


SHOP = parse_dataset(DATASET, "dataset.yaml")
PURE = parse_dataset(DATASET.replace("delta: 1.0e-6", "delta: 0"), "dataset.yaml")


def query(sql: str, **parts: Any) -> QueryFile:
    """A query of this SQL; `parts` are the other keys of its file, `cost: {rho: 0.1}` unless said otherwise."""
    content = {"query": "q", "dataset": "shop", "sql": sql, "cost": {"rho": 0.1}} | parts
    return parse_query(yaml.safe_dump(content, allow_unicode=True), "q.yaml")


def analysed(sql: str, *, shop: DatasetFile = SHOP, **parts: Any) -> Analysis:
    """The query, understood."""
    return analyse(query(sql, **parts), shop)


def planned(
    sql: str,
    *,
    shop: DatasetFile = SHOP,
    given: Mapping[str, object] | None = None,
    public: Callable[[str, str], Sequence[object]] = lambda table, column: (),
    count: PublicCount = nothing_counted,
    **parts: Any,
) -> Plan:
    """The plan of a query with these parameters."""
    file = query(sql, **parts)
    return build(analyse(file, shop), bind_parameters(file, given or {}), public, count)


def reasons(sql: str, *, shop: DatasetFile = SHOP, **parts: Any) -> list[Refusal]:
    """Why a query is refused, all the way to its plan; nothing if it is answered."""
    try:
        planned(sql, shop=shop, **parts)
    except QueryRefused as refused:
        return list(refused.reasons)
    return []


def visit(uid: int | None, **cells: Any) -> tuple[Any, ...]:
    """One row of visits; cells that are not named are NULL."""
    return (uid, *(cells.get(column) for column in list(SHOP.tables["visits"].columns)[1:]))


def opened(rows: Rows, *, threads: int = 1, shop: DatasetFile = SHOP) -> duckdb.DuckDBPyConnection:
    """The tables in memory, with these rows in this order."""
    connection = duckdb.connect(config={"threads": threads})
    connection.execute("SET TimeZone = 'UTC'; SET disabled_optimizers = 'top_n_window_elimination'")
    for name, table in shop.tables.items():
        columns = ", ".join(f'"{column}" {spec.type.sql}' for column, spec in table.columns.items())
        connection.execute(f"CREATE TABLE {name} ({columns})")
        fill(connection, name, [spec.type.sql for spec in table.columns.values()], rows.get(name, ()))
        if not table.public and not table.one_row_per_unit:
            _rank(connection, name, list(table.columns), shop.privacy_unit)
    return connection


def _rank(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], unit: str) -> None:
    """Ranks each unit's rows, as a load does, and leaves them in the order in which they were given."""
    connection.execute(f"CREATE TEMP TABLE dp_twins AS {twins(table, columns)}")
    every = ", ".join(f'"{column}"' for column in columns)
    copies = "row_number() OVER (PARTITION BY {} ORDER BY {}) AS dp_n"
    rows = f"SELECT *, rowid AS dp_place, {copies.format(every, 'rowid')} FROM {table}"
    ranks = f"SELECT *, {copies.format(every, RANK)} FROM ({ranked(table, 'dp_twins', columns, unit)})"
    alike = " AND ".join(f'a."{column}" IS NOT DISTINCT FROM b."{column}"' for column in (*columns, "dp_n"))
    sql = f"SELECT a.* EXCLUDE (dp_place, dp_n), b.{RANK} FROM ({rows}) AS a JOIN ({ranks}) AS b ON {alike}"
    connection.execute(f"CREATE OR REPLACE TABLE {table} AS {sql} ORDER BY a.dp_place", {"dp_hash_key": "k"})
    connection.execute("DROP TABLE dp_twins")


def fill(
    connection: duckdb.DuckDBPyConnection, table: str, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Inserts rows; dates and times may be text, past what Python holds."""
    rows = [tuple(row) for row in rows]
    if rows:
        casts = ", ".join(f"CAST(? AS {kind})" for kind in types)
        values = ", ".join(f"({casts})" for _ in rows)
        connection.execute(f"INSERT INTO {table} VALUES {values}", [value for row in rows for value in row])


def cells(connection: duckdb.DuckDBPyConnection, plan: Plan) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The exact answer of a plan: what names a group (place among declared keys, private keys) -> draws."""
    (statement,) = connection.extract_statements(plan.sql)
    assert statement.type == duckdb.StatementType.SELECT
    rows = connection.execute(statement, {name: _bind(plan, name) for name in statement.named_parameters}).fetchall()
    named = len(connection.description) - len(plan.draws)
    found = {row[:named]: tuple(map(_cells, plan.draws, row[named:])) for row in rows}
    assert len(found) == len(rows)
    assert {type(v) for draws in found.values() for value in draws for v in _each(value)} <= {int}
    return found


def _cells(draw: Draw, value: Any) -> Any:
    """A whole number; of a quantile's draw, all its counts."""
    if draw.quantiles is None:
        return value or 0
    return tuple((value or {}).get(cell, 0) for cell in range(draw.cells))


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def answer(connection: duckdb.DuckDBPyConnection, plan: Plan) -> list[list[int]]:
    """The exact vectors of a plan with declared keys: an entry a group, 0 for one that is absent."""
    vectors = [[0] * plan.groups for _ in plan.draws]
    for (group,), values in cells(connection, plan).items():
        for vector, value in zip(vectors, values, strict=True):
            vector[group] = value
    return vectors


def _bind(plan: Plan, name: str) -> Any:
    if name == "dp_key":
        return duckdb.Value(KEY, duckdb.sqltype("UBIGINT"))
    kind, _, rest = name.partition("_")
    if kind == "p":
        return plan.parameter_values[rest]
    key = plan.keys[int(rest)]
    return duckdb.Value(list(key.values), duckdb.list_type(duckdb.sqltype(key.sql_type)))
