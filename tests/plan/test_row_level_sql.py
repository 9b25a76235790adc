"""Every function and operator that must be understood is, and means to a row what it means to DuckDB."""

from __future__ import annotations

import duckdb
import pytest
from row_level import understood, values
from shop import answer, opened, planned, visit
from tame import TAME, VISITS

from dpstats.plan.typed import Kind

NUMBERS = """
n + 1; n - paid; n * paid; paid / n; n / 2; n // 4; n % 4; big // (n - 1); -n; -(paid); +n; n * 1.5; 1e2 * n
(n + 1) * 2; ABS(n); ABS(wild); ROUND(paid); ROUND(paid, 1); ROUND(paid, -1); ROUND(n, -1); FLOOR(paid)
CEIL(paid); CEILING(wild); LEAST(n, 10); LEAST(n, paid, 3); GREATEST(n, 10); GREATEST(n, paid, big)
LEAST(GREATEST(wild, -5), 5); COALESCE(wild, 0); COALESCE(wild, n, 3); IFNULL(wild, 1); NULLIF(n, 3)
NULLIF(n, paid); NULLIF(paid, 0); CAST(paid AS BIGINT); CAST(paid AS INTEGER); paid::INT
TRY_CAST(word AS DOUBLE); TRY_CAST(word AS INTEGER); CAST(flag AS BIGINT); CAST(paid AS DECIMAL(10, 1))
CAST(n AS DOUBLE); CAST(n AS SMALLINT); TRY_CAST(big AS TINYINT); CAST(n AS FLOAT); n::DECIMAL
CASE WHEN flag THEN n ELSE 0 END; CASE WHEN flag THEN n WHEN n > 5 THEN paid END
CASE n WHEN 9 THEN 1 WHEN 22 THEN 2 ELSE 3 END; CASE WHEN flag THEN NULL ELSE n END
CASE word WHEN 'Apple' THEN 1 END; CASE day WHEN '2017-01-01' THEN 1 ELSE 0 END; LENGTH(word); LEN(word)
CHAR_LENGTH(word); LENGTH(TRIM(word)); EXTRACT(year FROM seen); EXTRACT(month FROM day); EXTRACT(dow FROM day)
EXTRACT('hour' FROM seen); EXTRACT(quarter FROM seen); EXTRACT(week FROM seen); EXTRACT(doy FROM seen)
EXTRACT(isodow FROM day); EXTRACT(minute FROM seen); EXTRACT(second FROM seen); DATE_PART('year', seen)
DATEPART('month', seen); DATE_PART('dayofweek', day); YEAR(day); MONTH(seen); DAY(seen); HOUR(seen)
DAYOFWEEK(seen); DATE_DIFF('day', day, CAST(seen AS DATE)); DATEDIFF('month', day, seen)
DATE_DIFF('hour', seen, day); DATE_DIFF('week', day, seen); CAST(seen AS DATE) - day; day - DATE '2017-01-01'
DATE '2018-01-01' - day
"""
TEXTS = """
LOWER(word); UPPER(word); TRIM(word); SUBSTR(word, 2); SUBSTR(word, 2, 3); SUBSTRING(word FROM 2 FOR 2)
SUBSTRING(word, -2); CONCAT(word, '-', word); CONCAT(word, NULL); CONCAT(n, word); word || '!'
word || '-' || LOWER(word); COALESCE(word, 'none'); CASE WHEN word = '' THEN 'empty' ELSE word END
NULLIF(word, ''); CAST(n AS VARCHAR); CAST(flag AS VARCHAR); CAST(day AS VARCHAR); CAST(seen AS VARCHAR)
CAST(code AS VARCHAR); CAST(word AS VARCHAR(3)); LEAST(word, 'b'); 'o''x'; '"'; '\\'; '$p_x'
"""
CONDITIONS = """
n = 3; n <> 3; n != 3; n < 3; n <= 3; n > 3; n >= 3; n = paid; 3 = n; word = 'Apple'; word > 'b'; flag = TRUE
code = code; flag AND n > 3; flag OR n > 3; NOT flag; NOT (flag AND n > 3); flag AND NULL; flag OR NULL; (flag)
flag IS TRUE; flag IS NOT TRUE; flag IS FALSE; n IS NULL; wild IS NOT NULL; word IS NULL; n BETWEEN 3 AND 9
n NOT BETWEEN 3 AND 9; paid BETWEEN n AND 50; word BETWEEN 'a' AND 'p'; n IN (9, 22, 35); n NOT IN (9, 22)
n IN (9, NULL); paid IN (1, 2.5); word IN ('Apple', '12'); word NOT IN ('Apple'); n IN (-4, -3); word LIKE 'A%'
word NOT LIKE '%p%'; word LIKE '%_b%'; word LIKE 'o''x'; word LIKE '%'; day = '2017-01-04'
day >= DATE '2017-03-01'; day BETWEEN '2017-02-01' AND '2017-06-30'; seen < '2017-05-05'; day < seen
seen >= TIMESTAMP '2017-03-01 10:00:00'; day IN ('2017-01-04', '2017-02-05'); day + INTERVAL 3 DAY > seen
CAST(n AS BOOLEAN); seen >= '2017-03-01 10:00:00'; COALESCE(flag, FALSE); CASE WHEN n > 3 THEN flag END
TRY_CAST(word AS DATE) = '2017-03-05'
"""
TIMES = """
day + 3; day - 3; 3 + day; day + CAST(n AS INTEGER); day + INTERVAL 1 MONTH; day - INTERVAL '2 weeks'
seen + INTERVAL 90 MINUTE; INTERVAL 1 YEAR + day; seen - INTERVAL 3 QUARTER; seen + INTERVAL (3) HOUR
CAST(seen AS DATE); CAST(day AS TIMESTAMP); TRY_CAST(word AS DATE); seen::DATE; DATE_TRUNC('hour', seen)
DATE_TRUNC('minute', seen); LEAST(day, DATE '2017-06-01'); GREATEST(seen, day); COALESCE(seen, day)
CASE WHEN flag THEN day ELSE DATE '2017-01-01' END; NULLIF(day, DATE '2017-01-01')
TIMESTAMP '2017-05-05 10:00:00'
"""
DATES = "day week month quarter year"


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    return opened(TAME)


def listed(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split(";") if part.strip()]


@pytest.mark.parametrize("expression", [e for text in (NUMBERS, TEXTS, CONDITIONS, TIMES) for e in listed(text)])
def test_an_expression_means_what_it_means_to_duckdb(shop: duckdb.DuckDBPyConnection, expression: str) -> None:
    found = understood(expression)
    if expression == "seen + INTERVAL (3) HOUR":
        assert found is None
        return
    assert found is not None
    typed, with_ = found
    ours, plain = values(shop, with_, typed.sql), values(shop, with_, expression)
    assert {kind for kind, _, _ in ours} == {typed.kind.value}
    assert len(ours) == len(plain) == len(VISITS)
    for (_, our_time, a), (_, their_time, b) in zip(ours, plain, strict=True):
        if typed.kind in {Kind.DATE, Kind.TIMESTAMP}:
            assert our_time == their_time
        elif typed.kind is Kind.DOUBLE and a is not None and b is not None:
            assert a == pytest.approx(float(b), rel=1e-12)
        else:
            # A division by zero is NULL, not infinite.
            assert a == b or (a is None and b in {float("inf"), float("-inf")}) or (a is None and b != b)


@pytest.mark.parametrize("unit", DATES.split())
@pytest.mark.parametrize("column", ["day", "seen"])
def test_date_trunc_to_a_day_or_longer_is_a_date(shop: duckdb.DuckDBPyConnection, unit: str, column: str) -> None:
    found = understood(f"DATE_TRUNC('{unit}', {column})")
    assert found is not None
    typed, with_ = found
    assert typed.kind is Kind.DATE
    plain = values(shop, with_, f"CAST(DATE_TRUNC('{unit}', {column}) AS DATE)")
    assert values(shop, with_, typed.sql) == plain


@pytest.mark.parametrize(
    ("x", "bucket"),
    [
        ("-0.1", 0),
        ("0", 1),
        ("9.99", 1),
        ("10", 2),
        ("99.9", 10),
        ("100", 11),
        ("1e300", 11),
        ("-1e300", 0),
        ("NULL::DOUBLE", None),
    ],
)
def test_width_bucket_is_that_of_the_standard(shop: duckdb.DuckDBPyConnection, x: str, bucket: int | None) -> None:
    found = understood(f"WIDTH_BUCKET(CAST({x.removesuffix('::DOUBLE')} AS DOUBLE), 0, 100, 10)")
    assert found is not None
    assert {value for _, _, value in values(shop, found[1], found[0].sql)} == {bucket}
    assert (found[0].low, found[0].high) == (0, 11)


def test_two_spellings_of_one_word_are_one(shop: duckdb.DuckDBPyConnection) -> None:
    """What is loaded is in normal form C, and so is what is written."""
    composed, decomposed = (understood(f"word = '{spelling}'") for spelling in ("ünï", "u\u0308ni\u0308"))
    assert composed == decomposed


@pytest.mark.parametrize(
    ("expression", "low", "high"),
    [
        ("n", -5, 50),
        ("n * paid", -500, 5000),
        ("-n", -50, 5),
        ("ABS(n)", 0, 50),
        ("n + n", -10, 100),
        ("n - paid", -105, 50),
        ("paid / 4", 0, 25),
        ("100 / (n + 10)", 100 / 60, 20),
        ("n // 7", -7, 7),
        ("n % 7", -6, 6),
        ("LEAST(GREATEST(wild, -2), 3)", -2, 3),
        ("GREATEST(LEAST(big, 9), -9)", -9, 9),
        ("COALESCE(n, 77)", -5, 77),
        ("CASE WHEN flag THEN n END", -5, 50),
        ("CASE WHEN flag THEN n ELSE 60 END", -5, 60),
        ("CAST(paid AS INTEGER)", 0, 100),
        ("CAST(flag AS INTEGER)", 0, 1),
        ("TRY_CAST(word AS TINYINT)", -128, 128),
        ("ROUND(paid / 3)", 0, 34),
        ("MONTH(seen)", 1, 12),
        ("WIDTH_BUCKET(wild, 0, 10, 5)", 0, 6),
        ("NULLIF(n, 3)", -5, 50),
        ("(n)", -5, 50),
    ],
)
def test_ranges_follow_from_the_columns_bounds(expression: str, low: float, high: float) -> None:
    found = understood(expression)
    assert found is not None
    assert (found[0].low, found[0].high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    "expression", ["LEAST(big, NULLIF(5, 5))", "GREATEST(big, CASE WHEN 1 = 2 THEN 5 END)", "wild", "wild + 1"]
)
def test_what_may_be_null_bounds_nothing(expression: str) -> None:
    found = understood(expression)
    assert found is not None
    assert not found[0].bounded


def test_texts_joined_again_and_again_do_not_grow_without_end() -> None:
    subqueries = ["s0 AS (SELECT uid, word AS w FROM visits)"]
    subqueries += [f"s{i} AS (SELECT uid, w || w || CONCAT(w, w) AS w FROM s{i - 1})" for i in range(1, 20)]
    plan = planned(
        f"WITH {', '.join(subqueries)} SELECT COUNT(*) AS n FROM s19 WHERE LENGTH(w) = 10000", bounds={"n": [0, 9]}
    )
    assert answer(opened({"visits": [visit(1, word="abc"), visit(1, word=""), visit(2, word="x" * 3000)]}), plan) == [
        [2]
    ]


def test_what_is_no_number_is_left_out_and_what_is_past_its_bounds_is_moved_to_them() -> None:
    """Each value by itself, before any arithmetic: 3 times 1e308 is 3 times the upper bound."""
    nan, inf = float("nan"), float("inf")
    plan = planned(
        "SELECT SUM(paid) AS s, SUM(n * paid) AS p, COUNT(paid) AS c FROM visits",
        bounds={"s": [0, 10000], "p": [-10000, 10000], "c": [0, 9]},
    )
    rows = [visit(1, n=3, paid=paid) for paid in (nan, inf, -inf, None, 1e308, -1e308, 40.0)]
    vectors = answer(opened({"visits": rows}), plan)
    total, times, count = (vector[0] * draw.grid for vector, draw in zip(vectors, plan.draws, strict=True))
    assert (total, times, count) == (140, 420, 3)
    (moved,) = answer(opened({"visits": [visit(1, n=2_000_000, paid=0.5)]}), plan)[1]
    assert moved * plan.draws[1].grid == 25  # n is 50 at most


@pytest.mark.parametrize("unit", DATES.split())
@pytest.mark.parametrize("far", ["5877642-06-25 (BC)", "5881580-07-10"])
def test_the_ends_of_dates_make_nothing_fail(unit: str, far: str) -> None:
    found = understood(f"DATE_DIFF('day', DATE_TRUNC('{unit}', day), DATE '2017-01-01')")
    assert found is not None
    typed, with_ = found
    with opened({"visits": [visit(1, day=far), visit(2, day="2017-01-04")]}) as connection:
        (of_far, of_other) = values(connection, with_, typed.sql)
    assert of_far[2] is None
    assert of_other[2] is not None
