"""Keys that the query's own binning declares: exactly the values that DuckDB can give, empty bins included."""

from __future__ import annotations

import math
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from market import exact, opened, planned, reasons

from dpstats.plan.build import truncated_dates

NAN, INF = float("nan"), float("inf")
START = datetime.fromisoformat("1996-01-01")
UNITS = ("day", "week", "month", "quarter", "year")
WINDOW = {
    "parameters": {
        "since": {"type": "date", "min": date(2016, 1, 1), "max": date(2018, 12, 31), "default": date(2016, 12, 30)},
        "until": {"type": "date", "min": date(2016, 1, 1), "max": date(2018, 12, 31), "default": date(2017, 3, 2)},
    },
    "window": {"from": "$since", "until": "$until"},
}
KEPT = "WHERE at >= $since AND at < $until"


def values(key: str, table: str = "people", **parts: Any) -> tuple[Any, ...]:
    """The values that the key's own expression declares."""
    given_parts = {"contribution": {"max_norm": 3}} | parts
    return planned(f"SELECT {key} AS k, COUNT(*) AS m FROM {table} GROUP BY k", **given_parts).keys[0].values


def refused(key: str, table: str = "people", **parts: Any) -> bool:
    given_parts = {"contribution": {"max_norm": 3}} | parts
    why = reasons(f"SELECT {key} AS k, COUNT(*) AS m FROM {table} GROUP BY k", **given_parts)
    return "the values of the key k are not declared" in why


def asked(connection: duckdb.DuckDBPyConnection, key: str, table: str) -> set[Any]:
    """The values that DuckDB itself gives to the expression."""
    rows = connection.execute(f"SELECT DISTINCT TRY({key}) FROM {table}").fetchall()
    return {row[0] for row in rows if row[0] is not None}


# -- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("CASE WHEN age < 18 THEN 'minor' WHEN age < 65 THEN 'adult' ELSE 'senior' END", ("adult", "minor", "senior")),
        ("CASE WHEN age < 18 THEN 'minor' END", ("minor",)),
        ("CASE age WHEN 1 THEN 'one' ELSE NULL END", ("one",)),
        ("CASE WHEN age < 18 THEN 'x' ELSE CASE WHEN age < 65 THEN 'y' ELSE 'x' END END", ("x", "y")),
        ("CASE WHEN age < 18 THEN 'e\u0301' ELSE '\u00e9' END", ("\u00e9",)),
        ("CASE WHEN age < 18 THEN 'o''x \"\U0001f389' ELSE '' END", ("", "o'x \"\U0001f389")),
        ("band", ("high", "low", "mid")),
        ("COALESCE(band, 'none')", ("high", "low", "mid", "none")),
        ("CASE WHEN age < 18 THEN 'minor' ELSE band END", ("high", "low", "mid", "minor")),
        ("CASE WHEN age < 18 THEN 1 ELSE 3 END", (1, 2, 3)),
    ],
)
def test_literals_and_declared_columns_declare_themselves(key: str, expected: tuple[Any, ...]) -> None:
    assert values(key) == expected


@pytest.mark.parametrize(
    "key", ["LOWER(band)", "band || 'x'", "SUBSTR(band, 1, 1)", "CASE WHEN age < 18 THEN 'x' ELSE LOWER(band) END"]
)
def test_text_that_is_computed_must_be_declared(key: str) -> None:
    assert refused(key)


def test_a_value_past_those_that_the_file_declares_is_dropped_row_by_row() -> None:
    plan = planned("SELECT COALESCE(band, 'none') AS k, COUNT(*) AS m FROM people GROUP BY k")
    people = [{"uid": i, "band": band} for i, band in enumerate(("low", "surprise", None, "low", ""))]
    assert exact(opened([], people), plan) == {("low",): (2,), ("none",): (1,)}
    assert plan.groups == 4


def test_declared_keys_go_before_those_of_the_binning() -> None:
    key = "CASE WHEN age < 18 THEN 'minor' ELSE 'other' END"
    assert values(key, keys={"k": {"values": ["minor"]}}) == ("minor",)


# -- numbers and booleans --------------------------------------------------------------------------------------------

WHOLE = [
    "age", "age // 10", "age % 7", "(age - 60) // 7", "(age - 60) % 7", "-age", "age // -10", "age % 1",
    "age // (age - 200)", "CAST(age > 3 AS INTEGER)", "CAST(FLOOR(age / 10) AS BIGINT)", "LEAST(age, 12)",
    "CAST(ROUND(age / 10) AS BIGINT)", "GREATEST(age, 100)", "ABS(age - 60)", "NULLIF(age, 5)",
    "age + CASE WHEN age > 100 THEN 1000 ELSE 0 END",
]  # fmt: skip


@pytest.mark.parametrize("key", WHOLE)
def test_bins_of_whole_numbers_hold_every_value_that_rows_give(key: str) -> None:
    declared = values(key)
    people = [{"uid": i, "age": age} for i, age in enumerate((*range(120), None))]
    found = asked(opened([], people), key, "people")
    assert found
    assert found <= set(declared)
    assert declared == tuple(range(declared[0], declared[-1] + 1))


@pytest.mark.parametrize(
    ("key", "first", "last"),
    [("age // 10", 0, 11), ("age % 7", 0, 6), ("(age - 60) % 7", -6, 6), ("(age - 60) // 7", -8, 8), ("age", 0, 119)],
)
def test_bins_end_where_values_do(key: str, first: int, last: int) -> None:
    declared = values(key)
    assert (declared[0], declared[-1]) == (first, last)


@pytest.mark.parametrize(
    "part", ["quarter", "month", "week", "day", "dow", "isodow", "doy", "hour", "minute", "second"]
)
def test_parts_of_a_moment_declare_every_value_that_they_have(part: str) -> None:
    some = [START + timedelta(days=n, hours=n % 24, minutes=n % 60, seconds=n % 60) for n in range(4000)]
    ends = ("0001-01-01", "9999-12-31 23:59:59.999999", "2000-12-31", "2004-12-31")
    key = f'EXTRACT({part} FROM "at")'
    rows = [{"uid": 1, "at": at} for at in (*some, *map(datetime.fromisoformat, ends))]
    found = asked(opened(rows), key, "sales")
    assert found == set(values(key, "sales"))


@pytest.mark.parametrize(
    "key", ["YEAR(at)", "n * n * n", "LENGTH(item)", "CAST(wild AS BIGINT)", "wild", "CAST(item AS INTEGER)"]
)
def test_numbers_without_a_small_range_must_be_declared(key: str) -> None:
    why = reasons(f"SELECT {key} AS k, COUNT(*) AS m FROM sales GROUP BY k", contribution={"max_norm": 3})
    assert "not declared" in why or "a key of type" in why


def test_a_boolean_has_two_values_and_null_is_neither() -> None:
    plan = planned("SELECT flag AS k, COUNT(*) AS m FROM sales GROUP BY k", contribution={"max_norm": 9})
    assert plan.keys[0].values == (False, True)
    assert exact(opened([{"uid": 1, "flag": flag} for flag in (True, None, True)]), plan) == {(True,): (2000,)}


@given(x=st.one_of(st.floats(), st.floats(-30, 130), st.sampled_from([0.0, -0.0, 100.0, 99.99999999999999, 1e308])))
@settings(max_examples=100, deadline=None)
def test_width_bucket_gives_a_declared_bin_to_every_number(x: float) -> None:
    declared = values("WIDTH_BUCKET(wild, 0, 100, 7)", "sales")
    assert declared == tuple(range(9))
    expected = None if not math.isfinite(x) else 0 if x < 0 else 8 if x >= 100 else min(7, 1 + int(x * 7 / 100))
    assert buckets().execute("SELECT width_bucket_of(?)", [x]).fetchone() == (expected,)


_BUCKETS: list[duckdb.DuckDBPyConnection] = []


def buckets() -> duckdb.DuckDBPyConnection:
    """DuckDB with the plan's own expression for `WIDTH_BUCKET(wild, 0, 100, 7)` as a macro."""
    if not _BUCKETS:
        plan = planned(
            "SELECT WIDTH_BUCKET(wild, 0, 100, 7) AS k, COUNT(*) AS m FROM sales GROUP BY k",
            contribution={"max_norm": 3},
        )
        written = plan.sql.partition(" AS u, ")[2].partition(" AS k0")[0]
        saturated = "CASE WHEN isfinite(x) THEN x END"
        expression = written.replace('"sales"."wild"', f"({saturated})")
        connection = duckdb.connect()
        connection.execute(f"CREATE MACRO width_bucket_of(x) AS ({expression})")
        _BUCKETS.append(connection)
    return _BUCKETS[0]


# -- dates of the window ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("since", "until"),
    [
        (date(2016, 12, 30), date(2017, 3, 2)),
        (date(1, 1, 1), date(1, 2, 3)),
        (date(9998, 12, 25), date(9999, 12, 31)),
        (date(2020, 2, 29), date(2020, 3, 1)),
    ],
)
def test_truncated_dates_are_those_of_duckdb(unit: str, since: date, until: date) -> None:
    days = "SELECT unnest(generate_series(?::DATE, ?::DATE - 1, INTERVAL 1 DAY)) AS d"
    sql = f"SELECT DISTINCT date_trunc(?, d)::DATE FROM ({days}) ORDER BY 1"
    assert truncated_dates(unit, since, until) == [
        row[0] for row in duckdb.execute(sql, [unit, since, until]).fetchall()
    ]


@pytest.mark.parametrize("unit", UNITS)
def test_a_time_series_declares_the_dates_of_its_window(unit: str) -> None:
    sql = f"SELECT DATE_TRUNC('{unit}', at) AS k, COUNT(*) AS m FROM sales {KEPT} GROUP BY k"
    plan = planned(sql, contribution={"max_norm": 1000}, **WINDOW)
    rows = [{"uid": 1, "at": datetime.fromisoformat("2016-12-01") + timedelta(hours=7 * n)} for n in range(400)]
    found = exact(opened(rows), plan)
    assert {group for (group,) in found} == set(plan.keys[0].values)
    assert sum(value for (value,) in found.values()) == 1000 * sum(
        date(2016, 12, 30) <= row["at"].date() < date(2017, 3, 2) for row in rows
    )


def test_a_time_series_follows_its_parameters_and_is_empty_where_there_is_nothing() -> None:
    sql = f"SELECT DATE_TRUNC('month', at) AS k, COUNT(*) AS m FROM sales {KEPT} GROUP BY k"
    given_dates = {"since": "2018-01-15", "until": "2018-04-01"}
    plan = planned(sql, contribution={"max_norm": 3}, given=given_dates, **WINDOW)
    assert plan.keys[0].values == (date(2018, 1, 1), date(2018, 2, 1), date(2018, 3, 1))
    assert exact(opened([]), plan) == {}


def test_a_date_without_a_window_must_be_declared() -> None:
    parameters = {"parameters": WINDOW["parameters"]}
    assert refused("DATE_TRUNC('month', at)", f"sales {KEPT}", **parameters)
    assert refused("DATE_TRUNC('hour', at)", f"sales {KEPT}", **WINDOW)
    assert refused("day", f"sales {KEPT}", **WINDOW)


def test_bins_of_several_keys_make_every_group() -> None:
    keys = "WIDTH_BUCKET(age, 0, 100, 4) AS b, CASE WHEN age < 18 THEN 'minor' ELSE 'adult' END AS k"
    plan = planned(f"SELECT {keys}, COUNT(*) AS m FROM people GROUP BY ALL")
    assert plan.groups == 6 * 2
    assert exact(opened([], [{"uid": 1, "age": 30}, {"uid": 2, "age": None}]), plan) == {(2, "adult"): (1,)}
