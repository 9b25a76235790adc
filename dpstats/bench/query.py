"""`dpstats bench query`: approved queries in the engine beside the plain aggregate on the same rows.

Everything is made for it and gone afterwards: a retail table with skewed rows a customer (a few have thousands, most
have a handful), loaded as any dataset is. Each work runs in a process of its own, so that its peak memory is its own;
the plain aggregate runs on the very columns that the data version holds, with text keys on both sides. Approved queries
run first with nothing at rest, then prepared, as a service has them soon after a load.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dpstats.access import operator
from dpstats.catalog.parameters import bind_parameters
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("bench")
SEGMENTS, REGIONS = 20, 50
ROWS_A_CUSTOMER = 10
"""On average, unless it is said how many customers there are."""
DEADLINE_S = 3600.0
"""Of one answer: how long it takes is what is measured, so a slow machine or a large table does not end it."""
MONTH = {"since": "2025-03-01", "until": "2025-04-01"}

DATASET = f"""
dataset: retail
privacy_unit: customer
max_rows_per_unit: 100000
budget: {{epsilon: 900.0, delta: 1e-6}}
tables:
  sales:
    columns:
      customer: {{type: bigint}}
      segment: {{type: varchar, values: [{", ".join(f"segment_{i}" for i in range(SEGMENTS))}]}}
      region: {{type: varchar, values: [{", ".join(f"region_{i}" for i in range(REGIONS))}]}}
      day: {{type: date}}
      amount: {{type: double, bounds: [0, 200]}}
"""
KEYS = (
    f"keys: {{segment: {{values: [{', '.join(f'segment_{i}' for i in range(SEGMENTS))}]}}, "
    f"region: {{values: [{', '.join(f'region_{i}' for i in range(REGIONS))}]}}}}"
)
MEASURES = "segment, region, COUNT(*) AS n, SUM(amount) AS spend"
WINDOW = "day >= $since AND day < $until"
DROPPED = "bounds: {n: [0, 10], spend: [0, 200]}\ncontribution: {max_groups: 5}"
LEVELLED = "contribution: {max_norm: {n: 15, spend: 300}}"
PARAMETERS = "{type: date, min: 2025-01-01, max: 2026-01-01, default: 2025-03-01}"
QUERIES = {
    "dropped": (MEASURES, "", DROPPED),
    "levelled": (MEASURES, "", LEVELLED),
    "dropped_month": (MEASURES, WINDOW, DROPPED),
    "levelled_month": (MEASURES, WINDOW, LEVELLED),
}
PLAIN = {
    "plain": "SELECT segment, region, count(*), sum(amount) FROM sales GROUP BY ALL",
    "plain_month": "SELECT segment, region, count(*), sum(amount) FROM sales "
    "WHERE day >= DATE '2025-03-01' AND day < DATE '2025-04-01' GROUP BY ALL",
}

AT_REST = "at_rest_"
WORDS = {
    "plain": "plain aggregate, no privacy",
    "plain_month": "plain aggregate of one month",
    "dropped": "max_groups 5",
    "levelled": "max_norm",
    "dropped_month": "max_groups 5, one month",
    "levelled_month": "max_norm, one month",
}


@dataclass(frozen=True)
class Timed:
    """Seconds at the median, and the most memory (MiB) that the process had."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Measured:
    """Each work's time; the load beside a plain `CREATE TABLE AS` of the same columns, in seconds.

    `ordering_s`: what of the load is building at rest, that is ordering rows by unit, ranking them and writing them so.
    `writing_s`: what writing the same rows takes as they come, which a load without ranks would do instead.
    `kept`: what preparing each query took, in seconds, and how large it is, in MiB.
    """

    works: dict[str, Timed]
    load_s: float
    ordering_s: float
    writing_s: float
    plain_load_s: float
    kept: dict[str, tuple[float, float]]

    @property
    def unordered_load_s(self) -> float:
        """Seconds of the load, building at rest apart."""
        return self.load_s - self.ordering_s + self.writing_s


def measure(rows: int, repeats: int, units: int | None = None) -> Measured:
    """Measures all of it.

    Args:
      rows: of the table. units: of its customers, at most; None: one for each `ROWS_A_CUSTOMER` rows.
      repeats: of each work, after one that is not counted.
    """
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as name:
        folder = Path(name)
        file = make(folder, rows, units)
        plain_load_s = _plain_load(folder, file)
        load_s, ordering_s = _prepare(folder, file)
        writing_s = _plain_write(folder)
        works = {work: _alone(folder, work, repeats) for work in (*PLAIN, *QUERIES)}
        kept = _keep(folder)
        works |= {f"{AT_REST}{work}": _alone(folder, work, repeats) for work in QUERIES}
        return Measured(works, load_s, ordering_s, writing_s, plain_load_s, kept)


def table(found: Measured) -> tuple[tuple[str, ...], ...]:
    """What was measured, a line each: the work, its seconds, these over the plain ones, and its peak memory."""
    lines: list[tuple[str, ...]] = []
    for work, timed in found.works.items():
        plain = found.works["plain_month" if work.endswith("month") else "plain"]
        times = f"{timed.seconds / plain.seconds:.2f}"
        words = WORDS[work.removeprefix(AT_REST)] + (", at rest" if work.startswith(AT_REST) else "")
        lines.append((words, f"{timed.seconds:.4f}", times, f"{timed.peak_mib:.0f}"))
    for work, (seconds, mib) in found.kept.items():
        words = f"preparing {WORDS[work]}, once a load ({mib:.0f} MiB)"
        lines.append((words, f"{seconds:.1f}", f"{seconds / found.works['plain'].seconds:.0f}", ""))
    loads = {
        "a plain CREATE TABLE AS": found.plain_load_s,
        "the load, building at rest apart": found.unordered_load_s,
        "the load": found.load_s,
    }
    lines += [(words, f"{each:.1f}", f"{each / found.plain_load_s:.1f}", "") for words, each in loads.items()]
    return tuple(lines)


def plain_engine(
    file: Path | str = ":memory:", *, read_only: bool = False, keeps_order: bool = True
) -> duckdb.DuckDBPyConnection:
    """DuckDB as anybody would open it, with as many threads as a data version has."""
    connection = duckdb.connect(
        file, read_only=read_only, config={"threads": "2", "preserve_insertion_order": keeps_order}
    )
    connection.execute("SET enable_progress_bar = false")  # it is drawn on stdout, where the command's answer belongs
    return connection


def make(folder: Path, rows: int, units: int | None = None) -> Path:
    """A Parquet file of so many sales: the same at each call, by hashes of the row's number."""
    file = folder / "sales.parquet"
    customers = units or max(1, rows // ROWS_A_CUSTOMER)
    uniform = "(hash(8 * i + {}) / 18446744073709551616.0)".format
    with plain_engine(keeps_order=False) as connection:
        connection.execute(f"""COPY (
            SELECT customer, 'segment_' || floor({SEGMENTS} * pow({uniform(1)}, 1.5))::INTEGER AS segment,
              'region_' || CASE WHEN {uniform(2)} < 0.8 THEN hash(customer) % {REGIONS}
                ELSE floor({REGIONS} * {uniform(3)}) END::INTEGER AS region,
              DATE '2025-01-01' + floor(365 * {uniform(4)})::INTEGER AS day,
              round(exp(2 + sqrt(-2 * ln(greatest({uniform(5)}, 1e-9))) * cos(6.283 * {uniform(6)})), 2) AS amount
            FROM (SELECT i, floor({customers} * pow({uniform(0)}, 2.5))::BIGINT AS customer FROM range({rows}) t(i))
          ) TO '{file}' (FORMAT parquet)""")
    return file


def _plain_load(folder: Path, file: Path) -> float:
    began = time.perf_counter()
    with plain_engine(folder / "plain.duckdb") as connection:
        connection.execute(f"CREATE TABLE sales AS SELECT customer, segment, region, day, amount FROM '{file}'")
    return time.perf_counter() - began


def _plain_write(folder: Path) -> float:
    """Seconds to write the plain table's rows, held in memory, to a file as they come."""
    with plain_engine() as connection:
        connection.execute(f"ATTACH '{folder / 'plain.duckdb'}' AS plain (READ_ONLY)")
        connection.execute("CREATE TEMP TABLE held AS FROM plain.sales")
        connection.execute(f"ATTACH '{folder / 'written.duckdb'}' AS written")
        return _seconds(lambda: connection.execute("CREATE TABLE written.sales AS FROM held; CHECKPOINT written"))


def _prepare(folder: Path, file: Path) -> tuple[float, float]:
    """Loads the file and approves the works; seconds of the load, and of its ordering."""
    (folder / "dataset.yaml").write_text(DATASET, encoding="utf-8")
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url="", deadline_s=DEADLINE_S))
    try:
        began, moments = time.perf_counter(), dict[str, float]()
        workspace.datasets.add(
            ME, folder / "dataset.yaml", {"sales": file}, lambda step, _: moments.update({step: time.perf_counter()})
        )
        took = time.perf_counter() - began
        for name, (measures, where, contribution) in QUERIES.items():
            text = (
                f"query: {name}\ndataset: retail\nsql: SELECT {measures} FROM sales"
                f"{' WHERE ' + where if where else ''} GROUP BY segment, region\n{KEYS}\n{contribution}\n"
                "cost: {rho: 0.01}\n"
            )
            if where:
                text += f"parameters: {{since: {PARAMETERS}, until: {PARAMETERS.replace('03-01}', '04-01}')}}}\n"
            path = folder / f"{name}.yaml"
            path.write_text(text, encoding="utf-8")
            workspace.review.approve(ME, name, workspace.review.submit(ME, path)[1])
        return took, moments["finishing"] - moments["ordering sales"]
    finally:
        workspace.close()


def _keep(folder: Path) -> dict[str, tuple[float, float]]:
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url="", deadline_s=DEADLINE_S))
    try:
        done = workspace.preparing.prepare(ME, "retail")
        return {each.query: (each.made.seconds, each.made.size / 2**20) for each in done if each.made is not None}
    finally:
        workspace.close()


def _alone(folder: Path, work: str, repeats: int) -> Timed:
    command = [sys.executable, "-m", "dpstats.bench.query", str(folder), work, str(repeats)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return Timed(**json.loads(ended.stdout))


def main() -> None:
    """One work, in this process: `python -m dpstats.bench.query FOLDER WORK REPEATS` prints its `Timed`."""
    folder, work, repeats = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    times = _plain(folder, work, repeats) if work in PLAIN else _bounded(folder, work, repeats)
    sys.stdout.write(json.dumps({"seconds": statistics.median(times[1:]), "peak_mib": peak_mib()}))


def _plain(folder: Path, work: str, repeats: int) -> list[float]:
    with plain_engine(folder / "plain.duckdb", read_only=True) as connection:
        return [_seconds(lambda: connection.execute(PLAIN[work]).fetchall()) for _ in range(repeats + 1)]


def _bounded(folder: Path, work: str, repeats: int) -> list[float]:
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url="", deadline_s=DEADLINE_S))
    try:
        road = workspace._road
        known, analysis = workspace._library.runnable(ME, work)
        given = MONTH if QUERIES[work][1] else {}
        plan = road.plan(known, analysis, bind_parameters(known.query, given))
        with road.data(known.dataset) as (_, engine):
            return [_seconds(lambda: engine.run(plan)) for _ in range(repeats + 1)]
    finally:
        workspace.close()


def peak_mib() -> float:
    """The most memory that this process had, as Linux tells it. `getrusage` would tell of whoever started it too."""
    fields = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(value.split()[0]) for name, _, value in fields if name == "VmHWM") / 1024


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
