"""Engines open when asked for, are shared, and close when a newer version is asked for and nobody runs on them."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from dpstats.engine.noise import _open
from dpstats.engine.versions import Engines
from dpstats.errors import FileError, Unavailable

COUNT = "SELECT 0 AS g, count(*) AS d0 FROM rows"


@pytest.fixture
def engines(version, key):
    for name in ("v1", "v2", "v3"):
        shutil.copy(version, version.parent / f"{name}.duckdb")
    made = Engines(version.parent, key, threads=1, datasets_open=2)
    yield made
    made.close()


@pytest.fixture
def is_open(version):
    """Whether this process has a version's file open: DuckDB then refuses to open it otherwise."""

    def ask(name):
        try:
            duckdb.connect(version.parent / name).close()
        except duckdb.ConnectionException:
            return True
        return False

    return ask


def test_an_engine_stays_open_for_the_next_run(engines, is_open):
    assert not is_open("v1.duckdb")
    with engines.using("people", "v1.duckdb") as first:
        pass
    assert is_open("v1.duckdb")
    with engines.using("people", "v1.duckdb") as second:
        assert second is first


def test_an_old_version_closes_when_a_newer_is_asked_for(engines, is_open):
    with engines.using("people", "v1.duckdb"):
        pass
    with engines.using("people", "v2.duckdb"):
        assert not is_open("v1.duckdb")


def test_a_version_that_somebody_runs_on_closes_after_that(engines, is_open, plan):
    p = plan(COUNT)
    with engines.using("people", "v1.duckdb") as old:
        with engines.using("people", "v2.duckdb") as new:
            assert _open(p, new.run(p)) == _open(p, old.run(p)) == ((30,),)
        assert is_open("v1.duckdb")
    assert not is_open("v1.duckdb")
    assert is_open("v2.duckdb")


def test_datasets_do_not_close_each_other(engines, is_open):
    with engines.using("people", "v1.duckdb"), engines.using("others", "v2.duckdb"):
        pass
    assert is_open("v1.duckdb")
    assert is_open("v2.duckdb")


def test_the_dataset_not_asked_for_longest_closes_when_there_are_too_many(engines, is_open):
    for dataset, file in (("a", "v1"), ("b", "v2"), ("a", "v1"), ("c", "v3")):
        with engines.using(dataset, f"{file}.duckdb"):
            pass
    assert [is_open(f"v{i}.duckdb") for i in (1, 2, 3)] == [True, False, True]


def test_a_run_that_fails_gives_the_engine_back(engines, is_open, plan):
    p = plan("SELEKT")
    with pytest.raises(Unavailable), engines.using("people", "v1.duckdb") as engine:
        engine.run(p)
    with engines.using("people", "v2.duckdb"):
        assert not is_open("v1.duckdb")


def test_a_file_that_is_not_there_changes_nothing(engines, is_open):
    with engines.using("people", "v1.duckdb"):
        pass
    with pytest.raises(FileError), engines.using("people", "v9.duckdb"):
        pass
    assert is_open("v1.duckdb")


def test_closing_waits_for_the_last_run_and_then_nothing_opens(engines, is_open, plan):
    p = plan(COUNT)
    with engines.using("people", "v1.duckdb") as engine:
        engines.close()
        assert _open(p, engine.run(p)) == ((30,),)
    assert not is_open("v1.duckdb")
    with pytest.raises(Unavailable), engines.using("people", "v1.duckdb"):
        pass


def test_many_threads_run_while_versions_change(engines, is_open, plan):
    p = plan(COUNT)

    def run(i):
        with engines.using("people", f"v{1 + i // 20 % 3}.duckdb") as engine:
            return _open(p, engine.run(p))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(120))) == {((30,),)}
    assert [is_open(f"v{i}.duckdb") for i in (1, 2, 3)].count(True) == 1
