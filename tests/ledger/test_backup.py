"""Backups: whole, of one moment, and never a way to get spent budget back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, MONTH, ask_for, charge, open_lineage, release, rho
from ledger_databases import FileDatabase, LedgerDatabase

from dpstats.errors import Conflict, FileError, IdempotencyConflict, LedgerBroken
from dpstats.ledger.backup import back_up, restore
from dpstats.ledger.heads import head_of_receipt
from dpstats.ledger.records import StoredRelease
from dpstats.ledger.store import Store, open_store

Open = Callable[..., Store]


@pytest.fixture
def saved(store: Store, home: Path, tmp_path: Path) -> Path:
    """A backup with its keys, of a ledger with a grant, a release and a charge."""
    (home / "bounding.key").write_bytes(b"k" * 32)
    release(store, "a", amount=10)
    charge(store, "b", amount=20)
    store.tokens.create("ana", "analyst", (), None, "stu")
    back_up(store.engine, home, tmp_path / "saved", keys=True)
    return tmp_path / "saved"


def lose(database: LedgerDatabase, home: Path) -> None:
    """The ledger is gone, with what SQLite keeps beside it."""
    if not isinstance(database, FileDatabase):
        database.lose()
    for file in home.glob("ledger.db*"):
        file.unlink()


def test_a_lost_ledger_comes_back_whole(
    saved: Path, store: Store, opened: Open, home: Path, database: LedgerDatabase
) -> None:
    before = (store.ledger.entries(LINEAGE), store.ledger.releases(), store.tokens.list(), store.registry.queries())
    store.close()
    lose(database, home)
    restored = restore(home, saved, url=database.url)
    again = opened()
    assert (restored.unknown, restored.missing_keys) == ((), ())
    assert (again.ledger.entries(LINEAGE), again.ledger.releases(), again.tokens.list(), again.registry.queries()) == (
        before
    )
    assert again.ledger.verify().findings == ()
    charge(again, "c", amount=5)
    assert again.ledger.budget(LINEAGE).spent == rho(35)


def test_a_charge_that_was_answered_after_the_backup_pays_for_no_second_draw(
    store: Store, opened: Open, home: Path, tmp_path: Path, database: LedgerDatabase
) -> None:
    release(store, "a", amount=10)
    first = charge(store, "b", amount=20)
    keyed = charge(store, "c", amount=5, idempotency_key="key")
    back_up(store.engine, home, tmp_path / "saved", keys=False)
    for made in (first, keyed):
        store.ledger.store(made, body=b"given", fresh_for=MONTH)
    store.close()
    lose(database, home)
    restore(home, tmp_path / "saved", url=database.url)
    again = opened()
    second = charge(again, "b", amount=20)
    assert (second.resumed, second.release_id == first.release_id) == (False, False)
    with pytest.raises(IdempotencyConflict):
        charge(again, "c", amount=5, idempotency_key="key")
    assert again.ledger.budget(LINEAGE).spent == rho(55)
    assert isinstance(ask_for(again, "a", amount=10), StoredRelease)  # what was stored is given as before
    assert again.ledger.verify().findings == ()


def test_what_must_be_there_before_the_ledger_is_or_no_ledger_is(
    saved: Path, store: Store, home: Path, database: LedgerDatabase, opened: Open
) -> None:
    def fails() -> None:
        raise FileError("consent.db", "cannot be written")

    store.close()
    lose(database, home)
    with pytest.raises(FileError):
        restore(home, saved, url=database.url, before=fails)
    done: list[bool] = []
    restore(home, saved, url=database.url, before=lambda: done.append(True))
    assert done == [True]
    assert opened().ledger.verify().findings == ()


def test_a_backup_older_than_the_saved_head_is_refused(
    saved: Path, store: Store, home: Path, database: LedgerDatabase
) -> None:
    charge(store, "later", amount=1)
    store.close()
    lose(database, home)
    with pytest.raises(LedgerBroken, match="ends at entry 3, but its saved head is entry 4"):
        restore(home, saved, url=database.url)
    assert not (home / "ledger.db").exists()


def test_a_backup_older_than_a_receipt_is_refused_even_in_an_empty_folder(
    saved: Path, store: Store, tmp_path: Path, database: LedgerDatabase
) -> None:
    charge(store, "later", amount=1)
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps({"head": vars(store.ledger.head(LINEAGE)) | {"lineage": ""}}))
    store.close()
    with pytest.raises(LedgerBroken, match="its saved head is entry 4"):
        restore(tmp_path / "new", saved, [head_of_receipt(receipt)], url=database.another())
    assert [file.name for file in (tmp_path / "new").iterdir()] == [".ledger.lock"]
    forged = replace(head_of_receipt(receipt), seq=2)
    with pytest.raises(LedgerBroken, match="the receipt is not signed with this ledger's key"):
        restore(tmp_path / "new", saved, [forged], url=database.another())


def test_in_an_empty_folder_it_says_of_which_lineages_nothing_is_known(
    saved: Path, store: Store, tmp_path: Path, database: LedgerDatabase
) -> None:
    store.close()
    url = database.another()
    restored = restore(tmp_path / "new", saved, url=url)
    assert restored.unknown == (LINEAGE,)
    assert (tmp_path / "new" / "bounding.key").read_bytes() == b"k" * 32
    again = open_store(tmp_path / "new", url=url)
    assert again.ledger.verify().findings == ()
    assert again.ledger.budget(LINEAGE).spent == rho(30)
    again.close()


def test_a_ledger_that_is_there_is_never_replaced(
    saved: Path, store: Store, home: Path, database: LedgerDatabase
) -> None:
    store.close()
    with pytest.raises(Conflict, match="already"):
        restore(home, saved, url=database.url)


def test_a_backup_of_another_workspace_is_refused(
    saved: Path, home: Path, tmp_path: Path, database: LedgerDatabase
) -> None:
    other = open_store(tmp_path / "other", url=database.another())
    open_lineage(other)
    other.close()
    for file in (tmp_path / "other").glob("ledger.db*"):
        file.unlink()
    shutil.rmtree(tmp_path / "other" / "heads")
    with pytest.raises(LedgerBroken, match="not signed with this workspace's key"):
        restore(tmp_path / "other", saved, url=database.another())


def test_without_keys_it_needs_the_key_that_signed_it(
    store: Store, home: Path, tmp_path: Path, database: LedgerDatabase
) -> None:
    back_up(store.engine, home, tmp_path / "saved", keys=False)
    secret = bytes.fromhex((home / "ledger.key").read_text())
    assert secret.hex().encode() not in (tmp_path / "saved").read_bytes()
    store.close()
    url = database.another()
    with pytest.raises(FileError, match="holds no keys"):
        restore(tmp_path / "new", tmp_path / "saved", url=url)
    shutil.copy(home / "ledger.key", tmp_path / "new")
    assert restore(tmp_path / "new", tmp_path / "saved", url=url).missing_keys == ("bounding.key",)


def test_a_backup_that_was_changed_is_refused(
    saved: Path, store: Store, home: Path, tmp_path: Path, database: LedgerDatabase
) -> None:
    raw = sqlite3.connect(saved, isolation_level=None)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {name}")
    raw.execute("UPDATE entries SET amount = 1 WHERE seq = 3")
    raw.close()
    store.close()
    with pytest.raises(LedgerBroken, match="entry 3 was changed"):
        restore(tmp_path / "new", saved, url=database.another())


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FileError, match="is not a backup"):
        restore(tmp_path / "new", tmp_path / "file")
    with pytest.raises(FileError, match="no such file"):
        restore(tmp_path / "new", tmp_path / "nothing")


def test_a_backup_is_the_owner_s_alone_one_file_and_never_written_over(saved: Path, store: Store, home: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in saved.parent.iterdir() if file.is_file()] == ["saved"]
    with pytest.raises(FileError, match="already"):
        back_up(store.engine, home, saved, keys=True)
