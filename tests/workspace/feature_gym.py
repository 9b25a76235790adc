"""A gym with a visit of each member in each month, its queries by plan, and views of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dpstats.access import operator
from dpstats.engine.versions import Engines
from dpstats.grid import NO_GRID
from dpstats.ledger.store import open_store
from dpstats.ledger.tokens import Identity
from dpstats.turns import Limits, Turns
from dpstats.workspace import Workspace
from dpstats.workspace.features_refresh import Renewal

ME = operator("tests")
KEY = bytes(range(32))
DATASET = """
dataset: gym
privacy_unit: member
budget: {epsilon: 20.0, delta: 1.0e-6}
blocks: {column: visits.at, every: month, budget: {epsilon: 8.0, delta: 1.0e-7}}
tables:
  visits:
    columns:
      member: {type: bigint}
      minutes: {type: double, bounds: [0, 100], unit: min}
      at: {type: timestamp}
  members:
    one_row_per_unit: true
    columns:
      member: {type: bigint}
      plan: {type: varchar, values: [basic, plus]}
"""
QUERIES = {
    "members_by_plan": """
query: members_by_plan
dataset: gym
sql: SELECT m.plan, COUNT(DISTINCT m.member) AS members FROM members m GROUP BY m.plan
cost: {rho: 0.01}
""",
    "minutes_by_plan": """
query: minutes_by_plan
dataset: gym
sql: |
  SELECT m.plan, SUM(v.minutes) AS minutes FROM visits v JOIN members m USING (member)
  WHERE v.at >= $since AND v.at < $until GROUP BY m.plan
parameters:
  since: {type: date, min: 2017-01-01, max: 2017-12-31}
  until: {type: date, min: 2017-01-02, max: 2018-01-01}
window: {from: $since, until: $until}
bounds: {minutes: [0, 500]}
cost: {rho: 0.02}
""",
}
SPAN = """
view: first_half
dataset: gym
segment: [plan]
queries: [members_by_plan, minutes_by_plan]
parameters: {since: 2017-01-01, until: 2017-07-01}
refresh: 7d
max_age: 20d
monthly: {rho: 0.08}
"""
MONTHS = """
view: by_month
dataset: gym
segment: [plan]
queries: [members_by_plan, minutes_by_plan]
blocks: 3
per: members
refresh: 7d
max_age: 20d
monthly: {rho: 1}
"""


class HandClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


class Gym:
    """The open workspace, everything approved, nothing released."""

    def __init__(self, folder: Path, dataset: str = DATASET, queries: Mapping[str, str] = QUERIES) -> None:
        self.folder, self.clock = folder, HandClock()
        home = folder / "home"
        store = open_store(home, self.clock)
        engines = Engines(home / "data", KEY, memory_limit_mb=512, threads=1, deadline_s=30)
        turns = Turns(home / "turns.lock", Limits())
        self.workspace = Workspace(home, store, engines, KEY, turns=turns, grid=NO_GRID)
        self.workspace.datasets.add(
            ME, self.file("dataset", dataset), {"visits": self.visits(6), "members": self.members()}
        )
        for name, text in queries.items():
            self.workspace.review.submit(ME, self.file(name, text))
            self.workspace.review.approve(ME, name)

    def file(self, name: str, text: str, folder: str = ".") -> Path:
        path = self.folder / folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def visits(self, months: int) -> Path:
        """A visit of 50 minutes for each of 40 members in each of the first months of 2017."""
        rows = [(member, month) for member in range(40) for month in range(1, months + 1)]
        columns: dict[str, Sequence[Any]] = {
            "member": [member for member, _ in rows],
            "minutes": [50.0 for _ in rows],
            "at": [datetime(2017, month, 15, 12) for _, month in rows],  # noqa: DTZ001
        }
        path = self.folder / f"visits-{months}.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    def members(self) -> Path:
        path = self.folder / "members.parquet"
        columns = {"member": list(range(40)), "plan": ["basic" if member % 4 else "plus" for member in range(40)]}
        pq.write_table(pa.table(columns), path)
        return path

    def submit(self, text: str) -> str:
        (name,) = re.findall("^view: (.*)$", text, re.MULTILINE)
        return self.workspace.features.submit(ME, self.file(name, text, "features"))

    def refresh(self, *names: str, steward: Identity = ME) -> Renewal:
        """Renews; gives what became of the only view."""
        (found,) = self.workspace.refreshing.refresh(steward, names)
        return found

    def load(self, **said: Any) -> None:
        """Loads the visits anew."""
        self.workspace.datasets.load(ME, "gym", {"visits": self.visits(6)}, **said)

    def charges(self) -> list[tuple[str, str]]:
        """Query and month of each charge."""
        entries = self.workspace.budgets.entries(ME, "gym")["entries"]
        return [(e["query"], e["parameters"].get("since", "")[:7]) for e in entries if e["kind"] == "charge"]

    def wide(self, name: str) -> dict[str, Any]:
        """The view's head, as it is given out now."""
        features = self.workspace.features
        return dict(features.wide(features.find(ME, name)).head)
