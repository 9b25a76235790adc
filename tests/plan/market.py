"""A market stall: queries asked the short way, its rows in DuckDB, and a plan's exact answer before noise.

What the engine reads is taken as it is read, group by group, so that declared and found keys are looked at alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import yaml

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import parse_query
from dpstats.engine.duck import _answer
from dpstats.engine.noise import _open_groups
from dpstats.errors import QueryRefused
from dpstats.plan.analysis import Analysis, analyse
from dpstats.plan.build import build
from dpstats.plan.caps import nothing_counted
from dpstats.plan.plan import Group, Plan

DATASET = """
dataset: market
privacy_unit: uid
budget: {epsilon: 100.0, delta: 1.0e-6}
tables:
  sales:
    columns:
      uid: {type: bigint}
      item: {type: varchar}
      n: {type: bigint, bounds: [-50, 50]}
      paid: {type: double, bounds: [-100, 100], unit: USD}
      wild: {type: double}
      day: {type: date}
      at: {type: timestamp}
      flag: {type: boolean}
  people:
    one_row_per_unit: true
    columns:
      uid: {type: bigint}
      band: {type: varchar, values: [low, mid, high]}
      age: {type: integer, bounds: [0, 119]}
"""
MARKET = parse_dataset(DATASET, "dataset.yaml")
PURE = parse_dataset(DATASET.replace("delta: 1.0e-6", "delta: 0"), "dataset.yaml")
KEY = 2**63 + 4711
COLUMNS = {"sales": ("uid", "item", "n", "paid", "wild", "day", "at", "flag"), "people": ("uid", "band", "age")}
TYPES = {
    "uid": pa.int64(), "item": pa.string(), "n": pa.int64(), "paid": pa.float64(), "wild": pa.float64(),
    "day": pa.date32(), "at": pa.timestamp("us"), "flag": pa.bool_(), "band": pa.string(), "age": pa.int32(),
}  # fmt: skip
Row: TypeAlias = Mapping[str, Any]
"""Some columns of a row; the others are NULL."""
Found: TypeAlias = Mapping[Group, tuple[int, ...]]
"""For each group, an exact whole number for each draw; zeros are left out."""


def analysed(sql: str, *, market: DatasetFile = MARKET, **parts: Any) -> Analysis:
    """The query, understood; `parts` are the other keys of its file."""
    content = {"query": "q", "dataset": "market", "sql": sql, "cost": {"epsilon": 2}} | parts
    return analyse(parse_query(yaml.safe_dump(content, allow_unicode=True), "q.yaml"), market)


def planned(sql: str, *, given: Mapping[str, object] | None = None, **parts: Any) -> Plan:
    """The plan of a query with these parameters."""
    analysis = analysed(sql, **parts)
    return build(analysis, bind_parameters(analysis.query, given or {}), lambda table, column: (), nothing_counted)


def reasons(sql: str, **parts: Any) -> str:
    """Why a query is refused, all the way to its plan; "" if it is answered."""
    try:
        planned(sql, **parts)
    except QueryRefused as refused:
        return " | ".join(str(reason) for reason in refused.reasons)
    return ""


def opened(sales: Sequence[Row], people: Sequence[Row] = (), *, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """The two tables in memory, with these rows in this order."""
    connection = duckdb.connect(config={"threads": threads})
    connection.execute("SET TimeZone = 'UTC'; SET disabled_optimizers = 'top_n_window_elimination'")
    for name, rows in (("sales", sales), ("people", people)):
        columns = {column: pa.array([row.get(column) for row in rows], TYPES[column]) for column in COLUMNS[name]}
        connection.register("given", pa.table(columns))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    return connection


def exact(connection: duckdb.DuckDBPyConnection, plan: Plan) -> Found:
    """The exact answer, as the engine hands it to the noise."""
    groups, vectors = _open_groups(plan, _answer(connection, plan, KEY))
    columns = zip(*vectors, strict=True)
    return {group: values for group, values in zip(groups, columns, strict=True) if any(values)}


def totals(plan: Plan, rows: Sequence[Row], people: Sequence[Row] = ()) -> Found:
    """The exact answer on these rows."""
    with opened(rows, people) as connection:
        return exact(connection, plan)


def without(rows: Sequence[Row], unit: object) -> list[Row]:
    """The rows of everyone else."""
    return [row for row in rows if row["uid"] != unit]


def moved(more: Found, less: Found, draw: int) -> list[int]:
    """How far each entry of a draw's vector is from the other data set's; entries that are alike are left out."""
    zero = (0,) * (draw + 1)
    changes = [more.get(group, zero)[draw] - less.get(group, zero)[draw] for group in {*more, *less}]
    return [abs(change) for change in changes if change]


def check_neighbours(plan: Plan, more: Found, less: Found) -> None:
    """Asserts, in whole numbers, that one unit moves each draw's vector by no more than the plan is priced for."""
    for draw in plan.draws:
        changes, bound = moved(more, less, draw.index), draw.mechanism.sensitivity
        assert len(changes) <= bound.cells, draw.name
        assert max(changes, default=0) <= bound.per_cell, draw.name
        if plan.measure.unit == "rho":
            assert sum(change**2 for change in changes) <= bound.l2_squared, draw.name
        else:
            assert sum(changes) <= bound.l1, draw.name
