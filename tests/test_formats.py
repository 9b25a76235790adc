"""The table of a release is the same in every format, to the last digit."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.formats import Format, columns, encode, rest, rest_ascii, table

# What a key may hold: what JSON shows, and how Arrow reads it.
KEYS: dict[str, tuple[st.SearchStrategy[Any], pa.DataType, Any]] = {
    "varchar": (st.text(), pa.string(), str),
    "bigint": (st.integers(-(2**63), 2**63 - 1), pa.int64(), int),
    "boolean": (st.booleans(), pa.bool_(), bool),
    "date": (st.dates().map(date.isoformat), pa.date32(), date.fromisoformat),
    "timestamp": (st.datetimes().map(datetime.isoformat), pa.timestamp("us"), datetime.fromisoformat),
}
wholes = st.integers(-(2**62), 2**62)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def cell(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"value": values, "low": values, "high": values, "display": st.just("about")})


@st.composite
def releases(draw: st.DrawFn) -> dict[str, Any]:
    kinds = draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=3))
    row = {f"k{place}": KEYS[kind][0] for place, kind in enumerate(kinds)} | {"n": cell(wholes), "x": cell(numbers)}
    return {
        "release_id": draw(st.text()),
        "keys": [{"name": f"k{place}", "type": kind} for place, kind in enumerate(kinds)],
        "measures": {"n": {"type": "integer"}, "x": {"type": "number", "unit": draw(st.text())}},
        "budget": {"rho": 0.1},
        "rows": draw(st.lists(st.fixed_dictionaries(row), max_size=5)),
    }


def cells(release: dict[str, Any]) -> list[list[Any]]:
    """The values of the table as the JSON has them."""
    names = [key["name"] for key in release["keys"]]
    return [
        [row[name] for name in names] + [row[m][end] for m in ("n", "x") for end in ("value", "low", "high")]
        for row in release["rows"]
    ]


def read_arrow(body: bytes) -> pa.Table:
    return pa.ipc.open_stream(body).read_all()


def read_parquet(body: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(body))


@settings(deadline=None)
@given(releases())
def test_json_is_the_release(release: dict[str, Any]) -> None:
    assert json.loads(encode(release, Format.JSON)) == release


@settings(deadline=None)
@given(releases())
def test_arrow_and_parquet_hold_every_value_and_the_rest_beside_them(release: dict[str, Any]) -> None:
    readers = [KEYS[key["type"]][2] for key in release["keys"]]
    wanted = [
        [reader(value) for reader, value in zip(readers, row, strict=False)] + row[len(readers) :]
        for row in cells(release)
    ]
    for found in (read_arrow(encode(release, Format.ARROW)), read_parquet(encode(release, Format.PARQUET))):
        assert found.column_names == columns(release)
        assert [list(row.values()) for row in found.to_pylist()] == wanted
        assert json.loads(found.schema.metadata[b"dpstats"]) == rest(release)


@settings(deadline=None)
@given(releases())
def test_csv_is_rfc_4180_and_holds_every_value(release: dict[str, Any]) -> None:
    body = encode(release, Format.CSV)
    head, *rows = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
    assert head == columns(release)
    assert body.endswith(b"\r\n")
    wanted = [
        ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in row]
        for row in cells(release)
    ]
    assert rows == wanted


@settings(deadline=None)
@given(releases())
def test_the_same_release_is_the_same_bytes(release: dict[str, Any]) -> None:
    for form in Format:
        assert encode(release, form) == encode(json.loads(json.dumps(release)), form)


@settings(deadline=None)
@given(releases())
def test_the_rest_can_be_a_header(release: dict[str, Any]) -> None:
    text = rest_ascii(release)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == rest(release)


@pytest.mark.parametrize("kind", KEYS)
def test_each_type_of_key_has_its_arrow_type(kind: str) -> None:
    release = {"keys": [{"name": "k", "type": kind}], "measures": {}, "rows": []}
    assert table(release).schema.field("k").type == KEYS[kind][1]


def test_a_measure_counts_in_whole_numbers_or_not() -> None:
    release = {"keys": [], "measures": {"n": {"type": "integer"}, "x": {"type": "number"}}, "rows": []}
    assert table(release).schema.types == [pa.int64()] * 3 + [pa.float64()] * 3


def test_a_formula_in_a_cell_stays_what_it_is() -> None:
    row = {"k": '=HYPERLINK("x")', "n": {"value": 1, "low": 0, "high": 2}}
    release = {"keys": [{"name": "k", "type": "varchar"}], "measures": {"n": {"type": "integer"}}, "rows": [row]}
    assert encode(release, Format.CSV) == b'k,n,n_low,n_high\r\n"=HYPERLINK(""x"")",1,0,2\r\n'
