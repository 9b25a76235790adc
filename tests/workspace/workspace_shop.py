"""A small shop's workspace whose ledger goes by a clock that the test moves, so that it has a past."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dpstats.access import operator
from dpstats.engine.versions import Engines
from dpstats.grid import NO_GRID
from dpstats.ledger.store import open_store
from dpstats.ledger.tokens import Identity
from dpstats.release import Ask
from dpstats.turns import Limits, Turns
from dpstats.workspace import Workspace

ME = operator("stu")
KEY = b"k" * 32

DATASET = """
dataset: {name}
title: A small shop
privacy_unit: customer
lineage: shop
budget: {{epsilon: 3.0, delta: 1.0e-6}}
purposes:
  measurement: {{title: Reporting, consent: notice}}
  personalization: {{title: Offers, consent: notice}}
tables:
  visits:
    columns:
      customer: {{type: bigint, purposes: [measurement, personalization]}}
      spent: {{type: double, bounds: [0, {most}], purposes: [measurement, personalization]}}
"""
QUERY = """
query: {name}
dataset: {dataset}
title: Spend, all of it
purpose: {purpose}
{extra}sql: SELECT SUM(spent) AS spend FROM visits
bounds: {{spend: [0, 500]}}
cost: {{rho: {rho}}}
"""


class HandClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Shop:
    """The workspace, its clock, and a folder for files."""

    def __init__(self, workspace: Workspace, clock: HandClock, folder: Path) -> None:
        self.workspace, self.clock, self.folder = workspace, clock, folder

    def add_dataset(self, name: str = "shop", *, most: int = 100) -> None:
        (self.folder / "visits.csv").write_text("customer,spent\n1,2.5\n2,3.5\n")
        file = self.folder / "dataset.yaml"
        file.write_text(DATASET.format(name=name, most=most))
        self.workspace.datasets.add(ME, file, {"visits": self.folder / "visits.csv"})

    def submit(self, name: str = "spend", **said: Any) -> str:
        fields = {"dataset": "shop", "purpose": "measurement", "rho": 0.01, "extra": ""} | said
        file = self.folder / f"{name}.yaml"
        file.write_text(QUERY.format(name=name, **fields))
        return self.workspace.review.submit(ME, file)[1]

    def approve(self, name: str = "spend", **said: Any) -> str:
        version = self.submit(name, **said)
        self.workspace.review.approve(ME, name, version)
        return version

    def token(self, name: str, role: str, *datasets: str) -> Identity:
        text = self.workspace.tokens.create(ME, name, role, datasets=datasets)
        identity = self.workspace.store.tokens.authenticate(text)
        assert identity is not None
        return identity

    def ask(self, identity: Identity = ME, query: str = "spend") -> None:
        self.workspace.releases.make(Ask(identity, query, {}, fresh=True))

    def wait(self, **span: float) -> None:
        self.clock.now += timedelta(**span)


@contextmanager
def opened_shop(place: Path) -> Iterator[Shop]:
    """A shop with its dataset loaded, and no query yet."""
    home, clock = place / "home", HandClock()
    store = open_store(home, clock)
    engines = Engines(home / "data", KEY, memory_limit_mb=256, threads=1, deadline_s=60)
    workspace = Workspace(home, store, engines, KEY, turns=Turns(home / "turns.lock", Limits(1, 8, 60)), grid=NO_GRID)
    shop = Shop(workspace, clock, place)
    try:
        shop.add_dataset()
        yield shop
    finally:
        workspace.close()
