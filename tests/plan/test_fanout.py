"""What multiplies one unit's rows in joins, and how much is read so that they stay below the cap."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import DATASET, analysed, opened, planned, reasons, visit

from dpstats.catalog.dataset import parse_dataset
from dpstats.plan.fanout import (
    CELL_MAX,
    JOINED_ROWS_MAX,
    JOINED_TEXT_MAX,
    Fanout,
    Matches,
    Reading,
    TooManyMatchesError,
    in_words,
    one_each,
    readings,
)

BIG = parse_dataset(DATASET.replace("max_rows_per_unit: 1000", "max_rows_per_unit: 20000"), "dataset.yaml")
N = {"bounds": {"n": [0, 5]}}
V, C, ITEMS = (Fanout((t,), (), frozenset({t})) for t in ("v", "c", "i"))
FEW, MANY = Matches("few", "f"), Matches("many", "m")
SIZES = {FEW: 4, MANY: JOINED_ROWS_MAX + 1}


def public(matches: Matches) -> int:
    return SIZES[matches]


def test_what_stays_below_the_cap_is_read_whole() -> None:
    assert readings([V.times(C)], 1000, "vci", one_each) == dict.fromkeys("vc", Reading(None, 64))
    assert readings([V.times(C)], 50, "vci", one_each) == {}


def test_a_join_past_the_cap_reads_as_many_rows_of_each_table() -> None:
    assert readings([V.times(C)], 20_000, "vci", one_each) == dict.fromkeys("vc", Reading(1000, 64))
    assert readings([V.times(V).times(C)], 20_000, "vci", one_each) == dict.fromkeys("vc", Reading(100, 64))


def test_public_rows_that_match_count_too() -> None:
    assert readings([Fanout(("v",), (FEW,), frozenset("v"))], 400_000, "vci", public)["v"].rank == 250_000
    assert readings([V.times(C).times(Fanout((), (FEW, FEW)))], 20_000, "vci", public)["v"].rank == 250


def test_public_rows_alone_may_be_too_many() -> None:
    with pytest.raises(TooManyMatchesError, match="1000001 rows of many"):
        readings([V.times(Fanout((), (MANY,)))], 1, "vci", public)


def test_a_table_is_read_up_to_the_least_of_its_ranks() -> None:
    found = readings([V.times(C), V.times(V).times(V)], 20_000, "vci", one_each)
    assert {table: reading.rank for table, reading in found.items()} == {"v": 100, "c": 1000}


def test_texts_are_cut_wherever_they_come_from() -> None:
    found = readings([V.times(C).times(ITEMS.merged())], 20_000, "vci", one_each)
    assert found["i"] == Reading(None, 64)
    assert in_words(found)[1] == "of one unit, the first 64 characters of a text of i enter the query's joins"


@given(st.integers(1, 10**7), st.integers(1, 30), st.integers(1, JOINED_ROWS_MAX))
def test_no_product_passes_the_cap_and_one_row_more_would(max_rows: int, tables: int, matched: int) -> None:
    fanout = Fanout(("v",) * tables, (FEW,), frozenset("v"))
    reading = readings([fanout], max_rows, "vci", lambda _: matched).get("v", Reading())
    rank, characters = reading.rank or max_rows, reading.characters or CELL_MAX
    assert rank**tables * matched <= JOINED_ROWS_MAX
    assert rank == max_rows or (rank + 1) ** tables * matched > JOINED_ROWS_MAX
    assert (tables, matched) == (1, 1) or rank**tables * matched * characters <= JOINED_TEXT_MAX


def ranks(sql: str) -> Mapping[str, int | None]:
    found = readings(analysed(sql, shop=BIG, **N).fanouts, 20_000, "vci", one_each)
    return {table: reading.rank for table, reading in found.items() if reading.rank}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("visits", {}),
        ("visits JOIN people USING (uid)", {}),
        ("visits v JOIN calls c USING (uid)", {"visits": 1000, "calls": 1000}),
        ("visits v LEFT JOIN calls c ON c.uid = v.uid AND c.topic = v.word", {"visits": 1000, "calls": 1000}),
        ("visits a JOIN visits b USING (uid) JOIN visits c USING (uid)", {"visits": 100}),
        ("visits v JOIN (SELECT uid, COUNT(*) AS k FROM calls GROUP BY uid) AS p USING (uid)", {}),
        ("visits v JOIN (SELECT uid, topic FROM calls) AS p USING (uid)", {"visits": 1000, "calls": 1000}),
        ("visits v JOIN (SELECT uid, topic FROM calls GROUP BY 1, 2) AS p USING (uid)",
         {"visits": 1000, "calls": 1000}),
        ("(SELECT a.uid FROM visits a JOIN calls b USING (uid) GROUP BY a.uid) AS p", {"visits": 1000, "calls": 1000}),
        ("(SELECT a.uid FROM visits a JOIN visits b USING (uid)) AS p JOIN calls c USING (uid)",
         {"visits": 100, "calls": 100}),
    ],
)  # fmt: skip
def test_a_query_counts_every_table_of_many_rows_as_often_as_it_is_joined(source: str, expected: object) -> None:
    assert ranks(f"SELECT COUNT(*) AS n FROM {source}") == expected


def test_a_plan_says_what_enters_its_joins() -> None:
    sql = "SELECT COUNT(c.topic) AS n FROM visits v JOIN calls c USING (uid)"
    plan, found = planned(sql, shop=BIG, **N), analysed(sql, shop=BIG, **N)
    line = "of one unit, at most 1000 rows (chosen by keyed hash) and the first 64 characters of a text of calls enter"
    assert any(line in proof for proof in plan.proof)
    assert any(line in warning for warning in found.warnings)
    assert plan.outputs[0].bounding.endswith("of one unit at most 1000 rows of calls and 1000 rows of visits in joins")
    assert plan.sql.count("dp_rank <= 1000") == 2


def test_a_plan_below_the_caps_is_as_it_was() -> None:
    plan = planned("SELECT COUNT(*) AS n FROM visits JOIN people USING (uid)", shop=BIG, **N)
    assert "dp_rank" not in plan.sql
    assert not any("joins:" in line for line in plan.proof)


ITEM_ROWS = [(i % 4, f"d{i % 3}", float(i)) for i in range(24)] + [(None, "d0", 1.0)] * 50
MINE = {"visits": [visit(1, item=i % 4, word=f"d{i % 3}", n=i) for i in range(12)], "items": ITEM_ROWS,
        "calls": [(1, 1.0, "d1")] * 5}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "most"),
    [
        ("visits v JOIN items i USING (item)", 6),
        ("visits v JOIN items i ON i.item = v.item AND i.dept = v.word", 2),
        ("items i JOIN visits v ON v.item = i.item", 6),
        ("visits v CROSS JOIN items i WHERE v.item + 1 = i.item AND i.dept = 'd1'", 2),
        ("visits v JOIN items i ON i.item <= v.item", 74),
        ("visits v JOIN items i ON i.item = v.item OR i.item = 3", 74),
        ("visits v JOIN items i ON i.item * 2 = v.item", 74),
        ("visits v JOIN items i ON i.cost = v.item", 51),
        ("visits v LEFT JOIN items i ON i.item = v.item WHERE i.dept = 'd2' OR i.dept IS NULL", 6),
        ("visits v JOIN items i USING (item) JOIN items j ON j.dept = i.dept", 6 * 58),
        ("visits v CROSS JOIN items i LEFT JOIN items j ON j.item = i.item AND i.item = v.item", 74 * 6),
        ("visits v JOIN (SELECT item, COUNT(*) AS k FROM items GROUP BY item) AS p USING (item)", 1),
        ("visits v JOIN (SELECT item, dept FROM items WHERE dept = 'd1') AS p USING (item)", 2),
        ("visits v JOIN calls c USING (uid) JOIN items i ON i.dept = c.topic AND i.item = v.item", 2),
    ],
)
def test_what_a_row_meets_of_public_tables_is_counted_and_is_never_too_little(source: str, most: int) -> None:
    connection = opened(MINE, shop=BIG)
    counted: list[int] = []

    def count(sql: str, _parameters: object) -> int:
        counted.append(connection.execute(sql).fetchall()[0][0])
        return counted[-1]

    planned(f"SELECT COUNT(*) AS n FROM {source}", shop=BIG, count=count, **N)
    times = 1
    for each in counted:
        times *= max(1, each)
    rows = 12 * (5 if "calls" in source else 1)
    joined = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]
    assert times == most
    assert joined <= rows * times


def test_public_rows_that_multiply_past_the_cap_are_refused_with_the_way_out() -> None:
    def count(sql: str, _parameters: object) -> int:
        return JOINED_ROWS_MAX + 1

    with pytest.raises(Exception, match=r"1000001 rows of i: together more than 1000000.*by equality"):
        planned("SELECT COUNT(*) AS n FROM visits v CROSS JOIN items i", count=count, **N)


def test_parameters_reach_the_count() -> None:
    seen: list[Mapping[str, object]] = []

    def count(sql: str, parameters: Mapping[str, object]) -> int:
        seen.append(parameters)
        assert "$p_d::VARCHAR" in sql
        return 1

    sql = "WITH i AS (SELECT item FROM items WHERE dept = $d) SELECT COUNT(*) AS n FROM visits JOIN i USING (item)"
    planned(sql, count=count, parameters={"d": {"type": "enum", "values": ["a", "b"], "default": "b"}}, **N)
    assert [dict(parameters) for parameters in seen] == [{"d": "b"}]


def test_too_many_tables_and_subqueries_are_refused() -> None:
    joins = " ".join(f"JOIN people p{i} USING (uid)" for i in range(20))
    assert "more than 20 tables" in reasons(f"SELECT COUNT(*) AS n FROM visits {joins}", **N)[0].what
    ctes = ", ".join(f"c{i} AS (SELECT uid FROM people)" for i in range(41))
    assert "more than 40 CTEs" in reasons(f"WITH {ctes} SELECT COUNT(*) AS n FROM visits", **N)[0].what
    words = " || ".join(["word"] * 501)
    assert "more than 500 texts" in reasons(f"SELECT COUNT(*) AS n FROM visits WHERE {words} = ''", **N)[0].what


def test_what_is_at_those_limits_is_planned_by_duckdb() -> None:
    """Chained CTEs that use a column twice, the joins of one FROM, and a text of many parts."""
    chain = ["c0 AS (SELECT uid, SUM(paid) AS x FROM visits GROUP BY uid)"]
    chain += [f"c{i} AS (SELECT a.uid, LEAST(a.x * b.x, 9) AS x FROM c{i - 1} a JOIN c{i - 1} b USING (uid) "
              "WHERE a.x > 0)" for i in range(1, 40)]  # fmt: skip
    joins = " ".join(f"JOIN people p{i} USING (uid)" for i in range(19))
    words = " || ".join(["word"] * 500)
    connection = opened({"visits": [visit(1, paid=2.0, word="a")], "people": [(1, "low", 3)]})
    for sql in (
        f"WITH {', '.join(chain)} SELECT COUNT(*) AS n FROM c39 WHERE x > 1",
        f"SELECT COUNT(*) AS n FROM visits {joins}",
        f"SELECT COUNT(*) AS n FROM visits WHERE LENGTH({words}) > 3",
    ):
        assert _counted(connection, sql) == 1


def _counted(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    plan = planned(sql, **N)
    ((_, count),) = connection.execute(plan.sql, {"dp_key": 1}).fetchall()
    return int(count)


def test_one_public_row_for_each_changes_nothing() -> None:
    plan = planned("SELECT COUNT(v.word) AS n FROM visits v JOIN items USING (item)", shop=BIG, count=lambda *_: 1, **N)
    assert "dp_rank" not in plan.sql
    assert "left(" not in plan.sql
