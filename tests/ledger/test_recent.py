"""What is remembered of the ledger holds until something is committed, by whomever, or its time is over."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dpstats.ledger.recent import Commits, Recent
from dpstats.ledger.store import DATABASE, Store, open_store
from dpstats.ledger.tokens import Role

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BESIDE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in ("BEGIN IMMEDIATE", "CREATE TABLE beside (x)", sys.argv[2]):
    connection.execute(statement)
"""


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path)) as store:
        yield store


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def recent(store: Store, watch: Watch) -> Recent[str, str]:
    return Recent(store.commits, watch, 3)


def remember(recent: Recent[str, str], key: str, value: str = "value") -> None:
    recent.find(key)
    recent.keep(key, value, recent.since())


def test_it_is_known_while_nothing_is_committed(store: Store, recent: Recent[str, str]) -> None:
    remember(recent, "key")
    store.tokens.list()
    assert recent.find("key") == "value"
    assert recent.find("another") is None


def test_a_commit_of_this_process_ends_it(store: Store, recent: Recent[str, str]) -> None:
    remember(recent, "key")
    store.tokens.create("t", Role.ANALYST, (), None, "stu")
    assert recent.find("key") is None


@pytest.mark.parametrize(("end", "left"), [("COMMIT", None), ("ROLLBACK", "value")])
def test_a_commit_of_another_process_ends_it_and_nothing_less(
    tmp_path: Path, recent: Recent[str, str], end: str, left: str | None
) -> None:
    remember(recent, "key")
    subprocess.run([sys.executable, "-c", BESIDE, str(tmp_path / DATABASE), end], check=True)
    assert recent.find("key") == left


def test_what_was_read_before_a_commit_is_not_remembered_after_it(store: Store, recent: Recent[str, str]) -> None:
    recent.find("key")
    since = recent.since()
    store.tokens.create("t", Role.ANALYST, (), None, "stu")
    recent.keep("key", "of before, for all that is known", since)
    assert recent.find("key") is None
    recent.keep("key", "of before, for all that is known", since)
    assert recent.find("key") is None


def test_it_holds_from_its_reading_until_its_end_and_no_longer(recent: Recent[str, str], watch: Watch) -> None:
    recent.find("key")
    recent.keep("key", "value", recent.since(), NOON + timedelta(hours=1))
    for moment, known in ((0, True), (3599, True), (3600, False), (-1, False), (1, True)):
        watch.now = NOON + timedelta(seconds=moment)
        assert (recent.find("key") is not None) is known


def test_no_more_is_remembered_than_was_said(recent: Recent[str, str]) -> None:
    for key in "abcd":
        remember(recent, key)
    assert [recent.find(key) for key in "abcd"] == [None, "value", "value", "value"]
    remember(recent, "d", "again")
    assert [recent.find(key) for key in "bcd"] == ["value", "value", "again"]


def test_what_is_larger_than_all_that_is_kept_is_not(store: Store, watch: Watch) -> None:
    recent: Recent[str, str] = Recent(store.commits, watch, 13, lambda key, value: len(key + value))
    remember(recent, "key", "x" * 10)
    assert recent.find("key") is not None
    for large, value in (("large", "x" * 9), ("a key as large", "")):
        remember(recent, large, value)
        assert (recent.find(large), recent.find("key")) == (None, "x" * 10)


def test_what_was_known_until_the_last_commit_is_told_apart_from_what_never_was(
    store: Store, recent: Recent[str, str]
) -> None:
    remember(recent, "key")
    store.tokens.create("t", Role.ANALYST, (), None, "stu")
    assert recent.find("key") is None
    assert (recent.had("key"), recent.had("another")) == (True, False)


def test_nothing_is_remembered_of_a_ledger_whose_commits_are_not_seen(tmp_path: Path, watch: Watch) -> None:
    missing = tmp_path / "missing.db"
    for commits in (Commits(None), Commits(missing)):
        recent: Recent[str, str] = Recent(commits, watch, 3)
        remember(recent, "key")
        assert (recent.since(), recent.find("key")) == (None, None)
    assert not missing.exists()


def test_what_was_seen_before_a_failure_is_never_taken_for_what_is_seen_after_it(tmp_path: Path) -> None:
    """SQLite counts for each connection: a new one may begin with the number that an earlier one saw."""
    path = tmp_path / "busy.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer, closing(Commits(path)) as commits:
        writer.execute("CREATE TABLE t (x)")
        before = commits.version()
        writer.execute("BEGIN EXCLUSIVE")  # with no write-ahead log, it keeps readers out
        assert commits.version() is None
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute("COMMIT")
        assert commits.version() not in {None, before}


def test_a_closed_store_looks_no_more(store: Store) -> None:
    assert store.commits.version() is not None
    store.close()
    assert store.commits.version() is None
