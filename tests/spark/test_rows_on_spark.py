"""Expressions made at random over the nastiest rows: Spark gives for each row what DuckDB gives, or refuses them."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from both import ADDRESS, PATIENCE_S
from made import Maker
from made_version import KEY, version_of
from neighbours import shop_rows
from row_level import understood
from shop import SHOP

from dpstats.engine.spark.engine import SparkEngine, open_spark
from dpstats.engine.spark.export import exported
from dpstats.plan.sources import table_cte
from dpstats.plan.spark.pieces import NotOnSpark
from dpstats.plan.spark.selects import declared, translate
from dpstats.plan.typed import Kind, Typed

ASKED = 200
AT_ONCE = 50


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return version_of(shop_rows(random.Random(5), 40), SHOP, tmp_path_factory.mktemp("nasty"))


@pytest.fixture(scope="module")
def spark(file: Path) -> Iterator[SparkEngine]:
    engine = open_spark(file, address=ADDRESS, key=KEY, memory_limit_mb=1024, deadline_s=PATIENCE_S)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def duck(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over the very Parquet that Spark reads."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, parquet in exported(file).files.items():
            connection.read_parquet(str(parquet)).create_view(table)
        yield connection


def _query(expressions: Sequence[str]) -> str:
    name, sql = table_cte(SHOP, "visits", list(SHOP.tables["visits"].columns))
    ranked = sql.replace(' FROM "visits"', ', "dp_rank" AS "dp_rank" FROM "visits"')
    cells = ", ".join(f"{each} AS e{place}" for place, each in enumerate(expressions))
    return f'WITH {name} AS ({ranked}) SELECT "uid" AS u, "dp_rank" AS r, {cells} FROM {name} AS "visits"'


def _on_spark(engine: SparkEngine, sql: str) -> dict[tuple[Any, ...], list[Any]]:
    query = translate(sql, declared(SHOP))
    return {(row[0], row[1]): list(row[2:]) for row in engine._session.sql(query.sql, args=dict(query.texts)).collect()}


def _on_duckdb(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[tuple[Any, ...], list[Any]]:
    return {row[:2]: list(row[2:]) for row in connection.execute(sql).fetchall()}


def _comparable(value: Typed) -> str:
    """A time as a number of seconds: Python has no years before the first or past the 9999th."""
    if value.kind not in {Kind.DATE, Kind.TIMESTAMP}:
        return value.sql
    return f"date_diff('second', TIMESTAMP '1970-01-01 00:00:00', TRY_CAST({value.sql} AS TIMESTAMP))"


def _translatable() -> list[tuple[str, str]]:
    """Expressions that both engines say, as written and as SQL."""
    maker, found = Maker(7, shown=False), []
    while len(found) < ASKED:
        expression = maker.any(3)
        known = understood(expression)
        if known is None:
            continue
        sql = _comparable(known[0])
        try:
            translate(_query([sql]), declared(SHOP))
        except NotOnSpark:
            continue
        found.append((expression, sql))
    return found


def test_expressions_made_at_random_are_the_same_on_both_engines(
    spark: SparkEngine, duck: duckdb.DuckDBPyConnection
) -> None:
    asked = _translatable()
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        sql = _query([each for _, each in some])
        theirs, ours = _on_spark(spark, sql), _on_duckdb(duck, sql)
        assert theirs.keys() == ours.keys()
        for row, cells in ours.items():
            for (expression, text), a, b in zip(some, cells, theirs[row], strict=True):
                assert _alike(a, b), (expression, text, row, a, b)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-300)
    if isinstance(a, datetime.datetime) and isinstance(b, datetime.datetime):
        return a == b.replace(tzinfo=None)
    return bool(a == b) and (a is None) == (b is None)
