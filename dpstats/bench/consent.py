"""`dpstats bench consent`: how many consent events a service takes in, in batches and one by one.

Everything is made for it and gone afterwards: a workspace with a person in it, and `dpstats serve` in a process of its
own, asked by this one over one connection. Every answer comes once its events are durable.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dpstats.bench.serve import ME, served
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

DATASET = """
dataset: bench
privacy_unit: unit
budget: {epsilon: 1.0, delta: 1.0e-6}
purposes:
  offers: {consent: opt_in}
tables:
  people:
    columns:
      unit: {type: bigint, purposes: [offers]}
"""
BATCH = 1000
"""Events of one request: as many as it may have."""
SINGLES = 200
"""Requests with one event, or one signal."""


@dataclass(frozen=True)
class Found:
    """A second: events in batches, the same events again, events one by one, and signals for two ids each."""

    events_per_s: float
    again_per_s: float
    singles_per_s: float
    signals_per_s: float


def measure(events: int) -> Found:
    """Measures it once, with so many events, each of another person."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        home = Path(folder) / "home"
        headers = {"Authorization": f"Bearer {_prepared(home, Path(folder))}"}
        with served(home, 1) as (_, address), httpx.Client(base_url=address, headers=headers, timeout=120) as client:
            _rate(client, "/v1/consent/signals", [_signal(0)])  # the first request of a process is slower
            starts = range(0, events, BATCH)
            batches = [{"events": [_event(n) for n in range(at, min(at + BATCH, events))]} for at in starts]
            in_batches, again = (_rate(client, "/v1/consent/events", batches) for _ in range(2))
            singles = _rate(client, "/v1/consent/events", [_event(events + n) for n in range(SINGLES)])
            signals = _rate(client, "/v1/consent/signals", [_signal(n + 1) for n in range(SINGLES)])
            return Found(in_batches * events / len(batches), again * events / len(batches), singles, signals)


def table(events: int, found: Found) -> list[tuple[str, str]]:
    """What was measured, a line each."""
    return [
        ("events", f"{events:,}"),
        (f"in batches of {BATCH:,}, a second", f"{found.events_per_s:,.0f}"),
        ("the same again, a second", f"{found.again_per_s:,.0f}"),
        ("one by one, a second", f"{found.singles_per_s:,.0f}"),
        ("signals for two ids, a second", f"{found.signals_per_s:,.0f}"),
    ]


def _rate(client: httpx.Client, path: str, bodies: list[dict[str, Any]]) -> float:
    """Requests a second, one after the other."""
    began = time.perf_counter()
    for body in bodies:
        client.post(path, json=body).raise_for_status()
    return len(bodies) / (time.perf_counter() - began)


def _event(place: int) -> dict[str, Any]:
    told = {"dataset": "bench", "unit": place, "purpose": "offers", "event_id": f"event-{place}"}
    return told | {"decision": "opt_in" if place % 2 else "opt_out"}


def _signal(place: int) -> dict[str, Any]:
    return {"dataset": "bench", "units": [place, f"device-{place}"], "gpc": "1"}


def _prepared(home: Path, folder: Path) -> str:
    """A workspace with the dataset: a token that sends consent."""
    (folder / "dataset.yaml").write_text(DATASET, encoding="utf-8")
    (folder / "people.csv").write_text("unit\n1\n", encoding="utf-8")
    workspace = Workspace.open(read_settings(home=home, ledger_url=""))
    try:
        workspace.datasets.add(ME, folder / "dataset.yaml", {"people": folder / "people.csv"})
        return workspace.tokens.create(ME, "bench", "collector")
    finally:
        workspace.close()
