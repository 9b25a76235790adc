"""Real faults of disks, files and locks become ours, and charge nothing."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, ask_for, charge, open_lineage, permit, question
from ledger_databases import ON_FILES, ON_SERVERS, LedgerDatabase
from sqlalchemy.engine import Connection

from dpstats.errors import LedgerBroken, Unavailable
from dpstats.ledger.store import Store, open_store

Open = Callable[..., Store]
Worker = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A workspace that another user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "home"
    for path in (folder / "home", folder / "home" / "heads"):
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_a_held_lock_is_unavailable_after_the_timeout_and_nothing_is_charged(
    store: Store, opened: Open, raw: Connection, database: LedgerDatabase
) -> None:
    hasty = opened(busy_timeout_ms=50)
    raw.exec_driver_sql(database.write_lock)
    for ask in (
        lambda: ask_for(hasty),
        lambda: hasty.registry.register_dataset("shop", "", LINEAGE),
        lambda: hasty.tokens.create("t", "analyst", (), None, "stu"),
        lambda: opened(busy_timeout_ms=50),
    ):
        with pytest.raises(Unavailable):
            ask()
    assert hasty.ledger.budget(LINEAGE).spent.amount == 0
    raw.exec_driver_sql("ROLLBACK")
    assert charge(hasty).seq == 2


@ON_SERVERS
def test_a_budget_s_row_held_by_one_who_does_not_take_the_writers_lock_is_unavailable_too(
    store: Store, opened: Open, raw: Connection
) -> None:
    hasty = opened(busy_timeout_ms=50)
    permit(hasty, question())
    raw.exec_driver_sql("BEGIN; SELECT * FROM lineages FOR UPDATE")
    with pytest.raises(Unavailable):
        ask_for(hasty)
    raw.exec_driver_sql("ROLLBACK")
    assert charge(hasty).seq == 2


@ON_FILES
@pytest.mark.parametrize(("what", "cause"), [("folder", "Permission denied"), ("database", "readonly database")])
def test_nothing_is_charged_where_nothing_can_be_written(
    open_home: Path, worker: Worker, what: str, cause: str
) -> None:
    made = open_store(open_home)
    open_lineage(made)
    made.close()
    said = worker("read_only", open_home, what).communicate(timeout=60)[0]
    assert said.startswith("Unavailable ")
    assert cause in said


@ON_FILES
def test_a_full_disk_is_unavailable_and_nothing_is_charged(store: Store, home: Path, worker: Worker) -> None:
    process = worker("full_disk", home, "-")
    assert process.communicate(timeout=60)[0].split() == ["Unavailable"]
    assert store.ledger.budget(LINEAGE).spent.amount == 0
    assert store.ledger.verify().ok
    assert charge(store).seq == 2


def test_a_disk_that_fails_after_the_commit_keeps_the_charge_and_the_next_try_is_under_it(
    store: Store, home: Path
) -> None:
    """The head cannot be saved: its lock cannot be had."""
    first = charge(store, "a")
    lock = home / "heads" / ".lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(Unavailable):
        ask_for(store, "b")
    lock.rmdir()
    assert charge(store, "a").release_id == first.release_id
    assert charge(store, "b").resumed
    assert store.ledger.budget(LINEAGE).spent.amount == 2
    assert store.ledger.verify().ok


def test_a_saved_head_that_cannot_be_read_is_unavailable_and_nothing_is_charged(store: Store, home: Path) -> None:
    charge(store, "a")
    shutil.move(home / "heads", home / "kept")
    (home / "heads").write_text("")
    with pytest.raises(Unavailable):
        ask_for(store, "b")
    (home / "heads").unlink()
    shutil.move(home / "kept", home / "heads")
    assert store.ledger.budget(LINEAGE).spent.amount == 1
    assert store.ledger.verify().ok


@ON_FILES
@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_broken_and_left_alone(opened: Open, home: Path, content: bytes) -> None:
    home.mkdir()
    path = home / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerBroken, match=r"malformed|schema"):
        opened()
    assert path.read_bytes() == content


@ON_FILES
def test_a_database_with_torn_pages_is_broken(store: Store, opened: Open, home: Path) -> None:
    for i in range(50):
        charge(store, f"q{i}")
    store.close()
    path = home / "ledger.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\x00" * (len(content) - 4096))
    with pytest.raises(LedgerBroken, match="malformed"):
        opened()


def test_a_workspace_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        open_store(tmp_path / "file")


def test_a_missing_table_is_unavailable_and_names_no_parameters(store: Store, raw: Connection) -> None:
    raw.exec_driver_sql("DROP TABLE sessions")  # it refers to the other
    raw.exec_driver_sql("DROP TABLE tokens")
    with pytest.raises(Unavailable) as raised:
        store.tokens.authenticate("dps_secret")
    assert "dps_secret" not in repr(raised.value.__cause__) + str(raised.value.__cause__)
