"""What the engine relies on in DuckDB 2.0: if a newer version behaves otherwise, this says so first."""

from __future__ import annotations

import duckdb
import pytest

from dpstats.engine.locked import CONNECT_CONFIG


@pytest.fixture
def memory():
    with duckdb.connect(":memory:") as connection:
        yield connection


def _one(connection, sql):
    ((value,),) = connection.execute(sql).fetchall()
    return value


def test_a_plain_set_of_the_deadline_does_not_reach_a_cursor_and_a_global_one_does(memory):
    asked = "SELECT current_setting('max_execution_time')"
    memory.execute("SET max_execution_time = 1000")
    assert _one(memory.cursor(), asked) == 0
    memory.execute("SET GLOBAL max_execution_time = 1000")
    assert _one(memory.cursor(), asked) == 1000


def test_other_settings_reach_every_cursor(engine):
    with engine._connection.cursor() as cursor:
        for name, value in {
            "temp_directory": "",
            "TimeZone": "UTC",
            "disabled_optimizers": "top_n_window_elimination",
            "lock_configuration": True,
            "threads": 2,
        }.items():
            assert _one(cursor, f"SELECT current_setting('{name}')") == value


def test_the_usual_three_settings_leave_the_database_file_readable_and_a_spill_folder_writable(version):
    with duckdb.connect(version, read_only=True, config=CONNECT_CONFIG) as connection:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        assert _one(connection, f"SELECT size FROM read_blob('{version}')") == version.stat().st_size
        spill = version.with_name(version.name + ".tmp")
        spill.mkdir()
        connection.execute(f"COPY (SELECT 1) TO '{spill / 'leaked'}' (FORMAT csv)")
        assert (spill / "leaked").is_file()


def test_the_setting_that_closes_the_file_system_is_shown_empty(engine):
    assert _one(engine._connection, "SELECT current_setting('disabled_filesystems')") == ""


def test_a_process_has_one_instance_of_a_file(version):
    with duckdb.connect(version, config=CONNECT_CONFIG) as first:
        first.execute("SET threads = 1")
        with duckdb.connect(version, config=CONNECT_CONFIG) as second:
            assert _one(second, "SELECT current_setting('threads')") == 1


def test_sums_of_whole_numbers_are_128_bits_and_python_gets_them_whole(memory):
    assert _one(memory, "SELECT typeof(sum(x)) FROM (VALUES (1::BIGINT)) t(x)") == "HUGEINT"
    assert _one(memory, "SELECT sum(9223372036854775807) FROM range(1000)") == 1000 * (2**63 - 1)


def test_a_statement_names_its_parameters_and_not_what_looks_like_one(memory):
    (statement,) = memory.extract_statements('SELECT $p_a, \'$p_b\', "$p_c" FROM (SELECT 1 AS "$p_c") -- $p_d')
    assert set(statement.named_parameters) == {"p_a"}


def test_a_hash_does_not_tell_the_widths_of_equal_numbers_apart(memory):
    assert _one(memory, "SELECT hash(5::UBIGINT) = hash(5::INTEGER)")


def test_equal_rows_are_one_group_with_null_too(memory):
    numbered = "SELECT row_number() OVER (PARTITION BY a, b) AS n FROM (VALUES (1, NULL), (1, NULL)) t(a, b)"
    assert _one(memory, f"SELECT max(n) FROM ({numbered})") == 2


def test_adding_zero_turns_minus_zero_into_zero(memory):
    memory.execute("CREATE TABLE t AS SELECT -0.0::DOUBLE AS x")
    assert _one(memory, "SELECT x::VARCHAR FROM t") == "-0.0"
    assert _one(memory, "SELECT (x + CAST(0 AS DOUBLE))::VARCHAR FROM t") == "0.0"


def test_a_failing_cast_prints_its_cell(memory):
    with pytest.raises(duckdb.ConversionException, match="cell"):
        memory.execute("SELECT CAST('cell' AS BIGINT)")


def test_csv_errors_print_the_row_and_its_line(memory, csv_file):
    path = csv_file("a,b\n1,cell\n2\n")
    sql = f"FROM read_csv('{path}', auto_detect = false, header = true, columns = {{'a': 'VARCHAR', 'b': 'VARCHAR'}})"
    with pytest.raises(duckdb.Error, match=r"CSV Error on Line: 3"):
        memory.execute(sql).fetchall()


def test_cursors_of_a_connection_without_a_progress_bar_have_none_even_when_all_is_locked() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET GLOBAL lock_configuration = true")
        with connection.cursor() as cursor:
            assert cursor.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]
