"""A workspace for an audit: made in a temporary folder, filled with synthetic tables, gone afterwards.

Everything goes the way that a steward and an analyst go: files, a load, an approval, fresh releases, each charged.
Where the budget is used up, the bench moves to another workspace, with the same tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dpstats.access import operator
from dpstats.audit.claims import Claim, claim_of
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.errors import BudgetExhausted
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.invented import everybody_consents

Tables = Mapping[str, Mapping[str, Sequence[object]]]
"""Each table's columns, by name."""
AUDITOR = operator("audit")


class Bench:
    """Where an audit's queries are asked.

    Args:
      folder: an empty one.
      dataset: the text of a dataset's file. queries: the texts of its queries' files, by name.
    """

    def __init__(self, folder: Path, dataset: str, queries: Mapping[str, str]) -> None:
        self._folder, self._text, self._queries = folder, dataset, dict(queries)
        self.dataset: DatasetFile = parse_dataset(dataset, "dataset.yaml")
        self._workspaces = 0
        self._workspace: Workspace | None = None
        self._tables: Tables = {}

    def load(self, tables: Tables) -> None:
        """A new data version, of these tables; the first one also registers the dataset and approves the queries."""
        self._tables = tables
        sources = {name: self._written(f"{name}.parquet", columns) for name, columns in tables.items()}
        if self._workspace is None:
            self._workspace = self._opened(sources)
        else:
            notice = self._workspace.datasets.notice_alone(self.dataset)
            self._workspace.datasets.load(AUDITOR, self.dataset.dataset, sources, notice=notice)
            everybody_consents(self._workspace, AUDITOR, self.dataset, tables)

    def ask(self, query: str) -> dict[str, Any]:
        """A fresh release of a query, with its default parameters."""
        try:
            return self._asked(query)
        except BudgetExhausted:
            self.close()
            self.load(self._tables)
            return self._asked(query)

    def claim(self, release: Mapping[str, Any]) -> Claim:
        """What was charged for a release of this workspace."""
        after, found = 0, None
        while found is None:
            page = self._open.budgets.entries(AUDITOR, self.dataset.dataset, after)["entries"]
            found = next((entry for entry in page if entry["release_id"] == release["release_id"]), None)
            after = page[-1]["seq"]
        return claim_of(found, release["cost"], self.dataset.conversion_delta)

    def close(self) -> None:
        """Closes the workspace that is open, if one is."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    @property
    def _open(self) -> Workspace:
        if self._workspace is None:
            raise RuntimeError("load tables before asking")
        return self._workspace

    def _asked(self, query: str) -> dict[str, Any]:
        return self._open.releases.make(Ask(AUDITOR, query, {}, fresh=True))[0]

    def _opened(self, sources: Mapping[str, Path]) -> Workspace:
        self._workspaces += 1
        workspace = Workspace.open(read_settings(home=self._folder / f"home{self._workspaces}", threads=1))
        try:
            notice = workspace.datasets.notice_alone(self.dataset)
            workspace.datasets.add(AUDITOR, self._file("dataset.yaml", self._text), sources, notice=notice)
            everybody_consents(workspace, AUDITOR, self.dataset, self._tables)
            for name, text in self._queries.items():
                _, version = workspace.review.submit(AUDITOR, self._file(f"{name}.yaml", text))
                workspace.review.approve(AUDITOR, name, version)
        except BaseException:
            workspace.close()
            raise
        return workspace

    def _file(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def _written(self, name: str, columns: Mapping[str, Sequence[object]]) -> Path:
        path = self._folder / name
        pq.write_table(pa.table({column: list(values) for column, values in columns.items()}), path)
        return path


@contextmanager
def bench(dataset: str, queries: Mapping[str, str]) -> Iterator[Bench]:
    """A bench whose files are gone when it is left."""
    with tempfile.TemporaryDirectory(prefix="dpstats-audit-") as folder:
        made = Bench(Path(folder), dataset, queries)
        try:
            yield made
        finally:
            made.close()
