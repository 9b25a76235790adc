"""`dpstats bench scale`: how time grows with rows, units, groups and the ledger's length, beside the plain query's.

Everything is made for it and gone afterwards. Along each axis the other sizes stay as they are. The plain aggregate
runs on the very columns of the file that was loaded. A release is the engine's run, noise and writing of the answer;
what it costs to charge it is the ledger's own curve, beside a commit that does nothing else.
"""

from __future__ import annotations

import math
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dpstats import views
from dpstats.access import operator
from dpstats.bench import ledger
from dpstats.bench.query import DEADLINE_S, plain_engine
from dpstats.catalog.parameters import bind_parameters
from dpstats.engine.noise import add_noise
from dpstats.ledger.store import open_store
from dpstats.plan.answer import row_texts
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("bench")
ROWS, UNITS, GROUPS = 1_000_000, 100_000, 1000
"""Sizes off the axis that is measured, at most: the smallest tables are measured with fewer."""
LEAST_GROUPS, LEAST_UNITS = 10, 1000
KEYS_A_SIDE = 1000
"""The most values that the first of the two keys has."""
RUNS = 3
"""Times that each is run, after one that is not counted; a release is made once."""
ENTRIES_A_COMMIT = 5000
AXES = ("rows", "units", "groups", "ledger")
Said = Callable[[str, float], None]
"""Is told what is measured next, and which share of everything is done."""


@dataclass(frozen=True)
class Sizes:
    """How far each axis goes."""

    rows: int
    units: int
    groups: int
    entries: int


@dataclass(frozen=True)
class Point:
    """Seconds at one size of one axis: the plain query, the engine alone, and the whole release.

    On the axis of the ledger: a bare commit, and a durable charge twice.
    """

    axis: str
    size: int
    plain_s: float
    engine_s: float
    release_s: float


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
    """Seconds of the plain query, the engine, noise and writing, and the load; bytes of its data version."""

    plain_s: float
    engine_s: float
    noise_s: float
    load_s: float
    stored: int

    @property
    def release_s(self) -> float:
        """Of a release, but for its charge."""
        return self.engine_s + self.noise_s


def measure(sizes: Sizes, said: Said) -> tuple[Point, ...]:
    """Measures all of it, each axis from its small end to its large one."""
    work = list(_works(sizes))
    points: list[Point] = []
    for done, (axis, size, table) in enumerate(work):
        said(f"{axis}: {size:,}", done / len(work))
        with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
            points.append(charging(Path(folder), size) if table is None else _asking(Path(folder), axis, size, table))
    return tuple(points)


def steps(first: int, most: int) -> list[int]:
    """Sizes from the first to the last, each about three times the one before: 1, 3, 10, 30 .."""
    found, size = [], min(first, most)
    while size < most:
        found.append(size)
        size = size * 10 // 3 if len(found) % 2 == 0 else size * 3
    return [*found, most]


def steepness(points: Sequence[Point], of: Callable[[Point], float]) -> float:
    """The power of the size with which time grows: the slope of a straight line through the logarithms; 0 of one."""
    if len(points) < 2:
        return 0.0
    along, up = [math.log(point.size) for point in points], [math.log(of(point)) for point in points]
    return statistics.linear_regression(along, up).slope


def table(points: Sequence[Point]) -> tuple[tuple[str, ...], ...]:
    """What was measured, a line each; after each axis, with which power of the size each column grows."""
    lines: list[tuple[str, ...]] = []
    for axis in AXES:
        here = [point for point in points if point.axis == axis]
        lines += [
            (
                axis,
                f"{p.size:,}",
                *map(_seconds, (p.plain_s, p.engine_s)),
                f"{p.engine_s / p.plain_s:.1f}",
                _seconds(p.release_s),
            )
            for p in here
        ]
        if len(here) > 1:
            grows = [steepness(here, of) for of in (_plain, _engine, _release)]
            lines.append(
                (f"{axis}, grow as", "size to the", f"{grows[0]:.2f}", f"{grows[1]:.2f}", "", f"{grows[2]:.2f}")
            )
    return tuple(lines)


def _plain(point: Point) -> float:
    return point.plain_s


def _engine(point: Point) -> float:
    return point.engine_s


def _release(point: Point) -> float:
    return point.release_s


def _seconds(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"


def _works(sizes: Sizes) -> Iterator[tuple[str, int, Made | None]]:
    rows = min(ROWS, sizes.rows)
    units, groups = min(UNITS, rows // 10), min(GROUPS, sizes.groups)
    for size in steps(min(ROWS, sizes.rows // 10), sizes.rows):
        yield "rows", size, Made(size, min(units, size), groups)
    for size in steps(LEAST_UNITS, sizes.units):
        yield "units", size, Made(max(rows, size), size, groups)
    for size in steps(LEAST_GROUPS, sizes.groups):
        yield "groups", size, Made(rows, units, size)
    for size in steps(1, sizes.entries):
        yield "ledger", size, None


# -- a query -------------------------------------------------------------------------------------------------------


def _asking(folder: Path, axis: str, size: int, made: Made) -> Point:
    asked = asking(folder, made)
    return Point(axis, size, asked.plain_s, asked.engine_s, asked.release_s)


def asking(folder: Path, made: Made) -> Asked:
    """Makes the table in an empty folder, loads it, and asks counts and sums by its groups."""
    file = made_file(folder, made)
    with plain_engine(folder / "plain.duckdb") as connection:
        connection.execute(f"CREATE TABLE sales AS SELECT * FROM '{file}'")
        plain = "SELECT a, b, count(*), sum(amount) FROM sales GROUP BY ALL"
        plain_s = _median(lambda: connection.execute(plain).fetchall())
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url="", deadline_s=DEADLINE_S))
    try:
        return _asked(workspace, folder, file, made, plain_s)
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
    first, second = (list(range(count)) for count in made.sides)
    (folder / "sold.yaml").write_text(_QUERY.format(first=first, second=second), encoding="utf-8")


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
    known, analysis = workspace._library.runnable(ME, "sold")
    plan = workspace._road.plan(known, analysis, bind_parameters(known.query, {}))
    with workspace._road.data(known.dataset) as (_, engine):
        engine_s = _median(lambda: engine.run(plan))
        exact = engine.run(plan)
        began = time.perf_counter()
        views.release_body({"query": plan.query}, row_texts(plan, add_noise(plan, exact)))
        return Asked(plain_s, engine_s, time.perf_counter() - began, load_s, stored)


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
sql: SELECT a, b, COUNT(*) AS n, SUM(amount) AS spend FROM sales GROUP BY a, b
keys: {{a: {{values: {first}}}, b: {{values: {second}}}}}
contribution: {{max_norm: {{n: 15, spend: 300}}}}
cost: {{epsilon: 1}}
"""


# -- the ledger ----------------------------------------------------------------------------------------------------


def charging(folder: Path, entries: int) -> Point:
    """A charge of a ledger with so many entries, beside a bare commit to a table with as many rows."""
    with closing(open_store(folder / "home")) as store:
        ledger._prepare(store)
        store.ledger.charge(ledger._request())
        for done in range(1, entries, ENTRIES_A_COMMIT):
            ledger.lengthen(store, folder / "home", min(ENTRIES_A_COMMIT, entries - done))
        charge_s = _median(lambda: store.ledger.charge(ledger._request()))
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE bare (text TEXT)"):
            connection.execute(statement)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO bare VALUES (?)", (("x" * ledger.BYTES_A_ROW,) for _ in range(entries)))
        connection.execute("COMMIT")
        insert = "INSERT INTO bare VALUES (?)"
        bare_s = _median(lambda: connection.execute(insert, ("x" * ledger.BYTES_A_ROW,)))
    return Point("ledger", entries, bare_s, charge_s, charge_s)


def _median(work: Callable[[], object]) -> float:
    took: list[float] = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])
