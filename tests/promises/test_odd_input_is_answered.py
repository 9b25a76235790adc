"""Odd input that is not bad is answered: quotes, other scripts, ten thousand groups."""

from __future__ import annotations

import time

from bad_input import AREAS, DATASET, VISITS, refused, submit

ODD = [
    "it's",
    'qu"ote',
    "Z\u00fcrich",
    "\u6771\u4eac",
    "\U0001f600",
    "a\\b",
    "{x}",
    "$p_least",
    "%",
    "--",
    "; DROP TABLE visits",
    "",
]
ODD_QUERY = {
    "query": "odd",
    "dataset": "odd",
    "title": "It's \u201codd\u201d; --",
    "sql": "SELECT kind, COUNT(DISTINCT person) AS n FROM visits WHERE kind <> $but GROUP BY kind",
    "parameters": {"but": {"type": "enum", "values": [*ODD, "none of them"], "default": "none of them"}},
    "keys": {"kind": {"values": ODD}},
    "contribution": {"max_groups": 1},
    "cost": {"rho": 1},
}


def test_quotes_and_other_scripts_in_values_and_parameters_are_answered(new_desk):
    desk = new_desk()
    people = [name for name in ODD for _ in range(50)]
    desk.add(
        DATASET.replace("dataset: shop", "dataset: odd").replace("epsilon: 3.0", "epsilon: 900"),
        visits={
            "person": list(range(len(people))),
            "kind": people,
            "amount": [1.0] * len(people),
            "day": ["2024-01-01"] * len(people),
        },
        areas=AREAS,
    )
    desk.approve(ODD_QUERY)
    for but in ODD:
        plan = desk.plan("odd", but=but)
        counts = dict(zip(plan.keys[0].values, desk.truth(plan)[0], strict=True))
        assert counts == {name: 0 if name == but else 50 for name in ODD}
    release = desk.ask("odd", but="Zu\u0308rich")
    assert release["parameters"] == {"but": "Z\u00fcrich"}
    assert [row["kind"] for row in release["rows"]] == sorted(ODD)
    assert desk.ask("odd", but="Z\u00fcrich")["replayed"] is True


MANY = """
query: many
dataset: shop
sql: SELECT {select}, COUNT(DISTINCT person) AS n{more} FROM visits {joins} GROUP BY ALL
keys: {keys}
contribution: {{max_groups: 1}}
cost: {{rho: 0.01}}
"""


def test_ten_thousand_groups_take_a_few_seconds(new_desk):
    desk = new_desk()
    n = 10_000
    visits = {"person": list(range(n)), "kind": ["a"] * n, "amount": [1.0] * n, "day": ["2024-01-01"] * n}
    desk.add(DATASET, visits=visits, areas={"area": list(range(n))})
    joined = {"joins": "JOIN areas ON areas.area = LENGTH(kind)", "keys": "{area: {from: areas.area}}"}
    desk.approve(MANY.format(select="area", more=", AVG(amount) AS mean", **joined))
    start = time.monotonic()
    release = desk.ask("many")
    assert time.monotonic() - start < 60
    assert len(release["rows"]) == n


def test_more_than_a_million_groups_are_refused(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas={"area": list(range(1001))})
    keys = "{a: {from: areas.area}, b: {from: areas.area}}"
    select = "CAST(visits.amount AS BIGINT) AS a, CAST(visits.amount * 2 AS BIGINT) AS b"
    many = MANY.format(select=select, more="", joins="", keys=keys)
    refused(desk, submit(many), saying="1002001 groups")
    joined = {"joins": "CROSS JOIN areas x CROSS JOIN areas y", "keys": keys}
    joined_many = MANY.format(select="x.area AS a, y.area AS b", more="", **joined)
    refused(desk, submit(joined_many), saying="one row may meet 1001 rows of x, 1001 rows of y")
