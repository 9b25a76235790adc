"""The schema is brought up to date when a workspace is opened: whole or not at all, once, and never backwards."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from ledger_asking import LINEAGE, charge, make_request, open_lineage, question, rho
from ledger_databases import ON_FILES
from sqlalchemy.engine import Connection
from sqlalchemy.schema import SchemaItem

import dpstats.ledger.migrations
from dpstats.errors import LedgerBroken
from dpstats.ledger.migrating import HEAD
from dpstats.ledger.records import StoredRelease
from dpstats.ledger.schema import metadata
from dpstats.ledger.store import Store

Open = Callable[..., Store]
Worker = Callable[..., "subprocess.Popen[str]"]

BEFORE = Path(__file__).parent / "before_migrations"
"""A workspace as dpstats left it when it knew no revisions."""


@pytest.fixture
def old_home(home: Path) -> Path:
    shutil.copytree(BEFORE, home)
    with closing(sqlite3.connect(home / "ledger.db")) as made:
        made.executescript((home / "ledger.sql").read_text())
    (home / "ledger.sql").unlink()
    return home


def differences(connection: Connection) -> list[object]:
    here = connection.dialect.name

    def belongs_here(part: SchemaItem, *_: object) -> bool:
        return part.info.get("only", here) == here

    return compare_metadata(MigrationContext.configure(connection, opts={"include_object": belongs_here}), metadata)


def test_the_newest_revision_is_the_one_that_the_code_reads_and_writes() -> None:
    config = Config()
    config.set_main_option("script_location", dpstats.ledger.migrations.__path__[0])
    config.set_main_option("path_separator", "os")
    revisions = ScriptDirectory.from_config(config)
    assert revisions.get_heads() == [HEAD]
    numbers = [revision.revision for revision in revisions.walk_revisions()]
    assert numbers == [f"{number:04d}" for number in range(len(numbers), 0, -1)]


def test_the_revisions_make_exactly_the_tables_that_are_read_and_written(store: Store, raw: Connection) -> None:
    assert differences(raw) == []
    assert raw.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [HEAD]
    assert raw.exec_driver_sql("SELECT version FROM schema_version").scalars().all() == [int(HEAD)]


@ON_FILES
def test_a_ledger_from_before_revisions_goes_on_as_it_was(old_home: Path, opened: Open) -> None:
    made = opened()
    assert made.ledger.verify().ok
    assert made.ledger.budget(LINEAGE).remaining == rho(75, 50)
    replayed = made.ledger.charge(make_request("a", amount=10))
    assert isinstance(replayed, StoredRelease)
    assert (replayed.body, replayed.query) == (b"draw", question("a").query)
    assert charge(made, "b", amount=20, idempotency_key="k").resumed
    assert charge(made, "c").seq == 5
    made.close()
    assert opened().ledger.verify().entries == 5


@ON_FILES
def test_a_ledger_from_before_revisions_ends_with_the_tables_of_a_new_one(old_home: Path, opened: Open) -> None:
    with opened().engine.connect() as connection:
        assert differences(connection) == []


@ON_FILES
@pytest.mark.parametrize("versions", [["99"], ["0"], [], ["1", "2"]])
def test_a_ledger_from_before_revisions_of_another_version_is_refused(
    old_home: Path, opened: Open, versions: list[str]
) -> None:
    with closing(sqlite3.connect(old_home / "ledger.db")) as raw, raw:
        raw.execute("DELETE FROM schema_version")
        raw.executemany("INSERT INTO schema_version VALUES (?)", [(version,) for version in versions])
    with pytest.raises(LedgerBroken, match=f"this dpstats knows {HEAD}: use the dpstats that wrote it"):
        opened()


@pytest.mark.parametrize("found", ["0099", "0000", "ab"])
def test_a_ledger_of_another_dpstats_is_refused_and_says_what_to_do(
    store: Store, opened: Open, raw: Connection, found: str
) -> None:
    raw.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{found}'")
    for check in (True, False):
        with pytest.raises(
            LedgerBroken, match=f"version {found}, this dpstats knows {HEAD}: use the dpstats that wrote"
        ):
            opened(check=check)
    assert raw.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == found


@pytest.mark.parametrize("statement", [2, 9, 30, "COMMIT"])
def test_a_kill_while_the_schema_is_made_leaves_nothing_half_made(
    home: Path, opened: Open, worker: Worker, statement: object
) -> None:
    process = worker("die_while_opening", home, statement)
    process.communicate(timeout=120)
    assert process.returncode == -9
    made = opened()
    with made.engine.connect() as connection:
        assert differences(connection) == []
    open_lineage(made)
    charge(made)
    assert made.ledger.verify().ok


@ON_FILES
@pytest.mark.parametrize("statement", [4, 6])
def test_a_kill_while_an_old_ledger_is_taken_over_loses_nothing(
    old_home: Path, opened: Open, worker: Worker, statement: int
) -> None:
    process = worker("die_while_opening", old_home, statement)
    process.communicate(timeout=120)
    assert process.returncode == -9
    made = opened()
    assert made.ledger.verify().ok
    assert charge(made, "c").seq == 5


def test_processes_that_open_a_new_workspace_at_once_make_one_schema(home: Path, opened: Open, worker: Worker) -> None:
    processes = [worker("register", home, "-") for _ in range(4)]
    assert [process.communicate(timeout=120)[0].split() for process in processes] == [["1"]] * 4
    with opened().engine.connect() as connection:
        assert differences(connection) == []
