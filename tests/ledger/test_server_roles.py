"""A role of the server that may add to history and never change it, as the README grants it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, HandClock, charge, release, rho
from ledger_databases import ON_SERVERS, ServerDatabase
from sqlalchemy import create_engine
from sqlalchemy.exc import ProgrammingError

from dpstats.ledger.store import Store, open_store

pytestmark = ON_SERVERS

README = Path(__file__).parents[2] / "README.md"
HISTORY = ("entries", "releases", "withdrawals", "lineages", "datasets", "queries", "freezes")


def grants() -> list[str]:
    """The statements of the README, one by one."""
    (block,) = re.findall(
        r"```sql\n(CREATE ROLE dpstats_service .*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    return [statement.strip() for statement in block.split(";") if statement.strip()]


@pytest.fixture
def service(store: Store, home: Path, clock: HandClock, database: ServerDatabase) -> Iterator[Store]:
    """The store's ledger, opened by the role; the tables are another's, and were made before."""
    role = f"service_of_{database.name}"
    for statement in grants():
        database.server.execute(database.name, statement.replace("dpstats_service", role))
    opened = open_store(home, clock, url=database.url.replace("dpstats@", f"{role}@"))
    yield opened
    opened.close()


def test_the_role_can_do_everything_that_a_service_and_its_stewards_do(service: Store, home: Path) -> None:
    first = release(service, "a", amount=5)
    assert charge(service, "b", idempotency_key="k").seq == 3
    service.ledger.grant(LINEAGE, rho(5), epsilon=5, actor="stu", reason="more")
    service.ledger.withdraw(first.release_id, actor="stu", reason="a mistake")
    service.registry.freeze("shop", "stu")
    service.registry.thaw("shop", "stu")
    token = service.tokens.create("t", "analyst", (), None, "stu")
    assert service.tokens.authenticate(token)
    service.tokens.revoke("t")
    assert service.ledger.verify().ok


@pytest.mark.parametrize("table", HISTORY)
def test_the_server_lets_the_role_neither_change_nor_remove_history_nor_take_its_guards_off(
    service: Store, database: ServerDatabase, table: str
) -> None:
    release(service)
    role = f"service_of_{database.name}"
    engine = create_engine(database.url.replace("dpstats@", f"{role}@"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in (
                f"UPDATE {table} SET {'created_at' if table in ('lineages', 'releases') else 'dataset'} = 'x'"
                if table != "withdrawals"
                else "UPDATE withdrawals SET reason = 'x'",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
                f"ALTER TABLE {table} DISABLE TRIGGER ALL",
                f"DROP TABLE {table}",
                "SET session_replication_role = replica",
            ):
                with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                    connection.exec_driver_sql(statement)
    finally:
        engine.dispose()
