"""`dpstats bench start`: how soon a command and a service are there, in a workspace with many datasets and queries.

Everything is made for it and gone afterwards. Each is a process of its own, as a shell starts it, several times in
turn; a service is there once `/health/ready` has said so, after its self-test.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dpstats.access import operator
from dpstats.bench.serve import served
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("bench")
TIMES = 5
DATASET = """
dataset: d{number}
privacy_unit: unit
budget: {{epsilon: 10, delta: 0}}
tables:
  events:
    columns:
      unit: {{type: bigint}}
      amount: {{type: bigint, bounds: [0, 100]}}
"""
QUERY = """
query: q{number}
dataset: d{dataset}
sql: SELECT COUNT(DISTINCT unit) AS units, SUM(amount) AS spend FROM events
bounds: {{spend: [0, {high}]}}
cost: {{epsilon: 0.5}}
"""


@dataclass(frozen=True)
class Measured:
    """Milliseconds at the median: until Python has dpstats, until the help is said, and until a service is ready."""

    import_ms: float
    help_ms: float
    serve_ms: float


def measure(datasets: int, queries: int) -> Measured:
    """Measures all of it.

    Args:
      datasets: of the workspace, >= 1. queries: approved ones, spread over the datasets.
    """
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as name:
        folder = Path(name)
        _prepare(folder, datasets, queries)
        commands = (("-c", "pass"), ("-c", "import dpstats"), ("-m", "dpstats", "--help"))
        found = [[*map(_command_ms, commands), _ready_ms(folder / "home")] for _ in range(TIMES)]
        bare, imported, helped, ready = (statistics.median(own) for own in zip(*found, strict=True))
        return Measured(imported - bare, helped, ready)


def table(found: Measured) -> tuple[tuple[str, str], ...]:
    """What was measured, a line each."""
    return (
        ("import dpstats, ms", f"{found.import_ms:.0f}"),
        ("dpstats --help, ms", f"{found.help_ms:.0f}"),
        ("dpstats serve until it is ready, ms", f"{found.serve_ms:,.0f}"),
    )


def _prepare(folder: Path, datasets: int, queries: int) -> None:
    pq.write_table(pa.table({"unit": [1, 2, 3], "amount": [4, 5, 6]}), folder / "events.parquet")
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url=""))
    try:
        for number in range(datasets):
            file = _written(folder / f"d{number}.yaml", DATASET.format(number=number))
            workspace.datasets.add(ME, file, {"events": folder / "events.parquet"})
        for number in range(queries):
            text = QUERY.format(number=number, dataset=number % datasets, high=100 + number)
            file = _written(folder / f"q{number}.yaml", text)
            workspace.review.approve(ME, f"q{number}", workspace.review.submit(ME, file)[1])
    finally:
        workspace.close()


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def _command_ms(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return 1000 * (time.perf_counter() - began)


def _ready_ms(home: Path) -> float:
    began = time.perf_counter()
    with served(home, workers=1):
        return 1000 * (time.perf_counter() - began)
