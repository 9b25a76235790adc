from __future__ import annotations

import pytest
from ledger_asking import LINEAGE, release
from ledger_databases import ON_SERVERS, LedgerDatabase
from sqlalchemy import inspect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from dpstats.access import operator
from dpstats.ledger.caps import Scope, Share
from dpstats.ledger.policies import Policy
from dpstats.ledger.proposals import policy_draft
from dpstats.ledger.registry import Manifest
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity, Role

WRITTEN_ONCE = [
    "entries",
    "releases",
    "lineages",
    "datasets",
    "queries",
    "freezes",
    "withdrawals",
    "feature_views",
    "load_manifests",
    "policies",
    "proposals",
    "decisions",
    "caps",
    "recipient_terms",
    "acceptances",
]


@pytest.fixture
def full(store: Store, raw: Connection) -> Connection:
    """A ledger with a row in each table."""
    store.ledger.withdraw(release(store).release_id, actor="stu", reason="a mistake")
    store.registry.register_dataset("shop", "yaml", "shoppers")
    store.registry.submit_query("q", "shop", "yaml", "stu")
    store.registry.freeze("shop", "stu")
    store.registry.submit_view("v", "shop", "yaml", "stu")
    store.registry.add_manifest("dv1", Manifest(frozenset({"visits"})))
    draft = policy_draft(Policy())
    store.proposals.set_policy(Policy(new_lineages=True), "stu")
    store.recipients.publish("nobody is re-identified", "stu")
    store.recipients.accept(Identity("tok_a", "ana", Role.ANALYST, (), None), 1, actor="ana")
    store.proposals.decline(store.proposals.propose(draft, operator("stu")).proposal_id, operator("sue"))
    store.caps.set(LINEAGE, Share(Scope.ROLE, "analyst"), 50, actor="stu", reason="half")
    return raw


@pytest.mark.parametrize("table", WRITTEN_ONCE)
def test_no_row_of_history_can_be_changed_removed_or_replaced(
    full: Connection, database: LedgerDatabase, table: str
) -> None:
    before = full.exec_driver_sql(f"SELECT * FROM {table}").fetchall()
    assert before
    column = inspect(full).get_columns(table)[0]["name"]
    key = ", ".join(inspect(full).get_pk_constraint(table)["constrained_columns"])
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        database.replacing.format(table=table, key=key, column=column),
    ):
        with pytest.raises(IntegrityError, match=f"{table} is append-only"):
            full.exec_driver_sql(statement)
    assert full.exec_driver_sql(f"SELECT * FROM {table}").fetchall() == before


@ON_SERVERS
@pytest.mark.parametrize("table", WRITTEN_ONCE)
def test_no_table_of_history_can_be_emptied(full: Connection, table: str) -> None:
    for statement in (f"TRUNCATE {table} CASCADE", f"MERGE INTO {table} USING (VALUES (1)) AS o ON true"
                      " WHEN MATCHED THEN DELETE"):  # fmt: skip
        with pytest.raises(IntegrityError, match="is append-only"):
            full.exec_driver_sql(statement)
    assert full.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()


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
def test_an_entry_can_be_added_only_at_the_end_and_never_as_a_refund(
    full: Connection, database: LedgerDatabase, change: str
) -> None:
    full.exec_driver_sql("CREATE TEMP TABLE copy AS SELECT * FROM entries WHERE kind = 'charge'")
    full.exec_driver_sql(f"UPDATE copy SET {change}")
    for verb, ending in (
        ("INSERT", ""),
        ("REPLACE", "") if database.url == "" else ("INSERT", "ON CONFLICT DO NOTHING"),
    ):
        with pytest.raises(IntegrityError):
            full.exec_driver_sql(f"{verb} INTO entries SELECT * FROM copy {ending}")
    assert full.exec_driver_sql("SELECT count(*) FROM entries").scalar() == 2
