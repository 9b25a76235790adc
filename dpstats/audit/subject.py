"""A query to audit, as files of the audit's own workspace: the same question, priced so that an audit can see.

Bounds, keys, grid and SQL stay as they are; the noise is drawn by the same code at every price. But at the price of a
real query, rho 0.005, say, ten thousand runs tell little, so it is asked at `PRICES`, unless it costs more itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile, load_dataset, parse_dataset
from dpstats.catalog.query import KeysFrom, QueryFile, load_query, parse_query
from dpstats.catalog.source import load_file
from dpstats.ledger.tokens import Identity
from dpstats.plan.analysis import analyse
from dpstats.workspace import Workspace

AUDITED, LEARNED = "audited", "learned"
"""The names of the two versions of the query: the one whose runs count, and the one that the adversary learns from."""
PRICES = {"rho": 1.0, "epsilon": 2.0}
LEARNING = {"rho": 10.0, "epsilon": 12.0}


@dataclass(frozen=True)
class Subject:
    """A query and the part of its dataset that it reads, understood, and their texts for the audit."""

    query: QueryFile
    dataset: DatasetFile
    dataset_text: str
    queries: dict[str, str]


def from_file(file: Path) -> Subject:
    """The query in a file, against the dataset.yaml beside it.

    Raises:
      FileError, QueryRefused: it cannot be answered.
    """
    query, beside = load_query(file), file.parent / "dataset.yaml"
    return _subject(query, load_file(file), load_dataset(beside), load_file(beside))


def from_workspace(workspace: Workspace, identity: Identity, name: str) -> Subject:
    """A submitted query of a workspace; nothing but its text and its dataset's definition is read there.

    Raises:
      NotFound: there is none. FileError, QueryRefused: it cannot be answered.
    """
    check(identity, Action.STEWARD)
    record = workspace.store.registry.newest_query(name)
    definition = workspace.store.registry.dataset(record.dataset).definition
    query = parse_query(record.text, f"{name}.yaml")
    return _subject(query, record.text, parse_dataset(definition, record.dataset), definition)


def _subject(query: QueryFile, query_text: str, dataset: DatasetFile, dataset_text: str) -> Subject:
    needed = set(analyse(query, dataset).reads)
    needed |= {keys.table for keys in query.keys.values() if isinstance(keys, KeysFrom)}
    unit = "rho" if dataset.budget.delta else "epsilon"
    defined = yaml.safe_load(dataset_text)
    defined["budget"]["epsilon"] = 1000
    # Numbers that are withheld are a function of those that are not: an audit of the latter is an audit of both.
    for terms in (defined, *(defined.get("purposes") or {}).values()):
        terms.pop("smallest_group", None)
    defined["tables"] = {name: table for name, table in defined["tables"].items() if name in needed}
    if dataset.blocks is not None and dataset.blocks.table in needed:
        defined["blocks"]["budget"]["epsilon"] = 1000
    else:
        defined.pop("blocks", None)
    asked = yaml.safe_load(query_text)
    own = float((asked.get("cost") or {}).get(unit, 0))
    for name, spec in (asked.get("parameters") or {}).items():
        spec.setdefault("default", _some_value(name, spec))
    prices = {AUDITED: max(own, PRICES[unit]), LEARNED: LEARNING[unit]}
    texts = {name: _written(asked | {"query": name, "cost": {unit: price}}) for name, price in prices.items()}
    text = _written(defined)
    return Subject(query, parse_dataset(text, dataset.dataset), text, texts)


def _some_value(name: str, spec: dict[str, Any]) -> object:
    if "values" in spec:
        return spec["values"][0]
    return spec["max"] if name == "until" else spec["min"]


def _written(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
