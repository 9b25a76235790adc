"""The bundled dataset and queries, read once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from dpstats.catalog.consented import consent_columns, consent_rules
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import QueryFile, load_query
from dpstats.engine.duck import DuckEngine
from dpstats.plan.analysis import Analysis, analyse
from dpstats.plan.build import build
from dpstats.plan.plan import Plan

FOLDER = Path(__file__).parents[2] / "queries" / "complete_journey"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "dataset.yaml")
KEY = bytes(32)


class Everybody:
    """A roll on which everybody said yes to everything."""

    def __init__(self, dataset: DatasetFile) -> None:
        self.closed_at, self.rules, self.columns = datetime.now(UTC), consent_rules(dataset), consent_columns(dataset)
        self.unknown = tuple(True for _ in self.columns)

    def truths(self, ids: Iterable[object]) -> tuple[bool, ...]:
        """All of them."""
        return self.unknown


class Bundle:
    """Everything bundled: the dataset, the queries by name, and an engine over the data."""

    def __init__(self, dataset: DatasetFile, engine: DuckEngine) -> None:
        self.dataset, self.engine = dataset, engine
        self.queries: dict[str, QueryFile] = {path.stem: load_query(path) for path in FILES}
        self.analyses: dict[str, Analysis] = {name: analyse(q, dataset) for name, q in self.queries.items()}

    @cache  # noqa: B019
    def plan(self, name: str, **given: object) -> Plan:
        """The plan of a query with these parameters, the rest as they are by default."""
        parameters = bind_parameters(self.queries[name], given)
        return build(self.analyses[name], parameters, self.engine.public_values, self.engine.public_count)
