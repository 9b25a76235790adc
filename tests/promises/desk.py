"""A workspace with its files, asked the short way; and the tests' own key to the engine's exact answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from dpstats.access import operator
from dpstats.catalog.parameters import bind_parameters
from dpstats.engine.duck import DuckEngine
from dpstats.engine.noise import Exact, Vectors, _open
from dpstats.engine.versions import Engines
from dpstats.ledger.tokens import Identity
from dpstats.plan.plan import Plan
from dpstats.release import Ask, Road
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("tests")
Columns: TypeAlias = Mapping[str, Any] | str
"""What a source file is made of: columns (for Parquet), or the text of a CSV file."""


class Desk:
    """Where a steward works: `workspace` at `home`, and `folder` for the files that are handed in.

    Args:
      place: a folder for both. settings: by name; one thread unless said otherwise.
    """

    def __init__(self, place: Path, **settings: object) -> None:
        self.home, self.folder = place / "home", place / "files"
        self._settings = {"threads": 1} | settings
        self.workspace = self._opened()

    def _opened(self) -> Workspace:
        return Workspace.open(read_settings(home=self.home, **self._settings))

    def reopen(self) -> None:
        """As a restart of the service would."""
        self.workspace.close()
        self.workspace = self._opened()

    def change(self, **settings: object) -> None:
        """A restart with other settings."""
        self._settings = self._settings | settings
        self.reopen()

    # -- the steward -------------------------------------------------------------------------------------------

    def file(self, name: str, content: Columns) -> Path:
        """Writes a file: text as it is, columns as Parquet."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            pq.write_table(pa.table(content), path)
        return path

    def sources(self, tables: Mapping[str, Columns]) -> dict[str, Path]:
        """A source file for each table."""
        return {name: self.file(f"{name}.{'csv' if isinstance(t, str) else 'pq'}", t) for name, t in tables.items()}

    def add(self, dataset: str, **tables: Columns) -> str:
        """Registers a dataset's YAML and loads its tables; gives the data version."""
        return self.workspace.datasets.add(ME, self.file("dataset.yaml", dataset), self.sources(tables))

    def load(self, name: str, **tables: Columns) -> str:
        """A new data version."""
        return self.workspace.datasets.load(ME, name, self.sources(tables))

    def submit(self, query: str | dict[str, Any]) -> str:
        """Submits a query's YAML; gives its version."""
        text = query if isinstance(query, str) else yaml.safe_dump(query, sort_keys=False, allow_unicode=True)
        name = yaml.safe_load(text)["query"]
        return self.workspace.review.submit(ME, self.file(f"{name}.yaml", text))[1]

    def approve(self, query: str | dict[str, Any]) -> str:
        """Submits and approves a query's YAML; gives its version."""
        version = self.submit(query)
        name = yaml.safe_load(query)["query"] if isinstance(query, str) else query["query"]
        self.workspace.review.approve(ME, name, version)
        return version

    # -- the analyst -------------------------------------------------------------------------------------------

    def ask(self, query: str, *, fresh: bool = False, identity: Identity = ME, **parameters: object) -> dict[str, Any]:
        """A release as JSON."""
        return self.workspace.releases.make(Ask(identity, query, parameters, fresh=fresh))[0]

    def spent(self, dataset: str) -> int:
        """Steps of 1e-12 charged so far."""
        return self.workspace.store.ledger.budget(dataset).spent.amount

    def charges(self, dataset: str) -> list[dict[str, Any]]:
        """The ledger's charges, oldest first."""
        entries = self.workspace.budgets.entries(ME, dataset, limit=100_000)["entries"]
        return [entry for entry in entries if entry["kind"] == "charge"]

    # -- past the noise: what no door of dpstats does ------------------------------------------------------------

    def plan(self, query: str, **parameters: object) -> Plan:
        """The plan that a release of the query is made by."""
        known, analysis = self.workspace.releases._library.runnable(ME, query)
        return self._road.plan(known, analysis, bind_parameters(known.query, parameters))

    @contextmanager
    def engine(self, dataset: str) -> Iterator[DuckEngine]:
        """The engine of the dataset's current data version."""
        engines: Engines = self._road._engines
        version = self.workspace.store.registry.data_version(dataset)
        with engines.using(dataset, version.file) as engine:
            yield engine

    def exact(self, plan: Plan) -> Exact:
        """The plan's exact answer, closed."""
        with self.engine(plan.dataset) as engine:
            return engine.run(plan)

    def truth(self, plan: Plan) -> Vectors:
        """The plan's exact bounded answer: for each draw, whole numbers of grid steps, one a group."""
        return _open(plan, self.exact(plan))

    @property
    def _road(self) -> Road:
        return self.workspace.releases._road
