from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_asking import release

from dpstats.ledger.store import Store

WRITTEN_ONCE = ["entries", "releases", "lineages", "datasets", "queries", "freezes"]


@pytest.fixture
def raw(store: Store, home: Path) -> sqlite3.Connection:
    """A connection that dpstats knows nothing of, with SQLite's defaults, to a ledger with a row in each table."""
    release(store)
    store.registry.register_dataset("shop", "yaml", "shoppers")
    store.registry.submit_query("q", "shop", "yaml", "stu")
    store.registry.freeze("shop", "stu")
    return sqlite3.connect(home / "ledger.db", isolation_level=None)


@pytest.mark.parametrize("table", WRITTEN_ONCE)
def test_no_row_of_history_can_be_changed_removed_or_replaced(raw: sqlite3.Connection, table: str) -> None:
    with closing(raw):
        before = raw.execute(f"SELECT * FROM {table}").fetchall()
        assert before
        column = raw.execute(f"SELECT name FROM pragma_table_info('{table}') LIMIT 1").fetchone()[0]
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"REPLACE INTO {table} SELECT * FROM {table}",
        ):
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                raw.execute(statement)
        assert raw.execute(f"SELECT * FROM {table}").fetchall() == before


@pytest.mark.parametrize(
    "change",
    [
        "seq = 0, release_id = 'x'",
        "seq = 9",
        "seq = 9, amount = -1, release_id = 'x'",
        "seq = 9, amount = 0, release_id = 'x'",
        "seq = 9, release_id = NULL",
        "seq = 9, kind = 'refund', release_id = 'x'",
    ],
)
def test_an_entry_can_be_added_only_at_the_end_and_never_as_a_refund(raw: sqlite3.Connection, change: str) -> None:
    with closing(raw):
        raw.execute("CREATE TEMP TABLE copy AS SELECT * FROM entries WHERE kind = 'charge'")
        raw.execute(f"UPDATE copy SET {change}")
        for verb in ("INSERT", "REPLACE"):
            with pytest.raises(sqlite3.IntegrityError):
                raw.execute(f"{verb} INTO entries SELECT * FROM copy")
        assert raw.execute("SELECT count(*) FROM entries").fetchone() == (2,)
