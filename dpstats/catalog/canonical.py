"""The one way to write a file's content as bytes, so that equal meaning has an equal hash.

A query's version is the hash of `query_content` with its SQL in canonical form and `dataset_content`; a data version is
stamped with `load_fingerprint`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from dpstats.catalog.dataset import Column, DatasetFile, Table
from dpstats.catalog.query import DeclaredKeys, QueryFile
from dpstats.catalog.types import ColumnType, canonical_decimal

LATER_PARTS = frozenset({"cadence", "candidates", "significant_decision"})
"""Keys of a query's file that came after queries had been approved without them."""


def canonical_json(content: object) -> bytes:
    """JSON in UTF-8 with sorted keys and no spaces; `Decimal` as its shortest text, dates in ISO format.

    Args:
      content: mappings with text keys, lists, tuples, text, whole numbers, booleans, None, Decimals, dates.

    Raises:
      TypeError: there is anything else in it, a float above all.
    """
    text = json.dumps(_plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def query_content(query: QueryFile) -> dict[str, Any]:
    """Everything that the query's file says, in canonical form; the SQL as it was given.

    A part that came to the files later is left out where nothing is said in it, so that it makes no new versions.
    """
    content = {name: _plain(getattr(query, name)) for name in type(query).model_fields}
    return {name: said for name, said in content.items() if said or name not in LATER_PARTS}


def dataset_content(dataset: DatasetFile, used: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """The parts of a dataset that a plan depends on.

    Args:
      used: the columns that the plan reads, by table. The privacy unit's column need not be named.

    Raises:
      KeyError: the dataset has no such table or column.
    """
    return {
        "privacy_unit": dataset.privacy_unit,
        "lineage": dataset.lineage,
        "measure": str(dataset.measure),
        "delta": canonical_decimal(dataset.budget.delta),
        "max_rows_per_unit": dataset.max_rows_per_unit,
        "min_units": dataset.min_units,
        "purposes": {name: dataset.consent_of(name) for name in dataset.purposes},
        "tables": {name: _table_content(dataset, dataset.tables[name], columns) for name, columns in used.items()},
        **_slices(dataset),
        **_links(dataset),
    }


def load_fingerprint(dataset: DatasetFile) -> str:
    """SHA-256, in hex, over what a load depends on: unit, row cap, blocks, tables, their kinds, columns and types.

    A dataset whose fingerprint differs from its data version's must be loaded again.
    """
    content = {
        "privacy_unit": dataset.privacy_unit,
        "max_rows_per_unit": dataset.max_rows_per_unit,
        "tables": {
            name: {
                "public": table.public,
                "one_row_per_unit": table.one_row_per_unit,
                "columns": {column: str(spec.type) for column, spec in table.columns.items()},
                **({"in_place": True} if table.in_place else {}),
            }
            for name, table in dataset.tables.items()
        },
        **_slices(dataset),
        **_links(dataset),
        **({"engine": "spark"} if dataset.engine else {}),  # whose tables a load writes too, wherever it is
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _slices(dataset: DatasetFile) -> dict[str, Any]:
    """The blocks; nothing where there are none, so that datasets from before blocks keep their hashes."""
    return {"blocks": [dataset.blocks.column, str(dataset.blocks.every)]} if dataset.blocks else {}


def _links(dataset: DatasetFile) -> dict[str, Any]:
    """Whether ids are resolved to units; nothing where they are not, as with `_slices`."""
    return {"links": True} if dataset.links else {}


def _table_content(dataset: DatasetFile, table: Table, used: Collection[str]) -> dict[str, Any]:
    names = set(used) if table.public else {dataset.privacy_unit, *used}
    return {
        "public": table.public,
        "one_row_per_unit": table.one_row_per_unit,
        "columns": {name: _column_content(table.columns[name]) for name in sorted(names)},
    }


def _column_content(column: Column) -> dict[str, Any]:
    fields = ("type", "bounds", "values", "unit", "category", "sensitive", "never_disclose")
    purposes = None if column.purposes is None else sorted(column.purposes)
    return {name: _plain(getattr(column, name)) for name in fields} | {"purposes": purposes}


def _plain(value: object) -> Any:
    """`value` in JSON's own types. Whatever a model gains is in it, so that no field can be left out of a hash."""
    match value:
        case DeclaredKeys():
            return {"values": [_key_value(item) for item in value.values]}
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return {_text_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Decimal():
            return canonical_decimal(value)
        case date():
            return value.isoformat()
        case timedelta():
            return int(value.total_seconds())
        case ColumnType():
            return str(value)
        case None | bool() | int() | str():
            return value
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")


def _key_value(value: object) -> Any:
    """A key's value, so that the number 0.5 and the text "0.5" stay apart: their type is known only to a plan."""
    return {"decimal": canonical_decimal(value)} if isinstance(value, Decimal) else value


def _text_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError("a canonical mapping has text keys")
    return key
