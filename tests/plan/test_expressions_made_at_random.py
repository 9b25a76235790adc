"""Expressions made at random, over the nastiest rows: none raises, each keeps to its kind and range, and where plain
DuckDB has an answer it is the same."""

from __future__ import annotations

import datetime
import math
import random
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from made import Maker
from neighbours import shop_rows, shuffled
from row_level import understood, values
from shop import answer, opened, planned

from dpstats.errors import QueryRefused
from dpstats.plan.typed import Kind, Typed

ROWS = shop_rows(random.Random(5), 40)


@pytest.fixture(scope="module")
def nasty() -> duckdb.DuckDBPyConnection:
    return opened(ROWS)


@pytest.fixture(scope="module")
def reordered() -> duckdb.DuckDBPyConnection:
    return opened(shuffled(random.Random(6), ROWS), threads=4)


@pytest.mark.parametrize("seed", range(6))
def test_no_expression_raises_leaves_its_kind_or_its_range_or_differs_from_duckdb(
    nasty: duckdb.DuckDBPyConnection, seed: int
) -> None:
    maker, asked = Maker(seed, shown=False), 0
    for _ in range(70):
        expression = maker.any(3)
        found = understood(expression)
        if found is None:
            continue
        asked += 1
        typed, with_ = found
        rows = values(nasty, with_, typed.sql)
        _check_kind_and_range(expression, typed, rows)
        try:
            plain = values(nasty, with_, f"TRY({expression})")
        except duckdb.Error:
            continue  # DuckDB hoists what may raise out of TRY; ours must not, its may
        assert len(plain) == len(rows)
        differing = [pair for pair in zip(rows, plain, strict=True) if not _alike(*pair)]
        assert not differing, (expression, differing[0])
    assert asked > 40


def _check_kind_and_range(expression: str, typed: Typed, rows: list[tuple[Any, ...]]) -> None:
    if typed.kind is not Kind.NULL:
        assert {kind for kind, _, _ in rows} == {typed.kind.value}, expression
    for _, _, value in rows:
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert math.isfinite(value), expression
            assert typed.low <= value <= typed.high, (expression, value)


def _alike(ours: tuple[Any, ...], plain: tuple[Any, ...]) -> bool:
    """Whether two cells agree where both have a value; a date and a midnight are alike, decimals are doubles."""
    (_, our_time, a), (_, their_time, b) = ours, plain
    if a is None or b is None:
        return True
    if our_time is not None and their_time is not None:
        return bool(our_time.removesuffix(" 00:00:00") == their_time.removesuffix(" 00:00:00"))
    if isinstance(b, float | Decimal) or isinstance(a, float):
        return not math.isfinite(b) or math.isclose(a, float(b), rel_tol=1e-9, abs_tol=1e-300)
    if isinstance(b, datetime.date):
        return str(a)[:10] == str(b)[:10]
    return bool(a == b)


TOP = """
SELECT {text} AS k, SUM(LEAST(GREATEST({number}, -10), 10)) AS s, AVG({number}) AS a,
  COUNT(*) FILTER (WHERE {bool}) AS n, SUM(LEAST(GREATEST({other}, -1), 5)) FILTER (WHERE {bool}) AS z
FROM visits JOIN people USING (uid) WHERE {where} AND ({number} > 0 OR {bool}) GROUP BY 1
"""
PER_UNIT = """
WITH c AS (
  SELECT uid, {text} AS t, MIN({number}) AS least, MAX({other}) AS most, MIN({text}) AS word, MAX({time}) AS last,
    COUNT({number}) AS many, SUM(LEAST(GREATEST({other}, -1e6), 1e6)) AS total, COUNT(DISTINCT {other}) AS kinds,
    AVG(LEAST(GREATEST({number}, 0), 100)) FILTER (WHERE {bool}) AS mean
  FROM visits WHERE {where} GROUP BY uid, {text})
SELECT CAST(least AS VARCHAR) AS k, SUM(LEAST(GREATEST(least * most, -9), 9)) AS s, AVG(total / many + mean) AS a,
  COUNT(*) FILTER (WHERE last > '2017-01-01' OR word < t) AS n, SUM(kinds) AS z
FROM c LEFT JOIN people h ON c.uid = h.uid AND h.age > c.least GROUP BY k
"""
KEYS = ["a", "A", "", "x", "NaN", "0.0", "-0.0", "10.0", "0", "1", "inf", "-10.0", "100.0"]


@pytest.mark.parametrize("form", [TOP, PER_UNIT])
@pytest.mark.parametrize("seed", range(2))
def test_no_plan_raises_or_hangs_on_the_order_of_rows(
    nasty: duckdb.DuckDBPyConnection, reordered: duckdb.DuckDBPyConnection, form: str, seed: int
) -> None:
    maker, answered = Maker(seed), 0
    for _ in range(25):
        parts = {kind: maker.of(kind, 2) for kind in ("text", "number", "bool", "time")}
        sql = form.format(**parts, other=maker.of("number", 2), where=maker.of("bool", 2))
        try:
            plan = planned(
                sql,
                keys={"k": {"values": KEYS}},
                bounds={"s": [-100, 100], "a": [-5, 50], "n": [0, 20], "z": [-3, 7]},
                contribution={"max_groups": 3, "max_rows": 4},
            )
        except QueryRefused:
            continue
        answered += 1
        assert answer(nasty, plan) == answer(reordered, plan), sql
    assert answered > 10
