"""The claim under everything: one unit, with all its rows, moves each exact vector by no more than is priced."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import duckdb
import pytest
import shop
from hypothesis import given, settings
from hypothesis import strategies as st
from neighbours import check, connections, shop_rows
from shop import PURE, answer, opened, planned, visit

from dpstats.plan.plan import Plan

TWO = {"contribution": {"max_groups": 2, "max_rows": 3}}
NORMED = {"a": [-5, 50], "w": [-5, 50]}
Q: dict[str, tuple[str, dict[str, Any]]] = {
    "by a fact about the unit": (
        "SELECT p.band, COUNT(DISTINCT v.uid) AS people, SUM(v.paid) AS spend, AVG(v.paid) AS mean, "
        "COUNT(*) FILTER (WHERE v.n > 1) AS many FROM visits v JOIN people p USING (uid) GROUP BY p.band",
        {"bounds": {"spend": [0, 150], "many": [0, 5]}, "contribution": {"max_rows": 3}},
    ),
    "by a public column and a month": (
        "SELECT i.dept, date_trunc('month', v.day) AS month, SUM(v.paid * v.n) AS s, AVG(v.wild) AS a, COUNT(*) AS c "
        "FROM visits v JOIN items i USING (item) GROUP BY 1, 2",
        {
            "keys": {"dept": {"from": "items.dept"}, "month": {"values": ["2017-01-01", "2017-03-01"]}},
            "bounds": {"s": [-50, 100], "a": [-3, 4], "c": [0, 4]},
            "contribution": {"max_groups": 2, "max_rows": 2},
        },
    ),
    "by tiers of a subquery": (
        "WITH per AS (SELECT uid, SUM(paid) AS total, COUNT(*) AS visits FROM visits GROUP BY uid) "
        "SELECT CASE WHEN total > 150 THEN 'high' WHEN total > 50 THEN 'mid' ELSE 'low' END AS tier, COUNT(*) AS n, "
        "AVG(total / visits) AS basket FROM per GROUP BY tier",
        {"keys": {"tier": {"values": ["low", "mid", "high"]}}, "bounds": {"basket": [0, 80]}},
    ),
    "joins that fan out": (
        "SELECT COUNT(*) AS n, SUM(a.paid * b.n) AS s, AVG(a.paid - b.paid) AS m "
        "FROM visits a JOIN visits b USING (uid) JOIN calls c ON c.uid = b.uid",
        {"bounds": {"n": [0, 9], "s": [-1000, 1000], "m": [-20, 30]}},
    ),
    "joins that may find nobody": (
        "SELECT COALESCE(p.band, 'none') AS band, COUNT(DISTINCT v.uid) AS n, SUM(v.n) AS s FROM visits v "
        "LEFT JOIN people p ON v.uid = p.uid AND p.age > v.n LEFT JOIN calls c ON p.uid = c.uid GROUP BY 1",
        {
            "keys": {"band": {"values": ["none", "low", "high", "mid"]}},
            "bounds": {"s": [-7, 11]},
            "contribution": {"max_groups": 2},
        },
    ),
    "a unit under another name": (
        "WITH a AS (SELECT uid AS person, COUNT(DISTINCT word) AS words, MAX(paid) AS top FROM visits WHERE flag "
        "GROUP BY uid), b AS (SELECT uid, topic, AVG(minutes) AS m FROM calls GROUP BY uid, topic) "
        "SELECT b.topic, SUM(a.words) AS w, AVG(a.top * b.m) AS z FROM b JOIN a ON b.uid = a.person GROUP BY ALL",
        {
            "keys": {"topic": {"values": ["a", "b", ""]}},
            "bounds": {"w": [0, 4], "z": [0, 100]},
            "contribution": {"max_groups": 2, "max_rows": 1},
        },
    ),
    "odd words as keys": (
        "SELECT s.w AS word, COUNT(*) AS n FROM (SELECT v.uid AS who, LOWER(v.word) AS w, i.dept AS d FROM visits v "
        "JOIN items i ON v.item <= i.item WHERE v.paid > 0) AS s JOIN people ON people.uid = s.who GROUP BY 1",
        {
            "keys": {"word": {"values": ["a", "é", "", "o'x", '"', "\\", "$k_0", "dp_rows"]}},
            "bounds": {"n": [0, 3]},
            "contribution": {"max_groups": 3},
        },
    ),
    "a public subquery first": (
        "WITH d AS (SELECT dept, COUNT(*) AS k, SUM(cost) AS c FROM items GROUP BY dept) "
        "SELECT d.dept, SUM(d.c) AS s, COUNT(*) AS n FROM d CROSS JOIN visits WHERE d.k > 1 GROUP BY d.dept",
        {
            "keys": {"dept": {"from": "items.dept"}},
            "bounds": {"s": [0, 20], "n": [2, 6]},
            "contribution": {"max_groups": 1},
        },
    ),
    "two zeros": (
        "WITH x AS (SELECT uid, MIN(CASE WHEN flag THEN paid ELSE -paid END) AS m, MAX(-wild) AS w FROM visits "
        "GROUP BY uid) SELECT CAST(m AS VARCHAR) AS k, COUNT(*) AS n, SUM(LEAST(GREATEST(w, -3), 3)) AS s "
        "FROM x GROUP BY 1",
        {"keys": {"k": {"values": ["0.0", "-0.0", "-0.1", "0.1", "-100.0"]}}, "bounds": {"s": [-2, 2]}},
    ),
    "a subquery that merges the absent": (
        "WITH x AS (SELECT c.uid AS u2, COUNT(*) AS n, SUM(v.paid) AS s FROM visits v LEFT JOIN calls c USING (uid) "
        "GROUP BY c.uid) SELECT COUNT(*) AS n, SUM(x.s) AS s, AVG(x.n) AS a FROM visits v LEFT JOIN x ON x.u2 = v.uid",
        {"bounds": {"n": [0, 5], "s": [0, 500], "a": [0, 30]}},
    ),
    "what may overflow": (
        "SELECT GREATEST(v.big, v.n) AS k, v.flag AS f, COUNT(DISTINCT v.uid) AS u, "
        "SUM(LEAST(GREATEST(v.big * 2, -9), 9)) AS s, AVG(v.price) AS p FROM visits v "
        "WHERE v.word LIKE '%' OR v.wild / v.paid > 3 OR v.day + INTERVAL 999999 YEAR > v.seen GROUP BY 1, 2",
        {
            "keys": {"k": {"values": [0, 1, 10, 50, 2**63 - 1]}, "f": {"values": [True, False]}},
            "bounds": {"s": [-10, 10]},
            "contribution": {"max_groups": 3},
        },
    ),
    "subqueries of subqueries": (
        "WITH y AS (SELECT uid, word, day, SUM(n) AS n FROM visits GROUP BY uid, word, day), "
        "z AS (SELECT uid, AVG(n) AS a, MAX(word) AS w FROM y GROUP BY uid) "
        "SELECT z.w, AVG(z.a) AS a, SUM(z.a) AS s, COUNT(*) AS c FROM z JOIN y USING (uid) GROUP BY z.w",
        {
            "keys": {"w": {"values": ["a", "🎉", "true", "é"]}},
            "bounds": {"a": [-5, 9], "s": [-20, 20], "c": [0, 2]},
            "contribution": {"max_groups": 1, "max_rows": 2},
        },
    ),
    "distinct values": (
        "SELECT item, COUNT(DISTINCT word) AS w, COUNT(DISTINCT wild) AS x, COUNT(DISTINCT seen) FILTER (WHERE "
        "flag) AS z "
        "FROM visits GROUP BY item",
        {"keys": {"item": {"values": [0, 1, 2, 3]}}, "bounds": {"w": [0, 3], "x": [0, 2], "z": [0, 1]}, **TWO},
    ),
    "variances": (
        "SELECT item, VAR_POP(paid) AS w, STDDEV_POP(wild) AS x, AVG(paid) AS a FROM visits GROUP BY item",
        {"keys": {"item": {"values": [0, 1, 2, 3]}}, "bounds": {"w": [0, 100], "x": [-5, 9], "a": [0, 100]}, **TWO},
    ),
    "norms": (
        "SELECT item, flag, COUNT(*) AS n, SUM(paid) AS s, AVG(n) AS a, VAR_POP(n) AS w, COUNT(DISTINCT uid) AS u "
        "FROM visits GROUP BY 1, 2",
        {"keys": {"item": {"values": [0, 1, 2, 3]}}, "bounds": NORMED, "contribution": {"max_norm": 2.5}},
    ),
    "norms of their own": (
        "SELECT item, flag, COUNT(*) AS n, SUM(paid) AS s, AVG(n) AS a FROM visits JOIN calls USING (uid) "
        "GROUP BY 1, 2",
        {
            "keys": {"item": {"values": [0, 1, 2, 3]}},
            "bounds": {"a": [-5, 50], "s": [0, 60]},
            "contribution": {"max_norm": {"n": 3.3, "s": 77, "a": 1.5}},
        },
    ),
    "a median": (
        "SELECT item, MEDIAN(paid) AS m, COUNT(*) AS n, QUANTILE_CONT(wild, 0.9) FILTER (WHERE flag) AS w FROM visits "
        "GROUP BY item",
        {"keys": {"item": {"values": [0, 1, 2, 3]}}, "bounds": {"n": [0, 3], "w": [-5, 9]}, **TWO},
    ),
    "several quantiles": (
        "SELECT item, QUANTILE_CONT(n, 0.25) AS lo, QUANTILE_CONT(n, 0.75) - MEDIAN(n) AS d, MEDIAN(age) AS a "
        "FROM visits JOIN people USING (uid) GROUP BY item",
        {"keys": {"item": {"values": [0, 1, 2, 3]}}, "candidates": {"lo": [0, 1, 2, 7, 50]}, **TWO},
    ),
    "a median of facts": (
        "SELECT Band, MEDIAN(age) AS a FROM people GROUP BY Band",
        {"candidates": {"a": 7}},
    ),
    "the largest groups": (
        "SELECT item, COUNT(*) AS n, SUM(paid) AS s, AVG(n) AS a FROM visits GROUP BY item ORDER BY s DESC LIMIT 2",
        {
            "keys": {"item": {"values": [0, 1, 2, 3]}},
            "bounds": {"n": [0, 3], "s": [-20, 60]},
            "contribution": {"max_groups": 2, "max_rows": 3},
        },
    ),
    "quantiles of private keys": (
        "SELECT word, flag, MEDIAN(paid) AS m, COUNT(*) AS n FROM visits GROUP BY 1, 2 ORDER BY n DESC LIMIT 3",
        {"keys": {"word": {"private": True}}, "bounds": {"n": [0, 3]}, **TWO},
    ),
    "private keys": (
        "SELECT word, seen, flag, COUNT(*) AS n, SUM(paid) AS s, COUNT(DISTINCT n) AS d FROM visits GROUP BY 1, 2, 3",
        {
            "keys": {"word": {"private": True}, "seen": {"private": True}},
            "bounds": {"n": [0, 3], "s": [0, 60], "d": [0, 2]},
            "contribution": {"max_groups": 3},
        },
    ),
}


def public(table: str, column: str) -> list[str]:
    assert (table, column) == ("items", "dept")
    return ["food", "toys", "books"]


PLANS: dict[str, Plan] = {name: planned(sql, public=public, **parts) for name, (sql, parts) in Q.items()}
PLANS |= {
    f"{name}, of pure DP": planned(sql, shop=PURE, public=public, **(parts | {"cost": {"epsilon": 1}}))
    for name, (sql, parts) in Q.items()
    if name in {"by a fact about the unit", "by a public column and a month", "norms", "norms of their own"}
}


@settings(max_examples=9, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_one_unit_moves_no_vector_by_more_than_its_price_says(seed: int, units: int) -> None:
    choice = random.Random(seed)
    given_ = connections(choice, shop_rows(choice, units), units=(0, 1))
    for plan in PLANS.values():
        check(plan, given_)


@pytest.fixture(scope="module")
def nine() -> list[duckdb.DuckDBPyConnection]:
    choice = random.Random(11)
    return connections(choice, shop_rows(choice, 9), units=range(9))


@pytest.mark.parametrize("name", PLANS)
def test_units_do_move_the_vectors(nine: list[duckdb.DuckDBPyConnection], name: str) -> None:
    """The claim above is not empty: these rows do reach the answer."""
    assert check(PLANS[name], nine) >= 2


def test_a_sensitivity_stated_too_small_would_be_noticed() -> None:
    """The harness has teeth: with the last clip taken out of the SQL, it fails."""
    plan = PLANS["by a fact about the unit"]
    looser = replace(plan, sql=plan.sql.replace("least(5, count(", "least(500, count("))
    assert looser.sql != plan.sql
    rows = {"visits": [visit(u, n=7) for u in (1, 2) for _ in range(30)], "people": [(1, "low", 3), (2, "low", 3)]}
    pair = connections(random.Random(0), rows, units=(1,))
    assert check(plan, pair) == 1
    with pytest.raises(AssertionError, match="many"):
        check(looser, pair)


def test_rows_of_nobody_count_nowhere() -> None:
    mine, people = visit(1, item=1, n=7, paid=1.0), {"people": [(1, "low", 30)], "calls": [(1, 2.0, "a")]}
    for name in ("by a fact about the unit", "joins that fan out", "a subquery that merges the absent"):
        alone = answer(opened({"visits": [mine], **people}), PLANS[name])
        beside = answer(opened({"visits": [mine, (None, *mine[1:]), (None, *mine[1:])], **people}), PLANS[name])
        assert alone == beside


def test_the_rows_of_a_mean_are_chosen_by_content_not_by_order() -> None:
    plan = planned("SELECT AVG(paid) AS a FROM visits", contribution={"max_rows": 3}, bounds={"a": [0, 100]})
    visits = [visit(1, paid=float(i % 40)) for i in range(60)]
    first = answer(opened({"visits": visits}), plan)
    assert first[1] == [3]
    for seed in range(5):
        assert answer(opened({"visits": random.Random(seed).sample(visits, 60)}), plan) == first


def test_the_groups_of_a_unit_are_chosen_by_content_not_by_order() -> None:
    plan = planned(
        "SELECT item, COUNT(DISTINCT uid) AS n FROM visits GROUP BY item",
        keys={"item": {"values": list(range(30))}},
        contribution={"max_groups": 4},
    )
    visits = [visit(u, item=i) for u in range(20) for i in range(30)]
    first = answer(opened({"visits": visits}), plan)
    assert sum(first[0]) == 80
    assert len({group for group, n in enumerate(first[0]) if n}) > 15  # not the same four of everyone
    assert answer(opened({"visits": random.Random(1).sample(visits, len(visits))}), plan) == first


def test_however_often_a_unit_comes_it_brings_its_share() -> None:
    plan = planned(
        "SELECT item, SUM(paid) AS s, AVG(paid) AS a FROM visits GROUP BY item",
        keys={"item": {"values": [0, 1, 2]}},
        bounds={"s": [0, 25]},
        contribution={"max_groups": 2, "max_rows": 2},
    )
    others = [visit(u, item=i % 3, paid=10.0) for u in range(1, 5) for i in range(9)]
    without = answer(opened({"visits": others}), plan)
    for copies in (1, 5, 50):
        mine = [visit(0, item=i, paid=10.0) for i in range(3)] * copies
        gained = [
            sum(more) - sum(less)
            for more, less in zip(answer(opened({"visits": others + mine}), plan), without, strict=True)
        ]
        assert gained[2] == 2 * min(copies, 2)  # rows of a mean: two in each of two groups
        assert gained[0] * plan.draws[0].grid == 2 * min(10 * copies, 25)


def test_what_is_kept_of_a_unit_depends_on_the_workspaces_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody outside can compute which of a unit's groups and rows stand for it."""
    groups = planned(
        "SELECT item, COUNT(DISTINCT uid) AS n FROM visits GROUP BY item",
        keys={"item": {"values": list(range(30))}},
        contribution={"max_groups": 3},
    )
    rows = planned("SELECT AVG(paid) AS a FROM visits", contribution={"max_rows": 3}, bounds={"a": [0, 100]})
    connection = opened({"visits": [visit(1, item=i, paid=float(2**i % 97)) for i in range(30)]})
    for plan in (groups, rows):
        kept = set()
        for key in range(8):
            monkeypatch.setattr(shop, "KEY", key)
            kept.add(str(answer(connection, plan)))
        assert len(kept) > 1


def test_the_order_of_rows_does_not_decide_the_sign_of_zero() -> None:
    """MIN and MAX take -0.0 and 0.0 for one value; which of them comes out must not depend on who came first."""
    sql = (
        "WITH x AS (SELECT uid, MIN({0}) AS a, MAX({0}) AS b FROM visits GROUP BY uid) "
        "SELECT CAST(a AS VARCHAR) || CAST(b AS VARCHAR) AS k, COUNT(*) AS n FROM x GROUP BY 1"
    )
    values = ["0.00.0", "-0.0-0.0", "0.0-0.0", "-0.00.0"]
    plan = planned(sql.format("CASE WHEN flag THEN paid ELSE -paid END"), keys={"k": {"values": values}})
    visits = [visit(1, flag=flag, paid=0.0) for flag in (True, False)]
    assert answer(opened({"visits": visits}), plan) == answer(opened({"visits": visits[::-1]}), plan)
    # Nor do the two make two groups of one unit in a subquery.
    grouped = sql.replace("GROUP BY uid)", "GROUP BY uid, {0})").format("CASE WHEN flag THEN paid ELSE -paid END")
    plan = planned(grouped, keys={"k": {"values": values}}, bounds={"n": [0, 5]}, contribution={"max_groups": 4})
    assert answer(opened({"visits": visits}), plan) == answer(opened({"visits": visits[::-1]}), plan)


def test_the_order_of_rows_does_not_change_a_unit_s_total() -> None:
    """A sum of doubles does depend on it: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1."""
    sql = (
        "WITH x AS (SELECT uid, SUM(paid) AS total, AVG(paid) AS mean FROM visits GROUP BY uid) "
        "SELECT CAST(total AS VARCHAR) AS k, COUNT(*) AS n, COUNT(DISTINCT mean) AS m FROM x GROUP BY 1"
    )
    values = ["0.6", "0.6000000000000001"]
    plan = planned(sql, keys={"k": {"values": values}}, bounds={"m": [0, 1]})
    visits = [visit(1, paid=paid) for paid in (0.1, 0.2, 0.3)]
    first = answer(opened({"visits": visits}), plan)
    assert sum(first[0]) == 1
    assert answer(opened({"visits": visits[::-1]}), plan) == first
