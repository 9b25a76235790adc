"""Releases side by side: one row a segment, for each feature its value, interval and whether it is reliable.

Only released numbers are here, and nothing is added to them: it is post-processing, and costs nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from dpstats.formats import METADATA_KEY, Format

if TYPE_CHECKING:
    import pyarrow as pa

CELLS_KEPT = 8_000_000
"""Numbers of releases that are kept in memory as columns, 8 bytes each: parsing one takes longer than sending it."""
SIDES_KEPT = 8
"""Wide tables that are kept as they were put together, without a copy of their releases' numbers."""
ENDS = ("value", "low", "high")
SUFFIXES = ("", "_low", "_high", "_reliable")
"""What follows a feature's name in its columns."""


class DifferentSegmentsError(Exception):
    """Releases that were to stand side by side are not of the same segments."""


@dataclass(frozen=True)
class Columns:
    """One release by column. `keys`: by name, as JSON values; `measures`: by name, its values, lows and highs."""

    head: Mapping[str, Any]
    keys: Mapping[str, list[Any]]
    measures: Mapping[str, tuple[Any, Any, Any]]

    @property
    def cells(self) -> int:
        """How many numbers it holds."""
        return len(ENDS) * len(self.measures) * max((len(values) for values in self.keys.values()), default=0)


@dataclass(frozen=True)
class Placed:
    """A release in a wide table: the feature that each of its measures is, and the block that it is about, if any."""

    columns: Columns
    names: Mapping[str, str]
    block: str | None


@dataclass(frozen=True)
class Wide:
    """A wide table. `head`: everything but the rows; `keys` and `features` are Arrow arrays, by column name."""

    head: Mapping[str, Any]
    keys: Mapping[str, Any]
    features: Mapping[str, Any]


Sides = tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]
"""A wide table's keys and its features' columns, as Arrow arrays by name, and what is known of each feature."""


class ColumnStore:
    """The columns of releases, which never change; those used last are kept. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Columns] = OrderedDict()
        self._cells = 0
        self._sides: OrderedDict[Hashable, Sides] = OrderedDict()
        self._guard = Lock()

    def of(self, release_id: str, body: Callable[[], bytes]) -> Columns:
        """A release's columns; `body` is called for if they are not kept."""
        with self._guard:
            found = self._kept.get(release_id)
            if found is not None:
                self._kept.move_to_end(release_id)
                return found
        made = columns_of(body())
        with self._guard:
            if release_id not in self._kept:
                self._cells += made.cells
                self._kept[release_id] = made
            while self._cells > CELLS_KEPT and len(self._kept) > 1:
                self._cells -= self._kept.popitem(last=False)[1].cells
        return made

    def beside(self, placed: Sequence[Placed], segment: Sequence[str], reliability: Decimal) -> Sides:
        """What `beside` makes of releases, made once as long as it is asked for."""
        parts = tuple((item.columns.head["release_id"], *item.names.items(), item.block) for item in placed)
        asked = (parts, tuple(segment), reliability)
        with self._guard:
            found = self._sides.get(asked)
        if found is None:
            found = beside(placed, segment, reliability)
        with self._guard:
            self._sides[asked] = found
            self._sides.move_to_end(asked)
            while len(self._sides) > SIDES_KEPT:
                self._sides.popitem(last=False)
        return found


def columns_of(body: bytes) -> Columns:
    """The columns of a release's stored body."""
    import pyarrow as pa

    head = json.loads(body)
    rows = head.pop("rows")
    measures = {}
    for name, measure in head["measures"].items():
        kind = pa.int64() if measure["type"] == "integer" else pa.float64()
        cells = [row[name] for row in rows]
        value, low, high = (pa.array([cell[end] for cell in cells], type=kind) for end in ENDS)
        measures[name] = (value, low, high)
    return Columns(head, {key["name"]: [row[key["name"]] for row in rows] for key in head["keys"]}, measures)


def beside(placed: Sequence[Placed], segment: Sequence[str], reliability: Decimal) -> Sides:
    """The wide table's keys, its features' columns, and what is known of each feature.

    Args:
      segment: the keys, in the order in which they are shown; rows are in the order of the first release's.
      reliability: from 0 to below 1; see `reliable`.

    Raises:
      DifferentSegmentsError: the releases are not of the same segments.
    """
    first = placed[0].columns
    rows = _segments(first, segment)
    keys = {name: _key_array(first, name) for name in segment}
    features: dict[str, Any] = {}
    known: dict[str, dict[str, Any]] = {}
    for item in placed:
        order = _order(rows, _segments(item.columns, segment))
        for measure, feature in item.names.items():
            arrays = [array if order is None else array.take(order) for array in item.columns.measures[measure]]
            features[feature], features[f"{feature}_low"], features[f"{feature}_high"] = arrays
            features[f"{feature}_reliable"] = reliable(arrays[0], arrays[1], arrays[2], reliability)
            about = {"query": item.columns.head["query"], "measure": measure}
            about |= {"release_id": item.columns.head["release_id"]} | ({"block": item.block} if item.block else {})
            known[feature] = dict(item.columns.head["measures"][measure]) | about | _floor(item.columns.head)
    return keys, features, known


def _floor(head: Mapping[str, Any]) -> dict[str, int]:
    """Below which noisy count of units a segment's number is withheld, and so null; nothing where there is no floor."""
    return {"smallest_group": head["smallest_group"]["floor"]} if "smallest_group" in head else {}


def reliable(value: Any, low: Any, high: Any, floor: Decimal) -> Any:
    """Where the half-width of the interval is at most (1 - floor) of the value's size; false where there is none."""
    import pyarrow as pa
    from pyarrow import compute

    value, low, high = (compute.cast(array, pa.float64()) for array in (value, low, high))
    half_width = compute.subtract(compute.multiply(high, 0.5), compute.multiply(low, 0.5))
    allowed = compute.multiply(compute.abs(value), float(1 - floor))
    return compute.fill_null(compute.less_equal(half_width, allowed), fill_value=False)


def encode(wide: Wide, form: Format) -> bytes:
    """A wide table in one of the formats; numbers are exact. CSV holds the table alone, with a sandbox's mark."""
    if form is Format.JSON:
        return _json(wide)
    if form is Format.CSV:
        return _csv(wide)
    return _arrow(wide) if form is Format.ARROW else _parquet(table(wide))


def table(wide: Wide) -> pa.Table:
    """The keys, then for each feature `f`: `f`, `f_low`, `f_high` and `f_reliable`; the head is in the metadata."""
    import pyarrow as pa

    columns = {**wide.keys, **wide.features}
    made = pa.table(columns)
    return made.replace_schema_metadata({METADATA_KEY: _compact(wide.head)})


def rows(wide: Wide) -> list[dict[str, Any]]:
    """A mapping for each segment: the keys' values, and for each feature its value, interval and `reliable`."""
    keys = {name: [_json_value(value) for value in array.to_pylist()] for name, array in wide.keys.items()}
    features = {
        name: list(zip(*(wide.features[f"{name}{suffix}"].to_pylist() for suffix in SUFFIXES), strict=True))
        for name in wide.head["measures"]
    }
    count = len(next(iter(keys.values())))
    ends = (*ENDS, "reliable")
    return [
        {name: values[place] for name, values in keys.items()}
        | {name: dict(zip(ends, cells[place], strict=True)) for name, cells in features.items()}
        for place in range(count)
    ]


def _segments(columns: Columns, segment: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(columns.keys[name] for name in segment), strict=True))


def _order(wanted: list[tuple[Any, ...]], there: list[tuple[Any, ...]]) -> list[int] | None:
    """Where each wanted segment stands; None where they stand in that order already."""
    if wanted == there:
        return None
    places = {segment: place for place, segment in enumerate(there)}
    if len(places) != len(wanted) or any(segment not in places for segment in wanted):
        raise DifferentSegmentsError
    return [places[segment] for segment in wanted]


def _key_array(columns: Columns, name: str) -> Any:
    import pyarrow as pa

    kinds = {"bigint": pa.int64(), "boolean": pa.bool_(), "date": pa.date32(), "timestamp": pa.timestamp("us")}
    kind = kinds.get(next(key["type"] for key in columns.head["keys"] if key["name"] == name), pa.string())
    values = columns.keys[name]
    if pa.types.is_date(kind):
        values = [date.fromisoformat(value) for value in values]
    elif pa.types.is_timestamp(kind):
        values = [datetime.fromisoformat(value) for value in values]
    return pa.array(values, type=kind)


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _compact(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _json(wide: Wide) -> bytes:
    return _compact({**wide.head, "rows": rows(wide)})


def _csv(wide: Wide) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    columns = {**wide.keys, **wide.features}
    mark = [True] if wide.head.get("sandbox") else []
    writer.writerow([*columns, *(["sandbox"] if mark else [])])
    for row in zip(*(array.to_pylist() for array in columns.values()), strict=True):
        cells = [*row, *mark]
        writer.writerow([json.dumps(cell) if isinstance(cell, bool | float) else _json_value(cell) for cell in cells])
    return text.getvalue().encode()


def _arrow(wide: Wide) -> bytes:
    import pyarrow as pa

    made = table(wide)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return cast(bytes, sink.getvalue().to_pybytes())


def _parquet(made: pa.Table) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(made, sink)
    return cast(bytes, sink.getvalue().to_pybytes())


def for_feature_store(wide: Wide) -> bytes:
    """Parquet that a feature store reads as an offline source: entity keys, features, and two moments in UTC.

    `event_timestamp` is as of when the features tell of people (the data's load); `created_timestamp` is when the
    newest of the releases was made, by which a store prefers a later draw of the same moment. One row a segment.
    """
    import pyarrow as pa

    made = table(wide)
    for name, moment in (("event_timestamp", wide.head["as_of"]), ("created_timestamp", wide.head["renewed_at"])):
        kind = pa.timestamp("us", tz="UTC")
        made = made.append_column(name, pa.array([datetime.fromisoformat(moment)] * made.num_rows, type=kind))
    return _parquet(made)
