"""Files of what is kept at rest: whole, of one data version, and no better or worse than the plan's own SQL."""

from __future__ import annotations

import re
from dataclasses import replace

import duckdb
import pytest

from dpstats.engine.at_rest import file_of, files_of, is_kept, keep
from dpstats.engine.duck import open_engine
from dpstats.engine.locked import Limits
from dpstats.engine.noise import _open
from dpstats.errors import FileError, LockdownFailed, Unavailable
from dpstats.plan.plan import AtRest

SQL = "SELECT x % 10 AS g, count(*)::HUGEINT AS d0 FROM rows GROUP BY 1"
BUILD = ("CREATE TEMP TABLE dp_t AS SELECT x % 10 AS g FROM rows", "CREATE TABLE dp_rest.kept AS SELECT g FROM dp_t")
FROM_KEPT = AtRest("0" * 32, BUILD, "SELECT g, count(*)::HUGEINT + 1000 AS d0 FROM kept GROUP BY g")
"""Tells on itself: its counts are a thousand too many."""
OF_THREE = [("BIGINT", range(3))]
ASKED, TOLD = ((10, 10, 10),), ((1010, 1010, 1010),)
LIMITS = Limits(memory_limit_mb=256, threads=1)


@pytest.fixture
def asked(plan):
    """The plan, and what may be kept for it."""
    return replace(plan(SQL, keys=OF_THREE), at_rest=FROM_KEPT)


def test_an_answer_comes_from_what_is_kept_as_soon_as_it_is_there(asked, version, open_version, key):
    engine = open_version()
    assert _open(asked, engine.run(asked)) == ASKED
    keep(version, asked, key=key, limits=LIMITS)
    assert _open(asked, engine.run(asked)) == TOLD
    assert _open(asked, open_version().run(asked)) == TOLD


def test_the_file_is_the_owners_alone_and_goes_by_its_data_version(asked, version, key):
    made = keep(version, asked, key=key, limits=LIMITS)
    path = file_of(version, FROM_KEPT)
    assert path.stat().st_size == made.size
    assert path.stat().st_mode & 0o077 == 0
    assert set(files_of(version)) == {version, path} == set(version.parent.iterdir())
    assert files_of(version.with_stem("ver")) == [version.with_stem("ver")]


@pytest.mark.parametrize("harm", ["empty", "cut", "noise", "not a file", "another key", "another version", "no rows"])
def test_a_file_that_is_not_what_its_name_says_is_as_if_it_were_not_there(harm, asked, version, open_version, key):
    path = file_of(version, FROM_KEPT)
    if harm == "another key":
        keep(version, asked, key=bytes(32), limits=LIMITS)
    elif harm == "another version":
        other = version.with_stem("other")
        other.write_bytes(version.read_bytes())
        keep(other, asked, key=key, limits=LIMITS)
        file_of(other, FROM_KEPT).rename(path)
    elif harm == "not a file":
        path.mkdir()
    else:
        keep(version, asked, key=key, limits=LIMITS)
        whole = path.read_bytes()
        if harm == "no rows":
            with duckdb.connect(path) as connection:
                connection.execute("DROP TABLE kept")
        else:
            path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "noise": whole[::-1]}[harm])
    engine = open_version()
    if harm == "no rows":
        with pytest.raises(Unavailable):  # at first: both ways together could take twice the deadline
            engine.run(asked)
    assert _open(asked, engine.run(asked)) == ASKED
    assert not is_kept(version, FROM_KEPT, key=key) or harm == "no rows"


def test_a_file_that_lets_a_probe_through_answers_nothing(asked, version, open_version, key, monkeypatch):
    keep(version, asked, key=key, limits=LIMITS)
    engine = open_version()
    monkeypatch.setattr("dpstats.engine.at_rest.lock", lambda connection, limits: None)
    with pytest.raises(LockdownFailed):
        engine.run(asked)


def test_what_cannot_be_made_leaves_nothing_and_says_nothing_of_rows(asked, version, key, everything_said):
    bad = AtRest("1" * 32, (*BUILD, "CREATE TABLE dp_rest.x AS SELECT CAST(x || 'y' AS BIGINT) FROM rows"), "")
    with pytest.raises(FileError) as refused:
        keep(version, replace(asked, at_rest=bad), key=key, limits=LIMITS)
    assert not re.search("[0-9]y", everything_said(refused.value))
    assert list(version.parent.iterdir()) == [version]
    version.unlink()
    with pytest.raises(FileError, match="no data version any more"):
        keep(version, asked, key=key, limits=LIMITS)
    assert list(version.parent.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE dp_rest.x AS SELECT * FROM read_csv('/etc/hostname')",
        "COPY (SELECT 1) TO 'made.csv'",
        "ATTACH 'made.db' AS other",
        "SET enable_external_access = true",
        "DROP TABLE rows",
    ],
)
def test_making_it_can_reach_nothing_but_the_new_file(sql, asked, version, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match="cannot be made"):
        keep(version, replace(asked, at_rest=AtRest("2" * 32, (sql,), "")), key=key, limits=LIMITS)
    assert not list(tmp_path.glob("made.*"))


def test_more_files_than_stay_open_are_all_answered_from(asked, version, open_version, key):
    plans = [replace(asked, at_rest=replace(FROM_KEPT, key=f"{i:032}")) for i in range(9)]
    for each in plans:
        keep(version, each, key=key, limits=LIMITS)
    engine = open_version()
    for each in plans * 2:
        assert _open(each, engine.run(each)) == TOLD
    assert len(engine._kept._open) == 4


def test_a_data_version_that_is_closed_closes_what_is_kept_beside_it(asked, version, key):
    keep(version, asked, key=key, limits=LIMITS)
    engine = open_engine(version, key=key)
    engine.run(asked)
    engine.close()
    path = file_of(version, FROM_KEPT)
    with duckdb.connect(path) as connection:  # would be refused while it is open with other settings
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (30,)
