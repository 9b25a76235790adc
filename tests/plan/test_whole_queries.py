"""Whole queries mean what they mean to DuckDB, noise apart; and what is known of a unit's rows and groups is true."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import duckdb
import pytest
from shop import answer, opened, planned, reasons, visit
from tame import TAME


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    return opened(TAME)


MANY = {"max_groups": 99, "max_rows": 1000}
ITEM = {"keys": {"item": {"values": [0, 1, 2, 3, 4]}}, "contribution": MANY}


def exact(shop: duckdb.DuckDBPyConnection, sql: str, **parts: Any) -> list[tuple[Any, ...]]:
    """The answer without noise: for each group, every draw in its measure's units."""
    plan = planned(sql, **parts)
    vectors = answer(shop, plan)
    return [
        tuple(vector[g] * draw.grid for vector, draw in zip(vectors, plan.draws, strict=True))
        for g in range(plan.groups)
    ]


@pytest.mark.parametrize(
    ("sql", "parts", "plain"),
    [
        (
            "SELECT COUNT(*) AS n, COUNT(DISTINCT uid) AS u, SUM(n) AS s, COUNT(wild) AS w FROM visits",
            {"bounds": {"n": [0, 99], "s": [-9999, 9999], "w": [0, 99]}},
            "SELECT count(*), count(DISTINCT uid), sum(n), count(wild) FROM visits",
        ),
        (
            "SELECT item, SUM(paid) AS s, COUNT(*) FILTER (WHERE n > 9) AS n, COUNT(DISTINCT uid) FILTER "
            "(WHERE flag) AS u, "
            "SUM(n) FILTER (WHERE flag) AS f FROM visits GROUP BY item",
            ITEM | {"bounds": {"s": [0, 9999], "n": [0, 99], "f": [-999, 999]}},
            "SELECT sum(paid), count(*) FILTER (n > 9), count(DISTINCT uid) FILTER (flag), coalesce(sum(n) "
            "FILTER (flag), 0) "
            "FROM visits GROUP BY item ORDER BY item",
        ),
        (
            "SELECT i.dept, SUM(v.paid) AS s FROM visits v JOIN items i ON v.item = i.item WHERE v.word LIKE "
            "'%p%' GROUP BY 1",
            {"keys": {"dept": {"values": ["books", "food", "toys"]}}, "contribution": MANY, "bounds": {"s": [0, 9999]}},
            "SELECT sum(paid) FROM visits JOIN items USING (item) WHERE word LIKE '%p%' GROUP BY dept ORDER BY dept",
        ),
        (
            "SELECT p.band, COUNT(DISTINCT v.uid) AS u FROM visits v, people p WHERE v.n > 0 GROUP BY p.band",
            None,
            "",
        ),
        (
            "SELECT p.Band AS b, SUM(v.paid) AS s FROM visits v LEFT JOIN people p USING (uid) GROUP BY b",
            {"bounds": {"s": [0, 9999]}},
            "SELECT sum(paid) FROM visits JOIN people USING (uid) WHERE band IS NOT NULL GROUP BY band ORDER BY band",
        ),
        (
            "WITH per AS (SELECT uid, SUM(paid) AS total, COUNT(*) AS c, AVG(n) AS m, MIN(day) AS first, "
            "MAX(word) AS w, "
            "COUNT(DISTINCT item) AS d, COUNT(wild) AS k FROM visits WHERE flag IS NOT NULL GROUP BY uid) "
            "SELECT CASE WHEN total > 290 THEN 'big' ELSE 'small' END AS tier, COUNT(*) AS n, SUM(c) AS s, "
            "SUM(d * k) AS e, "
            "COUNT(*) FILTER (WHERE first < '2017-02-01' AND w > 'a' AND m > 12) AS f FROM per GROUP BY tier",
            {"keys": {"tier": {"values": ["big", "small"]}}, "bounds": {"s": [0, 99], "e": [0, 999]}},
            "WITH per AS (SELECT uid, sum(paid) AS total, count(*) AS c, avg(n) AS m, min(day) AS first, "
            "max(word) AS w, "
            "count(DISTINCT item) AS d, count(wild) AS k FROM visits WHERE flag IS NOT NULL GROUP BY uid) "
            "SELECT count(*), sum(c), sum(d * k), count(*) FILTER (first < '2017-02-01' AND w > 'a' AND m > "
            "12) FROM per "
            "GROUP BY total > 290 ORDER BY total > 290 DESC",
        ),
        (
            "SELECT COUNT(*) AS n, SUM(s.t * c.minutes) AS x FROM (SELECT uid AS who, item, SUM(n) AS t FROM visits "
            "GROUP BY uid, item) AS s JOIN calls c ON c.uid = s.who WHERE c.topic = 'a' AND s.t > 3",
            {"bounds": {"n": [0, 999], "x": [-99999, 99999]}},
            "SELECT count(*), sum(t * minutes) FROM (SELECT uid, item, sum(n) AS t FROM visits GROUP BY ALL) s "
            "JOIN calls c USING (uid) WHERE topic = 'a' AND t > 3",
        ),
        (
            "WITH a AS (SELECT uid, n, paid FROM visits WHERE n > 3), b AS (SELECT a.uid, SUM(a.paid) AS p FROM a "
            "JOIN people USING (uid) GROUP BY ALL) SELECT COUNT(*) AS n, SUM(b.p) AS s FROM b",
            {"bounds": {"s": [0, 99999]}},
            "SELECT count(*), sum(p) FROM (SELECT uid, sum(paid) AS p FROM visits JOIN people USING (uid) "
            "WHERE n > 3 GROUP BY 1)",
        ),
        (
            "WITH c AS (SELECT dept, COUNT(*) AS k, AVG(cost) AS m, MAX(item) AS top FROM items GROUP BY dept) "
            "SELECT c.dept, SUM(c.k) AS s, SUM(v.paid * c.m) AS x FROM visits v JOIN items i USING (item) JOIN "
            "c ON c.dept = i.dept "
            "WHERE v.item <= c.top GROUP BY 1",
            {
                "keys": {"dept": {"values": ["books", "food", "toys"]}},
                "contribution": MANY,
                "bounds": {"s": [0, 999], "x": [0, 99999]},
            },
            "WITH c AS (SELECT dept, count(*) AS k, avg(cost) AS m FROM items GROUP BY dept) SELECT sum(k), "
            "sum(paid * m) "
            "FROM visits JOIN items USING (item) JOIN c USING (dept) GROUP BY dept ORDER BY dept",
        ),
        (
            "SELECT DATE_TRUNC('month', seen) AS month, COUNT(*) AS n FROM visits WHERE seen < '2017-04-01' "
            "GROUP BY month",
            {
                "keys": {"month": {"values": ["2017-01-01", "2017-02-01", "2017-03-01"]}},
                "contribution": MANY,
                "bounds": {"n": [0, 99]},
            },
            "SELECT count(*) FROM visits WHERE seen < '2017-04-01' GROUP BY month(seen) ORDER BY month(seen)",
        ),
        (
            "FROM visits SELECT COUNT(*) AS n, SUM(paid) AS s WHERE visits.n NOT IN (3, 9) -- a comment\n;",
            {"bounds": {"n": [0, 99], "s": [0, 9999]}},
            "SELECT count(*), sum(paid) FROM visits WHERE n NOT IN (3, 9)",
        ),
        (
            'SELECT "Item" AS item, COUNT(*) AS n FROM "VISITS" AS "My ""Visits""" WHERE "My ""Visits""".PAID '
            "> 5 GROUP BY ALL",
            ITEM | {"bounds": {"n": [0, 99]}},
            "SELECT count(*) FROM visits WHERE paid > 5 GROUP BY item ORDER BY item",
        ),
    ],
    ids=lambda v: str(v)[:50],
)
def test_a_query_without_its_noise_is_duckdbs_answer(
    shop: duckdb.DuckDBPyConnection, sql: str, parts: dict[str, Any] | None, plain: str
) -> None:
    if parts is None:
        assert reasons(sql)
        return
    ours = exact(shop, sql, **parts)
    theirs = shop.execute(plain).fetchall()
    if "Band" in sql:
        theirs = [theirs[0], theirs[1], theirs[2]]
    assert len(ours) == len(theirs)
    for row, expected in zip(ours, theirs, strict=True):
        assert [float(x) for x in row] == pytest.approx([float(x) for x in expected], rel=1e-4, abs=0.2)


def test_a_mean_is_centred_and_counts_the_rows_that_have_a_value(shop: duckdb.DuckDBPyConnection) -> None:
    plan = planned(
        "SELECT item, AVG(paid) AS a, AVG(wild) AS b FROM visits GROUP BY item",
        **(ITEM | {"bounds": {"a": [0, 100], "b": [-1e6, 1e6]}}),
    )
    total, count, total_b, count_b = answer(shop, plan)
    rows = shop.execute(
        "SELECT avg(paid), count(paid), avg(wild), count(wild) FROM visits GROUP BY item ORDER BY item"
    ).fetchall()
    for g, (mean, rows_a, mean_b, rows_b) in enumerate(rows):
        assert (count[g], count_b[g]) == (rows_a, rows_b)
        assert 50 + float(total[g] * plan.draws[0].grid) / count[g] == pytest.approx(mean, abs=1e-3)
        assert float(total_b[g] * plan.draws[2].grid) / count_b[g] == pytest.approx(mean_b, abs=2)


def test_a_mean_of_bounds_that_do_not_straddle_zero_costs_no_more_for_it() -> None:
    near, far = (
        planned("SELECT AVG(paid) AS a FROM visits", bounds={"a": bounds}).draws[0] for bounds in ([0, 10], [90, 100])
    )
    assert near.mechanism.sensitivity.per_cell * near.grid == far.mechanism.sensitivity.per_cell * far.grid
    assert near.mechanism.sensitivity.per_cell * near.grid == Fraction(20 * 5)


def test_arithmetic_between_aggregates_is_drawn_once_for_each_aggregate() -> None:
    plan = planned(
        "SELECT SUM(paid) AS s, COUNT(*) AS n, SUM(paid) / NULLIF(COUNT(*), 0) AS r, 100 * (SUM(paid) - "
        "COUNT(*)) AS d, "
        "CAST(SUM(paid) AS DOUBLE) / COUNT(*) AS e, -COUNT(*) AS m, AVG(paid) AS a, AVG(paid) * 2 AS b FROM visits",
        bounds={"s": [0, 10], "n": [0, 5]},
    )
    assert [draw.name for draw in plan.draws] == ["s", "n", "a.sum", "a.rows"]
    assert [output.name for output in plan.outputs] == list("snrdemab")


def test_parameters_stand_where_values_do(shop: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "SELECT COUNT(*) AS n FROM visits WHERE day >= $since AND seen < $until AND n > $least AND word LIKE $like "
        "AND word <> $word AND item IN ($least, $one) AND CAST($since AS VARCHAR) < '2018'"
    )
    parts: dict[str, Any] = {
        "parameters": {
            "since": {"type": "date", "min": "2017-01-01", "max": "2017-12-31", "default": "2017-01-05"},
            "until": {"type": "date", "min": "2017-01-01", "max": "2018-01-02", "default": "2018-01-01"},
            "least": {"type": "integer", "min": 0, "max": 9, "default": 2},
            "one": {"type": "enum", "values": [1, 3], "default": 1},
            "like": {"type": "enum", "values": ["%p%", "%'%"], "default": "%p%"},
            "word": {
                "type": "enum",
                "values": ["'; DROP TABLE visits; --", "x"],
                "default": "'; DROP TABLE visits; --",
            },
        },
        "bounds": {"n": [0, 99]},
    }
    plan = planned(sql, **parts)
    assert "DROP" not in plan.sql
    (expected,) = shop.execute(
        "SELECT count(*) FROM visits WHERE day >= '2017-01-05' AND seen < '2018-01-01' AND n > 2 AND word LIKE '%p%' "
        "AND item IN (1, 2)"
    ).fetchall()
    assert answer(shop, plan) == [[expected[0]]]
    narrower = planned(sql, given={"since": "2017-06-01", "like": "%'%"}, **parts)
    assert narrower.sql == plan.sql
    assert answer(shop, narrower)[0][0] < expected[0]


@pytest.mark.parametrize(
    ("from_", "fact"),
    [
        ("people p", True),
        ("visits v JOIN people p USING (uid)", True),
        ("visits v LEFT JOIN people p ON v.uid = p.uid", True),
        ("visits v JOIN people p ON v.uid = p.uid AND p.age > v.n", False),
        ("visits v LEFT JOIN people p ON (v.uid = p.uid AND p.age > v.n)", False),
        ("visits v LEFT JOIN calls c ON c.uid = v.uid AND c.minutes > v.n LEFT JOIN people p ON p.uid = c.uid", False),
        ("visits v JOIN calls c USING (uid) JOIN people p ON p.uid = c.uid", True),
        ("items i JOIN visits v USING (item) JOIN people p USING (uid)", True),
    ],
)
def test_a_key_is_a_fact_about_the_unit_only_if_all_its_rows_meet_the_same(from_: str, fact: bool) -> None:
    sql = f"SELECT p.band, COUNT(DISTINCT {'p' if from_ == 'people p' else 'v'}.uid) AS n FROM {from_} GROUP BY 1"
    assert bool(reasons(sql)) is not fact  # without max_groups, only facts will do
    assert reasons(sql, contribution={"max_groups": 1}) == []


def test_one_key_that_is_no_fact_about_the_unit_needs_max_groups() -> None:
    sql = "SELECT p.band, v.item, COUNT(DISTINCT v.uid) AS n FROM visits v JOIN people p USING (uid) GROUP BY 1, 2"
    keys = {"item": {"values": [0, 1]}}
    assert [reason.what for reason in reasons(sql, keys=keys)] == ["no bound on the groups that one unit may touch"]
    assert planned(sql, keys=keys, contribution={"max_groups": 2}).draws[0].mechanism.sensitivity.cells == 2


@pytest.mark.parametrize(
    ("from_", "one"),
    [
        ("people p", True),
        ("(SELECT uid, COUNT(*) AS c FROM visits GROUP BY uid) AS s", True),
        ("(SELECT uid, COUNT(*) AS c FROM visits GROUP BY uid) AS s LEFT JOIN people p USING (uid)", True),
        ("(SELECT uid, item, COUNT(*) AS c FROM visits GROUP BY uid, item) AS s", False),
        ("(SELECT v.uid FROM visits v JOIN people p USING (uid)) AS s", False),
        ("(SELECT p.uid, age FROM people p) AS s", True),
        ("people p JOIN items i ON i.item = p.age", False),
        ("people p LEFT JOIN items i ON i.item = p.age AND i.cost > 3", False),
        ("people p LEFT JOIN visits v ON v.uid = p.uid AND v.n = p.age", False),
        ("(SELECT p.uid, i.dept FROM people p JOIN items i ON i.item = p.age) AS s", False),
    ],
)
def test_a_unit_has_one_row_only_where_nothing_multiplies_it(from_: str, one: bool) -> None:
    assert bool(reasons(f"SELECT COUNT(*) AS n FROM {from_}")) is not one  # without bounds, only one row will do


def test_counts_per_unit_are_not_cut_short_by_joins() -> None:
    """A join with a public table may give a unit more rows than `max_rows_per_unit` lets it load."""
    rows = {"visits": [visit(1, item=0)] * 40, "items": [(0, "food", 1.0)] * 40}
    plan = planned(
        "WITH s AS (SELECT v.uid, COUNT(*) AS c, SUM(i.cost) AS x FROM visits v JOIN items i USING (item) "
        "GROUP BY v.uid) "
        "SELECT SUM(c) AS n, SUM(x) AS s FROM s",
        bounds={"n": [0, 5000], "s": [0, 5000]},
    )
    vectors = answer(opened(rows), plan)
    assert [vector[0] * draw.grid for vector, draw in zip(vectors, plan.draws, strict=True)] == [1600, 1600]
