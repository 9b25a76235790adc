"""A new release of 2,000 cells, its noise drawn ahead or not: part of `dpstats bench serve`."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from dpstats.bench.asking import ME, Made, approve, made_file, written
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

MADE = Made(rows=60_000, units=6000, groups=1000)
MEASURES = 2
CELLS = MEASURES * MADE.groups
NEW = 10
PAUSE_S = 0.5
"""Between two releases, so that the noise of the next one is drawn."""
PATH = "/v1/queries/sold/releases"


def prepared(home: Path) -> str:
    """Makes a workspace with a query of so many cells, prepared; gives a token for it."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as name:
        folder = Path(name)
        workspace = Workspace.open(read_settings(home=home, ledger_url=""))
        try:
            written(folder, MADE)
            workspace.datasets.add(ME, folder / "dataset.yaml", {"sales": made_file(folder, MADE)})
            approve(workspace, folder)
            workspace.preparing.prepare(ME, "scale")
            return workspace.tokens.create(ME, "bench", "analyst")
        finally:
            workspace.close()


def new_ms(address: str, token: str) -> tuple[float, float]:
    """Milliseconds at the median of a new release: after a pause each, and one straight after another."""
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        _timed(client, 0)  # the data version opens
        return _median_ms(client, PAUSE_S), _median_ms(client, 0)


def _median_ms(client: httpx.Client, pause_s: float) -> float:
    found: Sequence[float] = [_timed(client, pause_s) for _ in range(NEW)]
    return 1000 * statistics.median(found)


def _timed(client: httpx.Client, pause_s: float) -> float:
    time.sleep(pause_s)
    began = time.perf_counter()
    client.post(PATH, json={"reuse": "never"}).raise_for_status()
    return time.perf_counter() - began
