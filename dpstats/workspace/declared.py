"""The order in which a dataset's file lists a column's values, in which people read them: `Under 15K` before `15-24K`.

Releases, files and JSON keep theirs, by the values themselves; this is for tables and charts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Values = Sequence[object]


def declared_order(dataset: Mapping[str, Any], keys: Sequence[str]) -> Callable[[Values], list[int]]:
    """What to sort rows by, given the values of their keys; values that no file lists keep their order, at the end.

    Args:
      dataset: as it is described to whoever asks, with its `tables`.
      keys: names of a release's keys.
    """
    orders = [_places(dataset, key) for key in keys]
    return lambda values: [places.get(str(value), len(places)) for places, value in zip(orders, values, strict=True)]


def _places(dataset: Mapping[str, Any], key: str) -> dict[str, int]:
    lists = (table["columns"][key]["values"] for table in dataset["tables"].values() if key in table["columns"])
    values: Values = next((values for values in lists if values), ())
    return {str(value): place for place, value in enumerate(values)}
