"""Every probe gets out of an open connection, and none out of a locked one."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dpstats.engine import duck
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.probes import Probe, probe, probes, refused
from dpstats.errors import LockdownFailed


@pytest.fixture
def unlocked(version):
    """A connection as DuckDB makes it, to a file that may be written; it does not reach for the network."""
    with duckdb.connect(version, config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("CREATE TEMP MACRO getenv(name) AS 'what a DuckDB with getenv would say'")
        yield connection


NAMES = [attempt.name for attempt in probes(Path("any.duckdb"))]


@pytest.mark.parametrize("name", NAMES)
def test_on_an_open_connection_the_probe_gets_through(unlocked, version, name):
    (attempt,) = [one for one in probes(version) if one.name == name]
    assert not refused(unlocked, attempt)


@pytest.mark.parametrize("name", NAMES)
def test_on_a_locked_connection_the_probe_is_refused(engine, version_once, name):
    (attempt,) = [one for one in probes(version_once) if one.name == name]
    assert refused(engine._connection, attempt)
    assert refused(engine._connection.cursor(), attempt)


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_an_open_connection_is_reported_with_the_name_of_the_probe(unlocked, version):
    with pytest.raises(LockdownFailed, match=r"let a probe through \(read_blob of the database file\)"):
        probe(unlocked, version)


def test_what_the_probes_left_behind_is_removed(unlocked, version):
    own_log = version.with_name(version.name + ".wal")  # of this connection, which may write
    before = set(version.parent.iterdir())
    tables = unlocked.execute("SHOW TABLES").fetchall()
    for attempt in probes(version):
        refused(unlocked, attempt)
    assert set(version.parent.iterdir()) - {own_log} == before
    assert unlocked.execute("SHOW TABLES").fetchall() == tables


def test_a_probe_that_fails_for_another_reason_than_the_lock_counts_as_let_through(engine):
    misspelled = Probe("any", "SELEKT 1")
    assert not refused(engine._connection, misspelled)


@pytest.mark.parametrize("missing", ["enable_external_access", "lock_configuration", "temp_directory", "all"])
def test_an_engine_with_a_setting_left_out_does_not_open(version, key, missing):
    connection = duckdb.connect(version, read_only=True, config=CONNECT_CONFIG)
    with connection:
        for name, value in {
            "temp_directory": "''",
            "enable_external_access": "false",
            "disabled_filesystems": "'LocalFileSystem'",
            "lock_configuration": "true",
        }.items():
            if missing not in (name, "all"):
                connection.execute(f"SET GLOBAL {name} = {value}")
        with pytest.raises(LockdownFailed):
            probe(connection, version)


def test_an_instance_that_was_locked_before_it_was_closed_is_not_served(version, key):
    with duckdb.connect(version, read_only=True, config=CONNECT_CONFIG) as connection:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        with pytest.raises(LockdownFailed):
            duck.open_engine(version, key=key)
    duckdb.connect(version).close()  # the refused engine's connection is closed too
