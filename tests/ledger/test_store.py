from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, charge, release
from ledger_databases import ON_FILES, LedgerDatabase

from dpstats.ledger.clock import moment_of, stamp, utc_now
from dpstats.ledger.database import reading
from dpstats.ledger.store import Store


@ON_FILES
def test_every_connection_is_set_for_durability(store: Store) -> None:
    with reading(store.engine) as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_only_the_owner_can_read_what_the_ledger_writes(store: Store, database: LedgerDatabase, home: Path) -> None:
    release(store)
    files = [path for path in home.rglob("*") if path.is_file()]
    expected = {"ledger.key", f"{LINEAGE}.json"} | (set() if database.url else {"ledger.db", "ledger.db-wal"})
    assert expected <= {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@ON_FILES
def test_a_database_that_others_can_read_is_closed_to_them(
    store: Store, opened: Callable[..., Store], home: Path
) -> None:
    store.close()
    (home / "ledger.db").chmod(0o644)
    opened()
    assert stat.S_IMODE((home / "ledger.db").stat().st_mode) == 0o600


def test_nothing_is_left_beside_the_files_that_are_meant_to_be_there(
    store: Store, database: LedgerDatabase, home: Path
) -> None:
    charge(store)
    store.close()
    files = {".ledger.lock", "heads", "ledger.key"} | (set() if database.url else {"ledger.db"})
    assert {path.name for path in home.iterdir()} == files
    assert sorted(path.name for path in (home / "heads").iterdir()) == [".lock", f"{LINEAGE}.json"]


def test_moments_are_utc_with_microseconds_and_read_back() -> None:
    now = utc_now()
    assert moment_of(stamp(now)) == now
    assert stamp(datetime.fromisoformat("2026-03-01T01:00:00+01:00")) == "2026-03-01T00:00:00.000000+00:00"
    with pytest.raises(ValueError, match="zone"):
        stamp(datetime(2026, 3, 1))  # noqa: DTZ001


def test_the_ledger_brings_no_other_room_s_library_along() -> None:
    program = (
        "import sys, dpstats.ledger.store; "
        "others = ('opendp', 'duckdb', 'pandas', 'fastapi', 'cryptography', 'alembic', 'psycopg'); "
        "print([name for name in others if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=None)
    assert shown.stdout.strip() == "[]"
