"""A statement that is given to SQLite's driver as it is says what SQLAlchemy would."""

from __future__ import annotations

import pytest
from ledger_asking import LINEAGE, release
from sqlalchemy import Select, bindparam, select

from dpstats.ledger import schema
from dpstats.ledger.database import reading
from dpstats.ledger.prepared import Prepared
from dpstats.ledger.store import Store

TABLES = ("entries", "releases", "freezes", "approvals", "queries", "datasets", "lineages", "chain_totals")


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_those_that_sqlalchemy_reads_in_value_and_type(store: Store, name: str) -> None:
    release(store, "a", body=b"\x00draw")
    store.registry.freeze("shop", "stu")
    store.registry.thaw("shop", "stu")
    table = schema.entries.metadata.tables[name]
    statement = select(table).order_by(*table.primary_key.columns)
    with reading(store.engine) as connection:
        expected = [dict(row) for row in connection.execute(statement).mappings()]
        found = [dict(row) for row in Prepared(statement).rows(connection)]
    assert expected
    assert found == expected
    assert [[type(value) for value in row.values()] for row in found] == [
        [type(value) for value in row.values()] for row in expected
    ]


def test_parameters_are_given_by_name_each_time_and_fixed_ones_stay(store: Store) -> None:
    release(store, "a")
    of_lineage: Select[tuple[int]] = select(schema.entries.c.seq).where(
        schema.entries.c.lineage == bindparam("lineage"), schema.entries.c.kind == "charge"
    )
    prepared = Prepared(of_lineage.limit(1))
    with reading(store.engine) as connection:
        assert prepared.one(connection, lineage=LINEAGE) == {"seq": 2}
        assert prepared.one(connection, lineage="another") is None
        assert prepared.one(connection, lineage=LINEAGE) == {"seq": 2}
