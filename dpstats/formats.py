"""A release as JSON, CSV, an Arrow stream or Parquet: the same bytes for the same release.

The table of a release has its keys, then for each measure `m` the columns `m`, `m_low` and `m_high`. Everything but the
rows is the schema's metadata under `dpstats`, as JSON, in Arrow and Parquet; CSV holds the table alone, so one of a
sandbox has a last column that says so.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    import pyarrow as pa

Ends: TypeAlias = tuple[tuple[str, str], ...]

METADATA_KEY = "dpstats"
"""The schema metadata key of Arrow and Parquet under which the rest of the release is."""

ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))
"""A measure's columns: what follows its name, and where in a row's cell the number is."""
RELIABLE = ("_reliable", "reliable")
"""What a wide table has besides: whether the number may be relied on."""


class Format(StrEnum):
    """What a release can be written as."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """The media type in `Accept` and `Content-Type`."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def encode(release: Mapping[str, Any], form: Format) -> bytes:
    """The release, as the contract's JSON object, in one of the formats. Numbers are exact; nothing is rounded."""
    return _WRITERS[form](release)


def rest(release: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a release but its rows."""
    return {name: value for name, value in release.items() if name != "rows"}


def rest_ascii(release: Mapping[str, Any]) -> str:
    """Everything but the rows as JSON in one line of ASCII, so that it can be a header."""
    return json.dumps(rest(release), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def columns(release: Mapping[str, Any], ends: Ends = ENDS) -> list[str]:
    """The names of the table's columns, in their order."""
    measures = [f"{measure}{end}" for measure in release["measures"] for end, _ in ends]
    return [key["name"] for key in release["keys"]] + measures


def table(release: Mapping[str, Any], ends: Ends = ENDS) -> pa.Table:
    """The release's table in Arrow: whole measures are int64, other ones float64; an end without a number is null.

    Args:
      ends: the columns of each measure; a wide table's have `RELIABLE` too.
    """
    import pyarrow as pa

    types = [_key_type(key["type"]) for key in release["keys"]]
    for measure in release["measures"].values():
        number = pa.int64() if measure["type"] == "integer" else pa.float64()
        types += [pa.bool_() if end == RELIABLE else number for end in ends]
    metadata = {METADATA_KEY: _compact(rest(release))}
    schema = pa.schema(list(zip(columns(release, ends), types, strict=True)), metadata=metadata)
    cells = [_cells(release, row, ends) for row in release["rows"]]
    arrays = [
        pa.array([_parsed(row[place], kind) for row in cells], type=kind) for place, kind in enumerate(schema.types)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cells(release: Mapping[str, Any], row: Mapping[str, Any], ends: Ends = ENDS) -> list[Any]:
    """One row's values in the order of the columns."""
    values = [row[key["name"]] for key in release["keys"]]
    return values + [row[measure][inside] for measure in release["measures"] for _, inside in ends]


def _key_type(name: str) -> pa.DataType:
    import pyarrow as pa

    types = {"bigint": pa.int64(), "boolean": pa.bool_(), "date": pa.date32(), "timestamp": pa.timestamp("us")}
    return types.get(name, pa.string())


def _parsed(value: Any, kind: pa.DataType) -> Any:
    """A JSON value as pyarrow takes it: dates and times are ISO text in JSON."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    return datetime.fromisoformat(value) if pa.types.is_timestamp(kind) else value


def _compact(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _csv(release: Mapping[str, Any]) -> bytes:
    """RFC 4180 in UTF-8: numbers as in JSON, an end without a number is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    mark = [True] if release.get("sandbox") else []
    writer.writerow([*columns(release), *(["sandbox"] if mark else [])])
    for row in release["rows"]:
        writer.writerow([_plain(value) for value in [*_cells(release, row), *mark]])
    return text.getvalue().encode()


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool | float) else value


def _arrow(release: Mapping[str, Any]) -> bytes:
    import pyarrow as pa

    made = table(release)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return cast(bytes, sink.getvalue().to_pybytes())


def _parquet(release: Mapping[str, Any]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(table(release), sink)
    return cast(bytes, sink.getvalue().to_pybytes())


_WRITERS: dict[Format, Callable[[Mapping[str, Any]], bytes]] = {
    Format.JSON: _compact,
    Format.CSV: _csv,
    Format.ARROW: _arrow,
    Format.PARQUET: _parquet,
}
