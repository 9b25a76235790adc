"""A register that is only looked at: what stands there, and not a byte written, on each database."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_databases import LedgerDatabase

from dpstats.errors import FileError, Unavailable
from dpstats.ledger.looking import looked_at
from dpstats.ledger.store import Store


def test_what_stands_in_the_register_is_seen(store: Store, home: Path, database: LedgerDatabase) -> None:
    store.registry.register_dataset("shoppers", "text", "shoppers")
    with looked_at(home, database.url) as registry:
        assert [record.definition for record in registry.datasets()] == ["text"]


def test_nothing_can_be_written_through_it(store: Store, home: Path, database: LedgerDatabase) -> None:
    store.registry.register_dataset("shoppers", "text", "shoppers")
    with looked_at(home, database.url) as registry, pytest.raises(Unavailable):
        registry.register_dataset("shoppers", "another", "shoppers")
    assert [record.revision for record in store.registry.datasets()] == [1]


def test_a_ledger_of_another_version_is_not_brought_up_to_date(
    store: Store, home: Path, database: LedgerDatabase
) -> None:
    store.close()
    with database.connected() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(FileError, match="another version"), looked_at(home, database.url):
        pass
    with database.connected() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0001"


def test_where_no_ledger_is_none_is_made(home: Path) -> None:
    with pytest.raises(Unavailable), looked_at(home):
        pass
    assert not home.exists()
