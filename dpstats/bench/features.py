"""`dpstats bench features`: a wide table that was released already, asked for as Arrow over HTTP.

Everything is made for it and gone afterwards: a workspace with synthetic rows, and `dpstats serve` in a process of its
own, asked by this one over one connection.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from dpstats.bench.serve import ME, served
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

DATASET = """
dataset: bench
privacy_unit: unit
budget: {epsilon: 900.0, delta: 1.0e-6}
tables:
  events:
    columns:
      unit: {type: bigint}
      segment: {type: varchar}
      amount: {type: bigint, bounds: [0, 100]}
  segments:
    public: true
    columns: {segment: {type: varchar}}
"""
QUERY = """
query: part_{part}
dataset: bench
sql: SELECT segment, {measures} FROM events GROUP BY segment
keys: {{segment: {{from: segments.segment}}}}
contribution: {{max_groups: 1}}
bounds: {{{bounds}}}
cost: {{rho: 0.1}}
"""
VIEW = """
view: wide
dataset: bench
segment: [segment]
queries: [{queries}]
refresh: 30d
max_age: 90d
monthly: {{rho: 10}}
"""
PATH = "/v1/features/wide"
ARROW = "application/vnd.apache.arrow.stream"
PARTS, TIMES = 4, 20
"""Queries that the features come from, and how often the table is asked for."""


@dataclass(frozen=True)
class Found:
    """Milliseconds of an answer: the first one of the process, then the median and the slowest; of a 304; and bytes."""

    first_ms: float
    median_ms: float
    slowest_ms: float
    unchanged_ms: float
    size_bytes: int


def measure(segments: int, features: int) -> Found:
    """Measures it once. `features` is rounded up to a multiple of the queries that they come from."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        home = Path(folder) / "home"
        token = _prepared(home, Path(folder), segments, -(-features // PARTS))
        headers = {"Authorization": f"Bearer {token}", "Accept": ARROW}
        with served(home, 1) as (_, address), httpx.Client(base_url=address, headers=headers, timeout=120) as client:
            client.get("/v1/features").raise_for_status()
            first, answer = _timed(client)
            rows = pa.ipc.open_stream(answer.content).read_all().num_rows
            if rows != segments:
                raise RuntimeError(f"{rows} rows came where {segments} were to come")
            times = [_timed(client)[0] for _ in range(TIMES)]
            known = {"If-None-Match": answer.headers["ETag"]}
            unchanged = statistics.median(_timed(client, known)[0] for _ in range(TIMES))
            return Found(first, statistics.median(times), max(times), unchanged, len(answer.content))


def table(segments: int, features: int, found: Found) -> list[tuple[str, str]]:
    """What was measured, a line each."""
    return [
        ("segments", f"{segments:,}"),
        ("features", str(features)),
        ("bytes as Arrow", f"{found.size_bytes:,}"),
        ("first answer of the process, ms", f"{found.first_ms:.0f}"),
        ("answer at p50, ms", f"{found.median_ms:.0f}"),
        ("slowest of them, ms", f"{found.slowest_ms:.0f}"),
        ("unchanged (304) at p50, ms", f"{found.unchanged_ms:.1f}"),
    ]


def _timed(client: httpx.Client, headers: dict[str, str] | None = None) -> tuple[float, httpx.Response]:
    began = time.perf_counter()
    answer = client.get(PATH, headers=headers)
    ended = (time.perf_counter() - began) * 1000
    if answer.is_error:
        answer.raise_for_status()
    return ended, answer


def _prepared(home: Path, folder: Path, segments: int, measures: int) -> str:
    """A workspace with a released view: a token for it."""
    names = [f"segment {n:06d}" for n in range(segments)]
    rows = range(2 * segments)
    events = {"unit": list(rows), "segment": [names[n % segments] for n in rows], "amount": [n % 101 for n in rows]}
    pq.write_table(pa.table(events), folder / "events.parquet")
    pq.write_table(pa.table({"segment": names}), folder / "segments.parquet")
    (folder / "dataset.yaml").write_text(DATASET, encoding="utf-8")
    workspace = Workspace.open(read_settings(home=home, ledger_url=""))
    try:
        sources = {name: folder / f"{name}.parquet" for name in ("events", "segments")}
        workspace.datasets.add(ME, folder / "dataset.yaml", sources)
        for part in range(PARTS):
            file = folder / f"part_{part}.yaml"
            own = [f"spend_{part}_{n}" for n in range(measures)]
            selected = ", ".join(f"SUM(amount + {place}) AS {name}" for place, name in enumerate(own))
            bounds = ", ".join(f"{name}: [0, 1000]" for name in own)
            file.write_text(QUERY.format(part=part, measures=selected, bounds=bounds), encoding="utf-8")
            workspace.review.approve(ME, f"part_{part}", workspace.review.submit(ME, file)[1])
        view = folder / "wide.yaml"
        view.write_text(VIEW.format(queries=", ".join(f"part_{n}" for n in range(PARTS))), encoding="utf-8")
        workspace.features.submit(ME, view)
        (renewed,) = workspace.refreshing.refresh(ME)
        if renewed.state != "renewed":
            raise RuntimeError(renewed.why)
        return workspace.tokens.create(ME, "bench", "job")
    finally:
        workspace.close()
