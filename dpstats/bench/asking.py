"""A made table, loaded and asked for counts and sums by its groups: from the rows and at rest, beside the plain query.

The plain aggregate runs on the very columns of the file that was loaded. At rest, the query has a parameter, so that
its rows are kept, bounded, and not its answer alone.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dpstats import views
from dpstats.access import operator
from dpstats.bench.query import DEADLINE_S, plain_engine
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.parameters import bind_parameters
from dpstats.engine.noise import add_noise
from dpstats.plan.answer import row_texts
from dpstats.plan.plan import Plan
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("bench")
KEYS_A_SIDE = 1000
"""The most values that the first of the two keys has."""
WITHIN, AMOUNT = 3, 100
"""A unit's rows that are counted whole, as a multiple of the mean; the mean amount of a row."""
RUNS = 3
"""Times that each is run, after one that is not counted; a release is made once."""


@dataclass(frozen=True)
class Made:
    """Sizes of a made table, and the groups of its query."""

    rows: int
    units: int
    groups: int

    @property
    def sides(self) -> tuple[int, int]:
        """How many values each of the two keys has."""
        first = min(KEYS_A_SIDE, max(1, math.isqrt(self.groups)))
        return first, max(1, self.groups // first)


@dataclass(frozen=True)
class Asked:
    """Seconds of the plain query, the engine from the rows, noise and writing, and the load; bytes of its version."""

    plain_s: float
    engine_s: float
    noise_s: float
    load_s: float
    stored: int


def median(work: Callable[[], object]) -> float:
    """Seconds that some work takes, at the median."""
    took: list[float] = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def asking(folder: Path, made: Made) -> Asked:
    """Makes the table in an empty folder, loads it, and asks counts and sums by its groups."""
    file = made_file(folder, made)
    with plain_engine(folder / "plain.duckdb") as connection:
        connection.execute(f"CREATE TABLE sales AS SELECT * FROM '{file}'")
        plain = "SELECT a, b, count(*), sum(amount) FROM sales GROUP BY ALL"
        plain_s = median(lambda: connection.execute(plain).fetchall())
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url="", deadline_s=DEADLINE_S))
    try:
        return _asked(workspace, folder, file, made, plain_s)
    finally:
        workspace.close()


def at_rest(folder: Path, made: Made) -> float:
    """Seconds of the engine for the query with a parameter, prepared, in the workspace that `asking` left."""
    (folder / "sold.yaml").write_text(_query(made, _LEAST), encoding="utf-8")
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url="", deadline_s=DEADLINE_S))
    try:
        approve(workspace, folder)
        workspace.preparing.prepare(ME, "scale")
        dataset, plan = _planned(workspace)
        with workspace._road.data(dataset) as (_, engine):
            return median(lambda: engine.run(plan))
    finally:
        workspace.close()


def made_file(folder: Path, made: Made) -> Path:
    """A file of so many rows, the same at each call, by hashes of the row's number; a few units have very many."""
    file, (first, second) = folder / "sales.parquet", made.sides
    uniform = "(hash(8 * i + {}) / 18446744073709551616.0)".format
    with plain_engine(keeps_order=False) as connection:
        connection.execute(f"""COPY (
            SELECT floor({made.units} * pow({uniform(0)}, 1.5))::BIGINT AS unit,
              (hash(8 * i + 1) % {first})::BIGINT AS a, (hash(8 * i + 2) % {second})::BIGINT AS b,
              round(200 * {uniform(3)}, 2) AS amount
            FROM range({made.rows}) t(i)) TO '{file}' (FORMAT parquet)""")
    return file


def written(folder: Path, made: Made) -> None:
    """Writes the dataset's file, and the query's: counts and sums by the table's groups."""
    (folder / "dataset.yaml").write_text(_DATASET, encoding="utf-8")
    (folder / "sold.yaml").write_text(_query(made), encoding="utf-8")


def approve(workspace: Workspace, folder: Path) -> None:
    """Lets the query be asked, by its name `sold`."""
    workspace.review.approve(ME, "sold", workspace.review.submit(ME, folder / "sold.yaml")[1])


def _asked(workspace: Workspace, folder: Path, file: Path, made: Made, plain_s: float) -> Asked:
    written(folder, made)
    began = time.perf_counter()
    workspace.datasets.add(ME, folder / "dataset.yaml", {"sales": file})
    load_s = time.perf_counter() - began
    stored = max(each.stat().st_size for each in (folder / "home").rglob("*.duckdb"))
    approve(workspace, folder)
    dataset, plan = _planned(workspace)
    with workspace._road.data(dataset) as (_, engine):
        engine_s = median(lambda: engine.run(plan))
        exact = engine.run(plan)
        began = time.perf_counter()
        views.release_body({"query": plan.query}, row_texts(plan, add_noise(plan, exact)))
        return Asked(plain_s, engine_s, time.perf_counter() - began, load_s, stored)


def _planned(workspace: Workspace) -> tuple[DatasetFile, Plan]:
    known, analysis = workspace._library.runnable(ME, "sold")
    return known.dataset, workspace._road.plan(known, analysis, bind_parameters(known.query, {}))


def _query(made: Made, where: tuple[str, str] = ("", "")) -> str:
    """The query's file, its bounds as most units need them. `where`: its condition, and what that takes."""
    first, second = (list(range(count)) for count in made.sides)
    condition, parameters = where
    rows = WITHIN * max(1, made.rows // made.units)
    spend = rows * AMOUNT
    return _QUERY.format(first=first, second=second, where=condition, parameters=parameters, rows=rows, spend=spend)


_DATASET = """
dataset: scale
privacy_unit: unit
max_rows_per_unit: 100000
budget: {epsilon: 900.0, delta: 1e-6}
tables:
  sales:
    columns:
      unit: {type: bigint}
      a: {type: bigint}
      b: {type: bigint}
      amount: {type: double, bounds: [0, 200]}
"""
_QUERY = """
query: sold
dataset: scale
sql: SELECT a, b, COUNT(*) AS n, SUM(amount) AS spend FROM sales{where} GROUP BY a, b
keys: {{a: {{values: {first}}}, b: {{values: {second}}}}}
contribution: {{max_norm: {{n: {rows}, spend: {spend}}}}}
cost: {{epsilon: 1}}
{parameters}"""
_LEAST = (" WHERE amount >= $least", "parameters: {least: {type: integer, min: 0, max: 200, default: 0}}\n")
