"""A query's version: formatting changes nothing, every change of meaning does, in the dataset's file too."""

from __future__ import annotations

import re
from typing import Any

import pytest
from shop import DATASET, analysed, planned

from dpstats.catalog.dataset import parse_dataset
from dpstats.plan.analysis import canonical_sql

SQL = (
    "SELECT p.Band AS band, SUM(v.paid) AS s, COUNT(*) AS n FROM visits v JOIN people p USING (uid) "
    "WHERE v.word = 'a -- b' GROUP BY 1"
)
PARTS: dict[str, Any] = {
    "title": "Spending",
    "parameters": {"least": {"type": "integer", "min": 0, "max": 9, "default": 2}},
    "bounds": {"s": [0, 50], "n": [0, 9]},
}


def version(sql: str = SQL, dataset: str = DATASET, **changes: Any) -> str:
    return analysed(sql, shop=parse_dataset(dataset, "d"), **(PARTS | changes)).version


def test_a_version_is_a_sha256() -> None:
    assert re.fullmatch("sha256:[0-9a-f]{64}", version())
    assert version() == version()


@pytest.mark.parametrize(
    "sql",
    [
        SQL.replace(", ", " ,   "),
        SQL.replace(" FROM", "\n\tFROM"),
        SQL.replace(" FROM", " -- where from\nFROM"),
        SQL.replace(" FROM", " /* where 'from' */ FROM"),
        SQL + ";",
        SQL + " ; -- the end",
        SQL + "\n\n",
        "-- spending\n" + SQL,
        SQL.replace("(v.paid)", "( v . paid )"),
    ],
)
def test_layout_and_comments_change_nothing(sql: str) -> None:
    assert sql != SQL
    assert version(sql) == version()


@pytest.mark.parametrize(
    "sql",
    [
        SQL.replace("'a -- b'", "'a --  b'"),
        SQL.replace("'a -- b'", "'a -- B'"),
        SQL.replace("'a -- b'", "'A -- b'"),
        SQL.replace("v.word", "v.topic").replace("visits v", "(SELECT uid, paid, word AS topic FROM visits) v"),
        SQL.replace(" = 'a", " <> 'a"),
        SQL.replace("JOIN", "LEFT JOIN"),
        SQL.replace("SUM(v.paid)", "SUM(v.price)"),
        SQL.replace("COUNT(*)", "COUNT(v.n)"),
        SQL.replace(" WHERE v.word = 'a -- b'", ""),
        SQL.replace("GROUP BY", "AND v.n > 1 GROUP BY"),
        SQL.replace("GROUP BY", "AND v.n > 10 GROUP BY"),
        SQL.replace("GROUP BY", "AND v.n > $least GROUP BY"),
        SQL.replace(" AS n ", ' AS "n" '),
    ],
)
def test_every_other_edit_of_the_sql_makes_a_new_version(sql: str) -> None:
    assert sql != SQL
    assert version(sql) != version()


@pytest.mark.parametrize(
    "changes",
    [
        {"bounds": {"s": [0, 51], "n": [0, 9]}},
        {"bounds": {"s": [0, 50], "n": [0, 10]}},
        {"bounds": {"s": [-1, 50], "n": [0, 9]}},
        {"cost": {"rho": 0.2}},
        {"cost": {"epsilon": 0.1}},
        {"keys": {"band": {"values": ["low"]}}},
        {"contribution": {"max_groups": 2}},
        {"parameters": {"least": {"type": "integer", "min": 0, "max": 8, "default": 2}}},
        {"parameters": {}},
        {"query": "other"},
        {"fresh_for": "1d"},
        {"title": "Spending, by band"},
    ],
    ids=str,
)
def test_every_edit_of_the_file_makes_a_new_version(changes: dict[str, Any]) -> None:
    assert version(**changes) != version()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("paid: {type: double, bounds: [0, 100], unit: USD}", "paid: {type: double, bounds: [0, 101], unit: USD}"),
        ("paid: {type: double, bounds: [0, 100], unit: USD}", "paid: {type: double, bounds: [0, 100], unit: EUR}"),
        ("paid: {type: double,", "paid: {type: 'decimal(9,2)',"),
        ("paid: {type: double,", "paid: {purposes: [measurement], type: double,"),
        ("values: [high, low, mid]", "values: [high, low]"),
        ("one_row_per_unit: true", "one_row_per_unit: false"),
        ("max_rows_per_unit: 1000", "max_rows_per_unit: 999"),
        ("uid: {type: bigint}", "uid: {type: varchar}"),
        ("delta: 1.0e-6", "delta: 1.0e-7"),
        ("title: Reporting, consent: notice", "title: Reporting, consent: opt_out"),
        ("privacy_unit: uid", "lineage: another\nprivacy_unit: uid"),
        ("word: {type: varchar}", "word: {type: varchar, sensitive: true}"),
    ],
)
def test_the_parts_of_the_dataset_that_the_plan_depends_on_make_a_new_version(old: str, new: str) -> None:
    assert old in DATASET
    changes = {"contribution": {"max_groups": 3}}
    assert version(dataset=DATASET.replace(old, new), **changes) != version(**changes)


def test_a_table_that_becomes_public_makes_a_new_version() -> None:
    sql = "SELECT COUNT(DISTINCT v.uid) AS n FROM visits v JOIN items i USING (item) WHERE i.dept = 'food'"
    plain = {"parameters": {}, "bounds": {}}
    personal = DATASET.replace("    public: true\n    columns: {item", "    columns: {uid: {type: bigint}, item")
    assert personal != DATASET
    joined = sql.replace("USING (item)", "USING (uid, item)")
    assert version(joined, personal, **plain) != version(sql, **plain)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: A shop", "title: The shop"),
        ("title: Reporting", "title: Reports"),
        ("epsilon: 6.0", "epsilon: 7.0"),
        ("wild: {type: double}", "wild: {type: double, bounds: [0, 1]}"),
        ("topic: {type: varchar}", "topic: {type: varchar, values: [a]}"),
        ("  items:", "  more: {public: true, columns: {x: {type: bigint}}}\n  items:"),
        ("cost: {type: double, bounds: [0, 9]}", "cost: {type: double}"),
        ("word: {type: varchar}", "word: {type: varchar, why: to find things}"),
    ],
)
def test_the_rest_of_the_dataset_does_not(old: str, new: str) -> None:
    assert old in DATASET
    assert version(dataset=DATASET.replace(old, new)) == version()


def test_columns_that_a_plan_reads_in_subqueries_joins_and_keys_count_too() -> None:
    sql = (
        "WITH s AS (SELECT uid, MAX(minutes) AS m FROM calls WHERE topic = 'a' GROUP BY uid) "
        "SELECT i.dept, COUNT(DISTINCT v.uid) AS n FROM visits v JOIN s USING (uid) JOIN items i ON i.item = v.item "
        "GROUP BY 1"
    )
    parts = {
        "keys": {"dept": {"from": "items.dept"}},
        "contribution": {"max_groups": 1},
        "bounds": {},
        "parameters": {},
    }
    analysis = analysed(sql, **parts)
    assert {table: set(columns) for table, columns in analysis.reads.items()} == {
        "visits": {"uid", "item"},
        "calls": {"uid", "minutes", "topic"},
        "items": {"item", "dept"},
    }


def test_canonical_sql_keeps_every_token() -> None:
    assert canonical_sql("SELECT 'it''s',\"a\"\"b\" ,1e5 --x\n+$p") == "SELECT 'it''s' , \"a\"\"b\" , 1e5 + $ p"


def test_parameters_make_another_hash_but_not_another_version() -> None:
    sql = SQL.replace("GROUP BY", "AND v.n > $least GROUP BY")
    one, other = (planned(sql, given={"least": least}, **PARTS) for least in (1, 2))
    assert one.query_version == other.query_version
    assert one.sql == other.sql
    assert one.hash != other.hash


def test_everything_that_decides_the_distribution_is_in_the_hash() -> None:
    plans = [
        planned(SQL, **PARTS),
        planned(SQL, **(PARTS | {"cost": {"rho": 0.2}})),
        planned(SQL, **(PARTS | {"bounds": {"s": [0, 60], "n": [0, 9]}})),
        planned(SQL, **(PARTS | {"keys": {"band": {"values": ["low"]}}})),
    ]
    assert len({plan.hash for plan in plans}) == len(plans)
    assert planned(SQL, **PARTS).hash == plans[0].hash
    assert planned(SQL, **PARTS) == plans[0]


def test_a_plan_can_be_printed_and_read() -> None:
    plan = planned(SQL, **PARTS)
    assert "Plan(dataset='shop', query='q'" in repr(plan)
    unit, rows, groups, *draws, charge = plan.proof
    assert unit == "unit: one uid, with all its rows in every personal table, is added or removed"
    assert "at most 1000 a unit" in rows
    assert groups == "groups: 3 declared; one unit touches at most 1 (every key is a fact about the unit)"
    assert [line.split(":")[0] for line in draws] == ["s", "n"]
    assert "clipped to [0, 50]; sensitivity" in draws[0]
    assert charge == "charge: rho 0.1"
    assert sum((event["cells"] for event in plan.events), start=0) == 2
