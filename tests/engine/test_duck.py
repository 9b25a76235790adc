"""A plan on a locked data version: dense whole numbers, or one error that says nothing."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest

from dpstats.catalog.canonical import load_fingerprint
from dpstats.engine.duck import open_engine
from dpstats.engine.load import load
from dpstats.engine.noise import _open
from dpstats.errors import FileError, NotFound, Unavailable

GROUPED = "SELECT x % 10 AS g, count(*)::HUGEINT AS d0, sum(x) AS d1 FROM rows GROUP BY 1"
SLOW = "SELECT 0 AS g, count(*) AS d0 FROM range(100000) a, range(100000) b, range(100000) c WHERE hash(a, b, c) = 1"
PLANTED = 918_273_645


def _exact(engine, plan):
    return _open(plan, engine.run(plan))


def test_a_group_without_rows_is_zero(engine, plan):
    p = plan(GROUPED, keys=[("BIGINT", range(5))], draws=2)
    assert _exact(engine, p) == ((10, 10, 10, 0, 0), (450, 460, 470, 0, 0))


def test_the_columns_are_found_by_name(engine, plan):
    p = plan("SELECT 7::HUGEINT AS d1, 3::BIGINT AS d0, 0 AS g", draws=2)
    assert _exact(engine, p) == ((3,), (7,))


def test_numbers_beyond_64_bits_stay_exact(engine, plan):
    big = 2**126 + 1
    assert _exact(engine, plan(f"SELECT 0 AS g, {big}::HUGEINT AS d0")) == ((big,),)


def test_a_sum_over_no_values_is_zero(engine, plan):
    assert _exact(engine, plan("SELECT 0 AS g, sum(x) AS d0 FROM rows WHERE false")) == ((0,),)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT -1 AS g, 1 AS d0",
        "SELECT 1 AS g, 1 AS d0",
        "SELECT NULL AS g, 1 AS d0",
        "SELECT 0.0::DOUBLE AS g, 1 AS d0",
        "SELECT true AS g, 1 AS d0",
        "SELECT 0 AS g, 1.0::DOUBLE AS d0",
        "SELECT 0 AS g, 'x' AS d0",
        "SELECT unnest([0, 0]) AS g, 1 AS d0",
        "SELECT 0 AS g",
        "SELECT 1 AS d0",
        "SELECT 0 AS g, 1 AS d0; SELECT 0 AS g, 1 AS d0",
        "SELECT 0 AS g, $p_unknown AS d0",
        "SELECT 0 AS g, $k_0 AS d0",
        "SELECT 0 AS g, ? AS d0",
        "SELECT 0 AS g, x AS d0 FROM nowhere",
        "CREATE TEMP TABLE t AS SELECT 0 AS g, 1 AS d0",
        "DELETE FROM rows",
        "SELEKT",
        "",
    ],
)
def test_whatever_is_not_an_answer_of_the_plan_is_unavailable(engine, plan, sql):
    with pytest.raises(Unavailable):
        engine.run(plan(sql))


def test_parameters_are_bound(engine, plan):
    p = plan(
        "SELECT 0 AS g, count(*) AS d0 FROM rows "
        "WHERE x >= $p_low AND $p_day = DATE '2017-01-02' AND $p_text = 'it''s; é'",
        low=50,
        day=date(2017, 1, 2),
        text="it's; é",
        unused=1,
    )
    assert _exact(engine, p) == ((15,),)


def test_text_that_looks_like_a_bind_name_is_not_one(engine, plan):
    p = plan("SELECT 0 AS g, count(*) AS d0, '$k_0' AS \"$p_nothing\" FROM rows -- $k_1\n")
    assert _exact(engine, p) == ((30,),)


@pytest.mark.parametrize(
    ("sql_type", "values"),
    [
        ("VARCHAR", ("", "é", "it's", 'say "x"', "東京")),
        ("BIGINT", (-(2**63), 1, 2**63 - 1)),
        ("INTEGER", (-1, 0, 1)),
        ("DECIMAL(10,2)", (Decimal("-1.50"), Decimal("12345678.25"))),
        ("DOUBLE", (Decimal("0.1"), Decimal("1E+20"))),
        ("BOOLEAN", (False, True)),
        ("DATE", (date(2017, 1, 1), date(2018, 1, 1))),
        ("TIMESTAMP", (datetime.fromisoformat("2017-01-01"), datetime.fromisoformat("2017-01-01T12:30:00.000001"))),
        ("UUID", ("5e1d5c3c-1f7c-4b3e-9d5f-000000000000",)),
    ],
)
def test_key_values_are_bound_as_lists_of_their_type(engine, plan, sql_type, values):
    sql = f"""
        SELECT i - 1 AS g, (k = text::{sql_type})::INTEGER AS d0
        FROM (SELECT unnest($k_0) AS k, unnest(split($p_texts, chr(10))) AS text, generate_subscripts($k_0, 1) AS i)"""
    p = plan(sql, keys=[(sql_type, values)], texts="\n".join(str(value) for value in values))
    assert _exact(engine, p) == ((1,) * len(values),)


def test_the_sampling_key_is_a_64_bit_number_of_the_workspaces_key(version, key, plan):
    sql = "SELECT 0 AS g, $dp_key::HUGEINT AS d0, (typeof($dp_key) = 'UBIGINT')::INTEGER AS d1"
    p = plan(sql, draws=2)
    numbers = []
    for secret in (key, bytes(32)):
        one = open_engine(version, key=secret)
        numbers.append(_exact(one, p))
        one.close()
    (first, typed), (second, _) = numbers
    assert first != second
    assert typed == (1,)
    assert 2**32 < first[0] < 2**64


@pytest.fixture
def planted(dataset, parquet, target):
    """An engine over one row that holds the planted number."""
    source = parquet({"person": [1], "x": [PLANTED]})
    load(dataset(rows="person: bigint; x: bigint"), {"rows": source}, target=target, key=bytes(32))
    engine = open_engine(target, key=bytes(32))
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "failing",
    [
        "SELECT 0 AS g, CAST('cell ' || x AS BIGINT) AS d0 FROM rows",
        "SELECT 0 AS g, error('cell ' || x) AS d0 FROM rows",
        "SELECT x AS g, 1 AS d0 FROM rows",
        "SELECT 0 AS g, x + 0.5::DOUBLE AS d0 FROM rows",
        "SELECT 0 AS g, sum(x::HUGEINT * 170141183460469231731687303715884) AS d0 FROM rows",
    ],
)
def test_an_error_holds_nothing_that_was_read(planted, plan, failing, everything_said, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unavailable) as caught:
        planted.run(plan(failing))
    assert str(PLANTED) not in everything_said(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_the_planted_number_would_be_found_in_what_duckdb_says(planted, everything_said):
    with pytest.raises(duckdb.Error) as caught:
        planted._connection.execute("SELECT CAST('cell ' || x AS BIGINT) FROM rows").fetchall()
    assert str(PLANTED) in everything_said(caught.value)


def test_the_message_of_every_failure_is_the_same(engine, plan):
    messages = set()
    for sql in ("SELEKT", "SELECT 0 AS g, error('x') AS d0", "SELECT 5 AS g, 1 AS d0"):
        with pytest.raises(Unavailable) as caught:
            engine.run(plan(sql))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_a_slow_plan_ends_at_the_deadline(open_version, plan):
    engine = open_version(deadline_s=0.4)
    for _ in range(2):  # on two cursors, one after the other
        start = time.monotonic()
        with pytest.raises(Unavailable):
            engine.run(plan(SLOW))
        assert 0.3 < time.monotonic() - start < 60  # it would take hours
    assert _exact(engine, plan("SELECT 0 AS g, count(*) AS d0 FROM rows")) == ((30,),)


def test_a_slow_plan_does_not_stop_another(open_version, plan):
    engine = open_version(deadline_s=5)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(engine.run, plan(SLOW))
        time.sleep(0.05)
        assert _exact(engine, plan("SELECT 0 AS g, count(*) AS d0 FROM rows")) == ((30,),)
        assert not slow.done()
        assert isinstance(slow.exception(), Unavailable)


def test_a_plan_that_needs_too_much_memory_is_unavailable_and_spills_nothing(open_version, plan, version):
    engine = open_version(memory_limit_mb=20)
    with pytest.raises(Unavailable):
        engine.run(plan("SELECT 0 AS g, count(*) AS d0 FROM (SELECT DISTINCT hash(range) FROM range(5000000))"))
    assert list(version.parent.iterdir()) == [version]
    assert _exact(engine, plan("SELECT 0 AS g, count(*) AS d0 FROM rows")) == ((30,),)


def test_the_deadline_and_the_memory_limit_end_a_plan_in_the_same_words(open_version, plan):
    engine = open_version(deadline_s=0.4, memory_limit_mb=20)
    big = "SELECT 0 AS g, count(*) AS d0 FROM (SELECT DISTINCT hash(range) FROM range(5000000))"
    told = set()
    for sql in (SLOW, big, "SELECT 0 AS g, error('x') AS d0"):
        with pytest.raises(Unavailable) as caught:
            engine.run(plan(sql))
        told.add((str(caught.value), caught.value.args, caught.value.__context__))
    assert told == {(str(Unavailable()), Unavailable().args, None)}


COUNT = "SELECT max(n) FROM (SELECT count(*) AS n FROM public_shops WHERE shop <> $p_x GROUP BY shop)"


def test_public_rows_are_counted_with_the_parameters_given(engine):
    assert [engine.public_count(COUNT, {"x": x, "unused": 1}) for x in ("A", "B", "A")] == [1, 2, 1]


@pytest.mark.parametrize("table", ["rows", "dp_meta", "public_shops, rows", "(SELECT (SELECT count(*) FROM rows))"])
def test_nothing_but_public_tables_is_counted(engine, table):
    with pytest.raises(NotFound):
        engine.public_count(f"SELECT count(*) FROM {table}", {})


@pytest.mark.parametrize("sql", ["SELECT no FROM public_shops", "SELEKT", "SELECT shop FROM public_shops"])
def test_what_cannot_be_counted_is_unavailable(engine, sql):
    with pytest.raises(Unavailable):
        engine.public_count(sql, {})


def test_many_threads_share_an_engine(engine, plan):
    p = plan(GROUPED, keys=[("BIGINT", range(5))], draws=2)
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: _exact(engine, p), range(64)))
    assert answers == {((10, 10, 10, 0, 0), (450, 460, 470, 0, 0))}


def test_public_values_are_sorted_and_written_as_the_catalog_writes_them(engine):
    assert engine.public_values("public_shops", "shop") == ("A", "B", "it's", "é")
    assert engine.public_values("public_shops", "size") == (
        Decimal("0.1"),
        Decimal("1.5"),
        Decimal("2.0"),
        Decimal("1E+20"),
    )
    assert engine.public_values("public_shops", "code")[0] == "5e1d5c3c-1f7c-4b3e-9d5f-000000000000"


@pytest.mark.parametrize(
    ("table", "column"),
    [("rows", "x"), ("public_shops", "nothing"), ("nowhere", "x"), ("dp_meta", "value"), ('public_shops" --', "shop")],
)
def test_values_of_anything_else_are_not_given(engine, table, column):
    with pytest.raises(NotFound):
        engine.public_values(table, column)


def test_the_fingerprint_is_the_loaded_datasets(engine, dataset):
    spec = dataset(rows="person: bigint; x: bigint", public_shops="shop: varchar; size: double; code: uuid")
    assert engine.fingerprint == load_fingerprint(spec)


def test_a_file_may_be_open_twice(version, key, plan):
    first, second = open_engine(version, key=key), open_engine(version, key=key)
    first.close()
    assert _exact(second, plan("SELECT 0 AS g, count(*) AS d0 FROM rows")) == ((30,),)
    second.close()


def test_what_is_not_a_data_version_does_not_open(tmp_path, key, version):
    garbage, folder, database = tmp_path / "garbage", tmp_path / "folder", tmp_path / "other.duckdb"
    garbage.write_bytes(b"918273645" * 5000)
    folder.mkdir()
    duckdb.connect(database).close()
    for path in (garbage, folder, database, tmp_path / "missing"):
        with pytest.raises(FileError, match="data version") as caught:
            open_engine(path, key=key)
        assert caught.value.__context__ is None
    with duckdb.connect(version) as connection:
        connection.execute("UPDATE dp_meta SET value = '0' WHERE key = 'format'")
    with pytest.raises(FileError, match="not a data version of format 2"):
        open_engine(version, key=key)


def test_a_refused_file_is_closed_again(tmp_path, key):
    database = tmp_path / "other.duckdb"
    duckdb.connect(database).close()
    with pytest.raises(FileError):
        open_engine(database, key=key)
    duckdb.connect(database).close()  # in one process, DuckDB refuses this while the file is open otherwise
