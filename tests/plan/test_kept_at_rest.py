"""What is kept at rest answers as the plan does: the same whole numbers, whatever the rows and the parameters."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from neighbours import check, shop_rows, without
from shop import PURE, SHOP, _bind, cells, opened, planned, visit

from dpstats.plan.at_rest import ALL_TIME
from dpstats.plan.plan import Plan

DAYS = {"type": "date", "min": "2015-01-01", "max": "2020-01-01"}
WINDOW = {"since": DAYS | {"default": "2016-01-01"}, "until": DAYS | {"default": "2018-01-01"}}
MORE = WINDOW | {"x": {"type": "integer", "min": 0, "max": 9, "default": 1}}
FLAT = "SELECT item, {} FROM visits WHERE day >= $since AND day < $until GROUP BY item"
ITEMS = {"item": {"values": [0, 1, 2, 3]}}
TWO = {"contribution": {"max_groups": 2, "max_rows": 2}}
ALL = "COUNT(*) AS n, SUM(paid) AS s, SUM(n) AS t, COUNT(n) FILTER (WHERE flag) AS f"
BOUNDS = {"n": [0, 4], "s": [0, 150], "t": [-9, 30], "f": [0, 2]}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "groups are dropped": (FLAT.format(ALL), {"bounds": BOUNDS, "contribution": {"max_groups": 2}}),
    "norms": (FLAT.format(ALL), {"contribution": {"max_norm": {"n": 4, "s": 150, "t": 20.5, "f": 3}}}),
    "people": (
        FLAT.format("COUNT(DISTINCT uid) AS u, COUNT(DISTINCT uid) FILTER (WHERE flag) AS w, SUM(n) AS t"),
        {"bounds": {"t": [-9, 30]}, "contribution": {"max_groups": 2}},
    ),
    "people by norms": (
        FLAT.format("COUNT(DISTINCT uid) AS u, COUNT(*) AS n, COUNT(DISTINCT uid) FILTER (WHERE flag) AS w"),
        {"contribution": {"max_norm": 1.7}},
    ),
    "people alone by norms": (FLAT.format("COUNT(DISTINCT uid) AS u"), {"contribution": {"max_norm": 1.2}}),
    "averages and variances": (FLAT.format("AVG(paid) AS a, VAR_POP(n) AS v"), TWO),
    "moments by norms": (
        FLAT.format("AVG(paid) AS a, STDDEV_POP(n) AS v, COUNT(*) AS n"),
        {"contribution": {"max_norm": 3}},
    ),
    "signs that cancel in a norm": (FLAT.format("SUM(n) AS t"), {"contribution": {"max_norm": 8}}),
    "a text that looks like a table's": (
        "SELECT item, COUNT(*) AS n FROM visits WHERE word <> 'dp_rest.x' AND word IN ('a', 'dp_rest.kept', 'é') "
        "AND day >= $since AND day < $until GROUP BY item",
        {"bounds": {"n": [0, 2]}, "contribution": {"max_groups": 2}},
    ),
    "signs that cancel": (
        FLAT.format("SUM(n) AS t, SUM(CASE WHEN flag THEN paid ELSE -paid END) AS s"),
        {"bounds": {"t": [-6, 6], "s": [-50, 80]}, "contribution": {"max_groups": 3}},
    ),
    "between, and a choice": (
        "SELECT item, COUNT(*) AS n FROM visits v JOIN people p USING (uid) "
        "WHERE v.seen BETWEEN $since AND $until AND p.age > 20 AND (v.word = $word OR v.n >= $least) GROUP BY item",
        {
            "bounds": {"n": [0, 3]},
            "contribution": {"max_groups": 2},
            "parameters": WINDOW
            | {
                "word": {"type": "enum", "values": ["a", "é"], "default": "a"},
                "least": {"type": "integer", "min": 0, "max": 50, "default": 1},
            },
        },
    ),
    "by tiers": (
        "WITH t AS (SELECT uid, SUM(paid) AS total FROM visits GROUP BY uid) "
        "SELECT CASE WHEN t.total > 50 THEN 'high' ELSE 'low' END AS tier, SUM(v.n) AS t, COUNT(*) AS n "
        "FROM visits v JOIN t USING (uid) WHERE $since <= v.day AND $until > v.day GROUP BY tier",
        {
            "keys": {"tier": {"values": ["high", "low"]}},
            "bounds": {"t": [-3, 20], "n": [0, 3]},
            "contribution": {"max_groups": 1},
        },
    ),
    "no window": (
        "SELECT item, COUNT(*) AS n, SUM(paid) AS s FROM visits WHERE n >= $least GROUP BY item",
        {
            "bounds": {"n": [0, 2], "s": [0, 90]},
            "contribution": {"max_groups": 2},
            "parameters": {"least": {"type": "integer", "min": -5, "max": 50, "default": 0}},
        },
    ),
}
WINDOWS = {
    "a day": ("2016-02-29", "2016-03-01"),
    "a month": ("2016-12-01", "2017-01-01"),
    "part of a month": ("2017-01-05", "2017-01-20"),
    "a quarter": ("2016-10-01", "2017-01-01"),
    "over a quarter's end": ("2016-12-15", "2017-01-15"),
    "a year": ("2017-01-01", "2018-01-01"),
    "all": ("2015-01-01", "2020-01-01"),
}


def made(kind: str, window: str, *, pure: bool = False) -> Plan:
    """A plan of that kind, for that window where it has one."""
    sql, parts = KINDS[kind]
    parts = {"keys": ITEMS, "parameters": WINDOW} | parts
    given = dict(zip(("since", "until"), WINDOWS[window], strict=True)) if "since" in parts["parameters"] else {}
    return planned(sql, given=given, shop=PURE if pure else SHOP, cost={"epsilon": 2}, **parts)


def keep(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Makes what is kept for a plan, in the place of what was kept before."""
    for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall():
        connection.execute(f"DROP TABLE temp.{name}")
    connection.execute("DROP SCHEMA IF EXISTS dp_rest CASCADE; CREATE SCHEMA dp_rest; SET search_path = 'main,dp_rest'")
    assert plan.at_rest is not None
    for sql in plan.at_rest.build:
        (statement,) = connection.extract_statements(sql)
        connection.execute(statement, {name: _bind(plan, name) for name in statement.named_parameters})


def at_rest(plan: Plan) -> Plan:
    """The plan, answered from what is kept."""
    assert plan.at_rest is not None
    return replace(plan, sql=plan.at_rest.sql)


def shown(found: Mapping[Any, Any]) -> dict[Any, Any]:
    """An answer without the groups that have nothing: the engine takes them for zeros."""
    return {group: draws for group, draws in found.items() if any(draws)}


def rows_in_time(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    """Nasty rows, most of whose days lie in three years, close together for some units."""
    random_ = random.Random(seed)
    rows = shop_rows(random_, 30)
    day, seen = (list(SHOP.tables["visits"].columns).index(name) for name in ("day", "seen"))
    for place, row in enumerate(rows["visits"]):
        apart = (3, 40, 200, 1000)[hash(row[0]) % 4] if row[0] is not None else 9
        if random_.random() < 0.9:
            when = str(date(2016, 12, 20) + timedelta(days=random_.randint(-apart, apart)))
            cells_ = list(row)
            cells_[day], cells_[seen] = when, f"{when} 23:59:59"
            rows["visits"][place] = tuple(cells_)
    return rows


@pytest.fixture(scope="module")
def shops() -> list[duckdb.DuckDBPyConnection]:
    """Several shops' rows."""
    return [opened(rows_in_time(seed)) for seed in range(4)]


@pytest.mark.parametrize("pure", [False, True], ids=["zcdp", "pure"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_gives_the_same_answer_whatever_the_window(kind, pure, shops):
    for connection in shops:
        first = made(kind, "all", pure=pure)
        keep(connection, first)
        for window in WINDOWS:
            plan = made(kind, window, pure=pure)
            assert plan.at_rest is not None
            assert plan.at_rest.key == first.at_rest.key, "one thing is kept for all windows"
            assert shown(cells(connection, at_rest(plan))) == shown(cells(connection, plan))


def test_bounds_bite_in_these_shops_and_some_units_are_whole(shops):
    for kind in KINDS:
        safes = set()
        for connection in shops:
            keep(connection, made(kind, "all"))
            safes |= {safe for (safe,) in connection.execute("SELECT DISTINCT safe FROM kept").fetchall()}
        assert {0, ALL_TIME} <= safes, kind
        assert kind == "no window" or safes & {1, 2, 3}, kind


def test_whole_units_leave_no_id_where_nothing_counts_units(shops):
    keep(shops[0], made("norms", "all"))
    assert shops[0].execute(f"SELECT count(u), count(*) > 0 FROM kept WHERE safe = {ALL_TIME}").fetchone() == (0, True)


def test_without_parameters_the_totals_themselves_are_kept(shops):
    sql, parts = KINDS["groups are dropped"]
    fixed = sql.replace("$since", "DATE '2016-12-01'").replace("$until", "DATE '2017-02-01'")
    for extra in ("", ", MEDIAN(wild) AS m", ", COUNT(DISTINCT word) AS w"):
        bounds = parts["bounds"] | {"m": [-5, 5], "w": [0, 2]}
        bounds = {name: bounds[name] for name in [*parts["bounds"], *(n for n in "mw" if f"AS {n}" in extra)]}
        plan = planned(
            fixed.replace(" FROM", f"{extra} FROM"), keys=ITEMS, bounds=bounds, contribution=parts["contribution"]
        )
        keep(shops[0], plan)
        assert shown(cells(shops[0], at_rest(plan))) == shown(cells(shops[0], plan))


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("SELECT item, SUM(CASE WHEN day < $until THEN 1 ELSE 0 END) AS n FROM visits GROUP BY item", {"keys": ITEMS}),
        ("SELECT item, COUNT(*) FILTER (WHERE day < $until) AS n FROM visits GROUP BY item", {"keys": ITEMS}),
        ("SELECT day < $until AS early, COUNT(*) AS n FROM visits GROUP BY 1", {}),
        (
            "WITH x AS (SELECT uid, COUNT(*) AS c FROM visits WHERE day < $until GROUP BY uid) "
            "SELECT COUNT(*) AS n FROM x WHERE c > 1",
            {},
        ),
        (
            "SELECT COUNT(*) AS n FROM visits v LEFT JOIN calls c ON v.uid = c.uid AND v.day < $until "
            "WHERE v.day >= $since",
            {},
        ),
        ("SELECT COUNT(*) AS n FROM visits v CROSS JOIN items i WHERE i.item = $x", {}),
        ("SELECT COUNT(*) AS n FROM visits v JOIN calls c USING (uid) WHERE v.day < $until", {}),
        ("SELECT item, COUNT(DISTINCT word) AS n FROM visits WHERE day < $until GROUP BY item", {"keys": ITEMS}),
        (
            "SELECT item, SUM(n) AS n FROM visits WHERE day < $until GROUP BY item",
            {"keys": ITEMS, "bounds": {"n": [1, 5]}},
        ),
        (
            "SELECT item, COUNT(*) AS n FROM visits WHERE day < $until GROUP BY item",
            {"keys": ITEMS, "bounds": {"n": [2, 5]}},
        ),
        (
            "SELECT word, COUNT(*) AS n FROM visits WHERE day < $until GROUP BY word",
            {"keys": {"word": {"private": True}}},
        ),
    ],
)
def test_nothing_is_kept_where_a_parameter_decides_more_than_which_rows_are_there(sql, parts):
    plan = planned(
        sql,
        **({"bounds": {"n": [0, 3]}, "contribution": {"max_groups": 1}, "parameters": MORE} | parts),
    )
    assert plan.at_rest is None


def test_the_key_follows_everything_that_decides_the_tables():
    sql, parts = KINDS["groups are dropped"]
    given = {"keys": ITEMS, "parameters": WINDOW} | parts
    keys = {
        planned(text, **more).at_rest.key
        for text, more in [
            (sql, given),
            (sql, given | {"contribution": {"max_groups": 3}}),
            (sql, given | {"bounds": BOUNDS | {"n": [0, 5]}}),
            (sql, given | {"keys": {"item": {"values": [0, 1, 2, 4]}}}),
            (sql.replace(" GROUP", " AND flag GROUP"), given),
            (sql.replace("day >=", "day > "), given),
            (sql.replace("SUM(paid)", "SUM(paid * 2)"), given | {"bounds": BOUNDS}),
        ]
    }
    assert len(keys) == 6, "all differ, but for the parameters' own conditions, which are asked of what is kept"


def test_neighbours_move_what_is_kept_no_farther_than_is_priced(shops):
    rows = rows_in_time(9)
    units = list(range(0, 30, 4))
    connections = [
        opened(rows),
        opened({t: r[::-1] for t, r in rows.items()}),
        *(opened(without(rows, u)) for u in units),
    ]
    moved = 0
    for kind in KINDS:
        for window in ("a month", "all"):
            plan = made(kind, window)
            for connection in connections:
                keep(connection, plan)
            moved += check(at_rest(plan), connections)
    assert moved > 20


def test_the_last_day_of_a_closed_window_counts():
    """A unit that is whole in January, and in February, but not in both, with a visit on the first of February."""
    parts = {"keys": ITEMS, "parameters": WINDOW, "bounds": {"n": [0, 2]}, "contribution": {"max_groups": 1}}
    sql = "SELECT item, COUNT(*) AS n FROM visits WHERE day BETWEEN $since AND $until GROUP BY item"
    days = ["2017-01-10", "2017-01-20", "2017-02-01"]
    connection = opened({"visits": [visit(1, item=1, day=day) for day in days]})
    plan = planned(sql, given={"since": "2017-01-01", "until": "2017-02-01"}, **parts)
    keep(connection, plan)
    assert shown(cells(connection, at_rest(plan))) == shown(cells(connection, plan)) == {(1,): (2,)}


@pytest.mark.parametrize("pure", [False, True], ids=["zcdp", "pure"])
def test_a_unit_whose_sums_cancel_over_its_groups_is_not_whole(pure):
    """Its totals over all groups are within the norm; its vector is not."""
    parts = {"keys": ITEMS, "parameters": WINDOW, "contribution": {"max_norm": {"t": 5}}, "cost": {"epsilon": 2}}
    rows = {"visits": [visit(1, item=item, day="2017-01-02", n=n) for item, n in ((0, 5), (1, -5))]}
    for window in (("2017-01-01", "2017-02-01"), ("2015-01-01", "2020-01-01")):
        given = dict(zip(("since", "until"), window, strict=True))
        plan = planned(FLAT.format("SUM(n) AS t"), given=given, shop=PURE if pure else SHOP, **parts)
        everybody, nobody = opened(rows), opened({})
        for connection in (everybody, nobody):
            keep(connection, plan)
        assert cells(everybody, at_rest(plan)) == cells(everybody, plan)
        assert check(at_rest(plan), [everybody, everybody, nobody]) == 1
