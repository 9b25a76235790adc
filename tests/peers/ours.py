"""dpstats on the same work, by the way that everybody goes: a workspace, a dataset added, a query approved and run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from work import AMOUNT_MAX, GROUPS, REGIONS, SEGMENTS, Floats

sys.path.insert(0, str(Path(__file__).parent.parent / "promises"))

from desk import ME, Desk

DATASET = """
dataset: {name}
privacy_unit: customer_id
budget: {{epsilon: 900, delta: {delta}}}
tables:
  f:
    columns:
      customer_id: {{type: bigint}}
      segment: {{type: bigint}}
      region: {{type: bigint}}
      amount: {{type: double, bounds: [0, {amount_max}], unit: USD}}
"""
SQL = "SELECT segment, region, COUNT(*) AS count, SUM(amount) AS sum FROM f GROUP BY segment, region"
KEYS = {"segment": {"values": list(range(SEGMENTS))}, "region": {"values": list(range(REGIONS))}}


@dataclass(frozen=True)
class Answered:
    """A release: each measure's scale, noise and answers, group by group; and how long it took."""

    measures: Mapping[str, Mapping[str, Any]]
    answers: Mapping[str, Floats]
    seconds: float


class Shop:
    """The work in a workspace of its own; half of a dataset's delta converts, so (1, 1e-6) is asked of delta 2e-6."""

    def __init__(self, place: Path, parquet: Path, *, pure: bool = False, threads: int = 2) -> None:
        self.desk, self.name = Desk(place, threads=threads), "pure" if pure else "shop"
        text = DATASET.format(name=self.name, delta="0" if pure else "2.0e-6", amount_max=AMOUNT_MAX)
        self.desk.workspace.datasets.add(ME, self.desk.file("dataset.yaml", text), {"f": parquet})

    def approve(self, name: str, *, epsilon: float = 1, sql: str = SQL, **parts: Any) -> None:
        """Approves a query of counts and sums by the 1,000 groups; `parts` are bounds and contribution."""
        self.desk.approve(
            {"query": name, "dataset": self.name, "sql": sql, "keys": KEYS, "cost": {"epsilon": epsilon}} | parts
        )

    def ask(self, name: str) -> Answered:
        """One release of an approved query."""
        started = time.perf_counter()
        body = self.desk.ask(name, fresh=True)
        seconds = time.perf_counter() - started
        answers = {measure: np.zeros(GROUPS) for measure in body["measures"]}
        for row in body["rows"]:
            for measure, found in answers.items():
                found[row["segment"] * REGIONS + row["region"]] = row[measure]["value"]
        return Answered(body["measures"], answers, seconds)

    def prepare(self) -> None:
        """Keeps at rest what approved queries are answered from, as a service does after a load."""
        self.desk.workspace.preparing.prepare(ME, self.name)

    def engine_seconds(self, name: str) -> float:
        """How long the engine alone takes for a query's plan."""
        plan = self.desk.plan(name)
        started = time.perf_counter()
        self.desk.exact(plan)
        return time.perf_counter() - started

    def close(self) -> None:
        """Closes the workspace."""
        self.desk.workspace.close()
