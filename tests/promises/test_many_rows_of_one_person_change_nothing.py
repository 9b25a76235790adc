"""A person with as many rows as are kept, in two tables that queries join, decides neither memory nor time.

At 128 MB a join of all the person's rows (12,000 x 12,000) would be `unavailable`; read up to the cap, it is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from desk import Desk

from dpstats.engine.noise import Vectors
from dpstats.errors import NotLoaded, QueryRefused, Unavailable
from dpstats.plan.plan import Plan

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 1000.0, delta: 1.0e-6}
max_rows_per_unit: 12000
tables:
  visits:
    columns:
      person: {type: varchar}
      kind: {type: bigint}
      note: {type: varchar}
      amount: {type: double, bounds: [0, 100]}
  calls:
    columns:
      person: {type: varchar}
      minutes: {type: bigint, bounds: [0, 60]}
      topic: {type: varchar}
  kinds: {public: true, columns: {kind: {type: bigint}, area: {type: bigint}}}
"""
KINDS = 1000
HEAD = "query: {name}\ndataset: shop\ncost: {{rho: 0.001}}\n"
QUERIES = {
    "joined": """sql: |
  SELECT v.kind, COUNT(*) AS n, AVG(v.amount) AS mean FROM visits v JOIN calls c USING (person)
  WHERE v.amount < c.minutes + 60 GROUP BY v.kind
keys: {kind: {from: kinds.kind}}
bounds: {n: [0, 5]}
contribution: {max_groups: 3}""",
    "normed": """sql: |
  SELECT v.kind, COUNT(*) AS n, SUM(v.amount) AS total FROM visits v JOIN calls c USING (person) GROUP BY v.kind
keys: {kind: {from: kinds.kind}}
contribution: {max_norm: {n: 5, total: 50}}""",
    "in_a_subquery": """sql: |
  WITH pairs AS (SELECT v.person, MAX(v.note || c.topic) AS top, COUNT(DISTINCT c.topic) AS topics
    FROM visits v JOIN calls c ON c.person = v.person AND c.topic <> v.note GROUP BY v.person)
  SELECT topics > 100 AS many, COUNT(*) AS n FROM pairs GROUP BY 1
bounds: {n: [0, 1]}
contribution: {max_groups: 1}""",
    "public_too": """sql: |
  SELECT k.area, COUNT(DISTINCT v.note) AS notes FROM visits v JOIN kinds k ON k.kind <= v.kind GROUP BY k.area
keys: {area: {from: kinds.area}}
bounds: {notes: [0, 4]}
contribution: {max_groups: 2}""",
}


def _tables(people: int, *, many: int) -> dict[str, pa.Table]:
    """`people` with a few rows, and one with `many` in each table: in every group, with long notes among them."""
    numbers = np.random.default_rng(5)
    some = [f"p{i % people}" for i in range(4 * people)]
    mine = range(many)
    notes = [f"n{i} " + ("x" * 30_000 if i % 4000 == 7 else "y") for i in mine]
    visits = {
        "person": some + ["me"] * many,
        "kind": [*numbers.integers(0, KINDS, len(some)).tolist(), *(i % KINDS for i in mine)],
        "note": [f"o{i % 7}" for i in range(len(some))] + notes,
        "amount": [*numbers.uniform(0, 120, len(some)).tolist(), *(i % 100 + 0.5 for i in mine)],
    }
    calls = {
        "person": some + ["me"] * many,
        "minutes": [i % 60 for i in range(len(some))] + [i % 60 for i in mine],
        "topic": ["t"] * len(some) + [f"t{i}" for i in mine],
    }
    return {"visits": pa.table(visits), "calls": pa.table(calls)}


@pytest.fixture(scope="module")
def desk(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk(threads=2, memory_limit_mb=128)
    desk.add(DATASET, kinds={"kind": range(KINDS), "area": [i % 3 for i in range(KINDS)]}, **_tables(300, many=0))
    for name, text in QUERIES.items():
        desk.approve(HEAD.format(name=name) + text)
    return desk


Seen = dict[str, tuple[object, object, object]]


def _look(desk: Desk, caplog: pytest.LogCaptureFixture) -> tuple[Seen, dict[str, Plan], dict[str, Vectors]]:
    caplog.set_level(logging.DEBUG)
    seen: Seen = {}
    for name in QUERIES:
        caplog.clear()
        before = desk.spent("shop")
        body = desk.ask(name, fresh=True)
        keys = [{key: row[key] for key in row if key in {"kind", "many", "area"}} for row in body["rows"]]
        seen[name] = ((body["measures"], keys), desk.spent("shop") - before, [r.levelname for r in caplog.records])
    plans = {name: desk.plan(name) for name in QUERIES}
    return seen, plans, {name: desk.truth(plan) for name, plan in plans.items()}


def test_a_person_at_every_cap_is_answered_like_nobody_and_moves_answers_within_their_sensitivity(desk, caplog):
    without, plans, out = _look(desk, caplog)
    desk.load("shop", **_tables(300, many=12_000))
    with_me, _, inside = _look(desk, caplog)
    assert with_me == without
    for name, plan in plans.items():
        for draw, a, b in zip(plan.draws, out[name], inside[name], strict=True):
            moved, bound = [abs(x - y) for x, y in zip(a, b, strict=True)], draw.mechanism.sensitivity
            assert sum(1 for x in moved if x) <= bound.cells, f"{name}.{draw.name}"
            assert max(moved) <= bound.per_cell, f"{name}.{draw.name}"
            assert sum(x * x for x in moved) <= bound.l2_squared, f"{name}.{draw.name}"
        assert out[name] != inside[name], name
    whole = replace(plans["joined"], sql=plans["joined"].sql.replace("dp_rank <= 1000", "dp_rank <= 12000"))
    with pytest.raises(Unavailable):
        desk.exact(whole)


def test_which_rows_enter_a_join_does_not_depend_on_order_or_on_others(desk):
    plans = [desk.plan(name) for name in ("joined", "in_a_subquery")]
    both = _tables(300, many=3000)
    answers = []
    for turn in (both, {name: table.take(list(range(len(table)))[::-1]) for name, table in both.items()}):
        desk.load("shop", **turn)
        answers.append([desk.truth(plan) for plan in plans])
    assert answers[0] == answers[1]
    nobody_else = {name: table.slice(1200) for name, table in both.items()}
    desk.load("shop", **{name: table.slice(0, 1200) for name, table in both.items()})
    others = [desk.truth(plan) for plan in plans]
    desk.load("shop", **nobody_else)
    mine = [desk.truth(plan) for plan in plans]
    for whole, one, rest in zip(answers[0], mine, others, strict=True):
        summed = [tuple(x + y for x, y in zip(a, b, strict=True)) for a, b in zip(one, rest, strict=True)]
        assert summed == list(whole)


def test_a_release_says_what_entered_its_joins(desk):
    bounding = desk.ask("joined")["measures"]["n"]["bounding"]
    assert bounding.endswith("of one unit at most 1000 rows of calls and 1000 rows of visits in joins")
    assert desk.ask("public_too")["measures"]["notes"]["bounding"].endswith("at most 1000 rows of visits in joins")


def test_public_tables_that_multiply_past_the_cap_are_refused_before_anything_is_charged(desk):
    before = desk.spent("shop")
    with pytest.raises(
        QueryRefused, match="1000 rows of a, 1000 rows of b, 1000 rows of c: together more than 1000000"
    ):
        desk.submit(
            HEAD.format(name="crossed")
            + """sql: |
  SELECT COUNT(*) AS n FROM visits v CROSS JOIN kinds a CROSS JOIN kinds b CROSS JOIN kinds c
bounds: {n: [0, 9]}"""
        )
    assert desk.spent("shop") == before


def test_data_that_an_earlier_dpstats_loaded_must_be_loaded_again(new_desk):
    desk = new_desk()
    desk.add(DATASET, kinds={"kind": [1], "area": [1]}, **_tables(30, many=0))
    desk.approve(HEAD.format(name="joined") + QUERIES["joined"])
    (file,) = (desk.home / "data").rglob("*.duckdb")
    desk.workspace.close()
    with duckdb.connect(file) as connection:
        connection.execute("UPDATE dp_meta SET value = '1' WHERE key = 'format'")
    desk.reopen()
    with pytest.raises(NotLoaded):
        desk.ask("joined")
    assert desk.charges("shop") == []
    desk.load("shop", kinds={"kind": [1], "area": [1]}, **_tables(30, many=0))
    assert desk.ask("joined")["rows"]
