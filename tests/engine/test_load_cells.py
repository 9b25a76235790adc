"""Cells: what fits its column is kept in one spelling, what does not becomes NULL."""

from __future__ import annotations

import math
import unicodedata
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lying_footer import lying

from dpstats.engine.load import load
from dpstats.errors import FileError

NOON = datetime.fromisoformat("2017-06-01T12:00:00")
A_UUID = "5e1d5c3c-1f7c-4b3e-9d5f-000000000000"


@pytest.mark.parametrize(
    ("declared", "cells", "stored"),
    [
        ("bigint", ["1", " 12 ", "x", "9223372036854775808", None], [1, 12, None, None, None]),
        ("bigint", pa.array([1.0, math.nan, 1e300, -0.0]), [1, None, None, 0]),
        ("bigint", pa.array([2**64 - 1, 7], pa.uint64()), [None, 7]),
        ("integer", [2**31, 2**31 - 1], [None, 2**31 - 1]),
        ("double", ["0.1", "nan", "inf", "-Infinity", "1e400", "x", ""], [0.1] + [None] * 6),
        ("double", pa.array([1.5, math.nan, math.inf, -math.inf]), [1.5, None, None, None]),
        ("double", pa.array([Decimal("1.25"), None]), [1.25, None]),
        ("decimal(5,2)", ["123.456", "1000", "x"], [Decimal("123.46"), None, None]),
        ("decimal(5,2)", pa.array([1e10, 1.25, math.nan]), [None, Decimal("1.25"), None]),
        ("varchar", ["it's", 'say "x"', "cafe\u0301", "東京", ""], ["it's", 'say "x"', "caf\u00e9", "東京", ""]),
        ("varchar", [1, None], ["1", None]),
        ("varchar", pa.array([1.5, -0.0, math.nan]), ["1.5", "0.0", None]),
        ("varchar", pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        ("boolean", ["true", "f", "maybe"], [True, False, None]),
        ("boolean", [True, False, None], [True, False, None]),
        ("boolean", pa.array([1.0, 0.0, math.nan]), [True, False, None]),
        ("date", ["2017-02-28", "2017-02-29", "infinity"], [date(2017, 2, 28), None, None]),
        ("date", ["5877642-06-25 (BC)", "0001-01-01", "9999-12-31", "10000-01-01"], [None, date.min, date.max, None]),
        ("timestamp", ["290309-12-22 (BC)", "10000-01-01", "2017-06-01 12:00:00"], [None, None, NOON]),
        ("date", [NOON], [date(2017, 6, 1)]),
        ("timestamp", ["2017-06-01 12:00:00", "2017-06-01", "x"], [NOON, NOON - timedelta(hours=12), None]),
        ("timestamp", ["2017-06-01T14:00:00+02:00", "2017-06-01T12:00:00Z"], [NOON, NOON]),
        ("timestamp", ["infinity", "2017-06-01 12:00:00"], [None, NOON]),
        ("timestamp", [date(2017, 6, 1)], [NOON - timedelta(hours=12)]),
        ("timestamp", [NOON.replace(tzinfo=timezone(timedelta(hours=-5)))], [NOON + timedelta(hours=5)]),
        ("date", [NOON.replace(hour=23, tzinfo=timezone(timedelta(hours=-5)))], [date(2017, 6, 2)]),
        ("timestamp", pa.array([NOON], pa.timestamp("ns")), [NOON]),
        ("uuid", [A_UUID.upper(), "x"], [UUID(A_UUID), None]),
    ],
)
def test_a_cell_is_kept_if_it_fits_and_null_if_not(loaded, declared, cells, stored):
    assert loaded(declared, cells) == stored


def test_minus_zero_becomes_zero(loaded):
    (zero,) = loaded("double", pa.array([-0.0]))
    assert math.copysign(1, zero) == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats() | st.none(), min_size=1, max_size=20))
def test_every_finite_double_is_stored_as_it_is(loaded, cells):
    stored = loaded("double", pa.array(cells, pa.float64()))
    assert stored == [x if x is not None and math.isfinite(x) else None for x in cells]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=20))
def test_no_text_makes_a_load_fail(loaded, cells):
    assert len(loaded("varchar", pa.array(cells, pa.string()))) == len(cells)


@pytest.mark.parametrize(
    ("declared", "cells", "kind"),
    [
        ("bigint", ["cell-918", "cell-919"], "VARCHAR"),
        ("bigint", [date(2017, 1, 1)], "DATE"),
        ("double", [NOON], "TIMESTAMP"),
        ("uuid", [1, 2], "BIGINT"),
        ("date", [True], "BOOLEAN"),
        ("timestamp", [3.5], "DOUBLE"),
        ("varchar", [b"cell-918"], "BLOB"),
        ("varchar", [["cell-918"]], "VARCHAR[]"),
        ("varchar", [{"cell": 918}], "STRUCT"),
        ("bigint", pa.array([[("cell", 918)]], pa.map_(pa.string(), pa.int64())), "MAP"),
        ("varchar", pa.array([1], pa.time64("us")), "TIME"),
    ],
)
def test_a_column_of_another_type_is_refused(loaded, target, declared, cells, kind):
    with pytest.raises(FileError) as caught:
        loaded(declared, cells)
    name = "source.parquet"
    assert str(caught.value).endswith(f"{name}: column x: the file has {kind}, dataset.yaml says {declared}")
    assert not target.exists()


def test_a_column_without_a_single_value_is_kept(loaded):
    assert loaded("bigint", pa.array([None, None], pa.int64())) == [None, None]
    assert loaded("bigint", pa.array([None, None], pa.null())) == [None, None]


def test_a_column_of_nan_alone_is_not_of_another_type(loaded):
    assert loaded("double", pa.array([math.nan, math.nan])) == [None, None]


def test_what_is_not_declared_is_neither_read_nor_checked(dataset, parquet, target, rows_of, key):
    source = parquet({"nested": [{"a": 1}], "x": [5], "person": [1], "bytes": [b"x"]})
    load(dataset(rows="x: bigint; person: bigint"), {"rows": source}, target=target, key=key)
    assert rows_of(target, "rows") == [(5, 1)]


def test_two_spellings_of_a_unit_are_one_unit(dataset, csv_file, target, rows_of, key):
    source = csv_file("person,x\ncafe\u0301,1\ncaf\u00e9,2\n")
    load(dataset(rows="person: varchar; x: bigint"), {"rows": source}, target=target, key=key)
    assert {person for (person,) in rows_of(target, "rows", "person")} == {"caf\u00e9"}


def test_the_machines_time_zone_does_not_matter(loaded, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    assert loaded("timestamp", ["2017-06-01T14:00:00+02:00"]) == [NOON]


def test_text_keeps_its_first_ten_thousand_characters(loaded):
    cells = ["a" * 10_000, "a" * 10_001, "\U0001f600" * 12_000, "e\u0301" * 12_000, "\u0301" * 12_000]
    kept = loaded("varchar", cells)
    assert [len(cell) for cell in kept] == [10_000] * 5
    assert kept[3] == "\u00e9" * 10_000
    assert all(unicodedata.is_normalized("NFC", cell) for cell in kept)


def test_an_id_is_never_cut_a_longer_one_is_nobodys(dataset, parquet, target, rows_of, key):
    names = ["a" * 256, "a" * 257, "a" * 256 + "b", "e\u0301" * 256, ""]
    source = parquet({"person": names, "x": range(5)})
    load(dataset(rows="person: varchar; x: bigint"), {"rows": source}, target=target, key=key)
    assert sorted(x for _, x in rows_of(target, "rows")) == [0, 3, 4]


NOON_US = 1_496_318_400_000_000
LIES = {
    "a whole number of more bits": ("integer", [5, 2**40], pa.int64(), [5, None]),
    "a number without a sign": ("bigint", [5, 2**64 - 1], pa.uint64(), [5, None]),
    "a day that no calendar has": ("date", [5, 2**31 - 1], pa.date32(), [date(1970, 1, 6), None]),
    "a moment of no year": ("timestamp", [NOON_US, 2**62], pa.timestamp("us"), [NOON, None]),
}


@pytest.mark.parametrize("kind", LIES)
def test_a_footer_that_says_that_every_cell_fits_is_not_believed(dataset, target, rows_of, key, tmp_path, kind):
    declared, cells, of_type, stored = LIES[kind]
    truth, said = (
        pa.table({"person": pa.array([1, 2], pa.int64()), "x": pa.array(each, of_type)})
        for each in (cells, [cells[0], cells[0] + 1])
    )
    source = lying(tmp_path / "rows.parquet", truth, said)
    load(dataset(rows=f"person: bigint; x: {declared}"), {"rows": source}, target=target, key=key)
    assert [x for (x,) in rows_of(target, "rows", "x")] == stored


def test_no_footer_makes_two_units_one(dataset, target, rows_of, key, tmp_path):
    ids, x = pa.array([1, 2**32 + 1, 3], pa.int64()), pa.array([1, 2, 3])
    source = lying(tmp_path / "rows.parquet", pa.table([ids, x], ["person", "x"]), pa.table([x, x], ["person", "x"]))
    load(dataset(rows="person: integer; x: bigint"), {"rows": source}, target=target, key=key)
    assert sorted(rows_of(target, "rows", "person, x")) == [(1, 1), (3, 3)]  # an id that does not fit is nobody's


@pytest.mark.parametrize("table", ["rows", "public_rows"])
def test_a_cell_of_csv_that_does_not_fit_is_empty_and_refuses_no_file(dataset, tmp_path, target, rows_of, key, table):
    kinds = {"n": "bigint", "x": "double", "day": "date", "seen": "timestamp", "open": "boolean", "code": "uuid"}
    whole = ["7", "1.5", "2017-01-02", "2017-01-02 03:04:05", "true", "0" * 8 + "-0000-0000-0000-" + "0" * 12]
    lines = [["1", *whole[:place], "lots", *whole[place + 1 :]] for place in range(6)]
    text = "\n".join([",".join(["person", *kinds]), *(",".join(line) for line in lines)])
    spec = "; ".join(f"{name}: {kind}" for name, kind in kinds.items())
    tables = {"rows": f"person: bigint; {spec}"} | ({} if table == "rows" else {table: spec})
    file = tmp_path / "cells.csv"
    file.write_text(f"{text}\n")
    load(dataset(**tables), dict.fromkeys(tables, file), target=target, key=key)
    counts = rows_of(target, table, ", ".join(f"count({name})" for name in kinds))
    assert counts == [(5,) * 6]
