"""Adding one person, with rows as nasty as can be, changes nothing that can be seen but the noisy numbers.

Same status, keys, types, number of rows, price, measures, log lines and refusals; and the exact answers beneath the
noise differ by no more than the sensitivity that the noise was made for.
"""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from desk import ME, Desk
from exact_changes import check_moved, pairs_of

from dpstats.access import operator
from dpstats.engine.noise import Vectors
from dpstats.errors import DpstatsError

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 1000.0, delta: 1.0e-6}
max_rows_per_unit: 300
tables:
  visits:
    columns:
      person: {type: varchar}
      kind: {type: varchar}
      amount: {type: double, bounds: [-50, 100], unit: USD}
      loose: {type: double}
      whole: {type: bigint}
      few: {type: integer, bounds: [0, 9]}
      price: {type: 'decimal(18,3)', bounds: [0, 20]}
      day: {type: date}
      at: {type: timestamp}
      ok: {type: boolean}
  members:
    one_row_per_unit: true
    columns:
      person: {type: varchar}
      tier: {type: varchar, values: [gold, "it's", "Z\\u00fcrich", ""]}
      age: {type: bigint, bounds: [0, 120]}
  kinds: {public: true, columns: {kind: {type: varchar}, area: {type: varchar}}}
"""
SCHEMA = pa.schema(
    {
        "person": pa.string(),
        "kind": pa.string(),
        "amount": pa.float64(),
        "loose": pa.float64(),
        "whole": pa.int64(),
        "few": pa.int32(),
        "price": pa.float64(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "ok": pa.bool_(),
    }
)
MEMBERS = pa.schema({"person": pa.string(), "tier": pa.string(), "age": pa.int64()})
KINDS = [
    "a",
    "b",
    "it's",
    'qu"ote',
    "Z\u00fcrich",
    "Zu\u0308rich",
    "",
    " ",
    "\U0001f600",
    "NULL",
    "nan",
    "12",
    *map(str, range(100, 1100)),
]
NORMAL_KINDS = sorted({"a", "b", "it's", 'qu"ote', "Z\u00fcrich", "", " ", "\U0001f600", "NULL", "nan", "12"})

QUERIES = {
    "by_kind": """
      sql: |
        SELECT kind, COUNT(*) AS n, COUNT(DISTINCT person) AS people, SUM(amount) AS total, AVG(amount) AS mean,
          SUM(few) FILTER (WHERE ok) AS few, AVG(price) AS price
        FROM visits GROUP BY kind
      keys: {kind: {values: [a, b, "it's", 'qu"ote', "Z\\u00fcrich", "", " ", "\\U0001f600", "NULL", nan, "12"]}}
      bounds: {n: [0, 5], total: [-100, 200], few: [2, 20]}
      contribution: {max_groups: 3, max_rows: 4}""",
    "by_any_kind": """
      sql: SELECT kind, COUNT(*) AS n, SUM(amount) AS total FROM visits GROUP BY kind
      keys: {kind: {from: kinds.kind}}
      bounds: {n: [0, 5], total: [-100, 200]}
      contribution: {max_groups: 7}""",
    "facts": """
      sql: |
        SELECT m.tier, COUNT(*) AS n, COUNT(DISTINCT v.person) AS people, SUM(v.amount) AS total, AVG(m.age) AS age
        FROM visits v JOIN members m USING (person) WHERE v.amount > 0 GROUP BY m.tier
      bounds: {n: [0, 7], total: [0, 300]}
      contribution: {max_rows: 3}""",
    "tiers": """
      sql: |
        WITH spent AS (
          SELECT person, SUM(amount) AS total, COUNT(*) AS n, AVG(amount) AS mean, MAX(amount) AS top,
            MIN(day) AS first, COUNT(DISTINCT kind) AS kinds
          FROM visits GROUP BY person)
        SELECT CASE WHEN total < 50 THEN 'low' WHEN total < 500 THEN 'mid' ELSE 'high' END AS spender,
          COUNT(*) AS people, SUM(total) AS total, AVG(mean) AS mean, SUM(kinds) AS kinds, AVG(top) AS top
        FROM spent LEFT JOIN members USING (person) GROUP BY spender
      keys: {spender: {values: [low, mid, high]}}
      bounds: {total: [0, 1000], kinds: [0, 10], people: [0, 1]}
      contribution: {max_groups: 1, max_rows: 1}""",
    "fan_out": """
      sql: |
        SELECT k.area, COUNT(*) AS n, SUM(a.amount * b.few) AS product, AVG(a.amount) AS mean
        FROM visits a JOIN visits b ON a.person = b.person JOIN kinds k ON k.kind = a.kind GROUP BY k.area
      keys: {area: {from: kinds.area}}
      bounds: {n: [0, 50], product: [-1000, 1000]}
      contribution: {max_groups: 2, max_rows: 10}""",
    "raising": """
      sql: |
        SELECT COUNT(DISTINCT person) AS people, SUM(LEAST(GREATEST(CAST(kind AS DOUBLE), 0), 9)) AS cast_text,
          SUM(LEAST(GREATEST(100 / (amount - 5), -9), 9)) AS divided,
          AVG(LEAST(GREATEST(whole * whole, 0), 9)) AS wide,
          SUM(LEAST(GREATEST(loose * 1e308, -9), 9)) AS huge, COUNT(*) FILTER (WHERE 1 // few > 0) AS whole_division,
          AVG(LEAST(GREATEST(YEAR(day + INTERVAL 9000 YEAR), 0), 9999)) AS year,
          SUM(LEAST(few % whole, 9)) FILTER (WHERE whole > 0) AS rest
        FROM visits WHERE whole + 1 > 0 OR amount IS NULL
      bounds: {cast_text: [0, 9], divided: [-9, 9], huge: [-9, 9], whole_division: [0, 3], rest: [0, 10]}
      contribution: {max_groups: 1, max_rows: 2}""",
    "times": """
      sql: |
        SELECT DATE_TRUNC('month', at) AS month, WIDTH_BUCKET(loose, 0, 100, 4) AS bucket, COUNT(*) AS n
        FROM visits WHERE day >= CAST('2000-01-01' AS DATE) AND at < CAST('2100-01-01' AS TIMESTAMP) GROUP BY 1, 2
      keys: {month: {values: [2024-01-01, 2024-02-01]}, bucket: {values: [0, 1, 2, 3, 4, 5]}}
      bounds: {n: [0, 2]}
      contribution: {max_groups: 4}""",
    "moments": """
      sql: |
        SELECT kind, VAR_POP(amount) AS variance, STDDEV_POP(price) AS deviation, AVG(amount) AS mean,
          COUNT(DISTINCT loose) AS looses, COUNT(DISTINCT day) FILTER (WHERE ok) AS days
        FROM visits GROUP BY kind
      keys: {kind: {values: [a, b, "", "12"]}}
      bounds: {looses: [0, 3], days: [0, 2]}
      contribution: {max_groups: 2, max_rows: 3}""",
    "norms": """
      sql: |
        SELECT kind, COUNT(*) AS n, COUNT(DISTINCT person) AS people, SUM(amount) AS total, AVG(amount) AS mean,
          VAR_POP(price) AS variance FROM visits GROUP BY kind
      keys: {kind: {from: kinds.kind}}
      contribution: {max_norm: {n: 4, people: 3, total: 120, mean: 5, variance: 2.5}}""",
    "medians": """
      sql: |
        SELECT kind, MEDIAN(amount) AS middle, QUANTILE_CONT(price, 0.9) FILTER (WHERE ok) AS dear FROM visits
        GROUP BY kind
      keys: {kind: {values: [a, b, "", "12"]}}
      candidates: {middle: 40, dear: [0, 1.25, 2, 5, 20]}
      contribution: {max_groups: 2, max_rows: 3}""",
    "quartiles": """
      sql: |
        SELECT ok, QUANTILE_CONT(amount, 0.25) AS low, QUANTILE_CONT(amount, 0.75) AS high,
          QUANTILE_CONT(amount, 0.75) - QUANTILE_CONT(amount, 0.25) AS apart FROM visits GROUP BY ok
      keys: {ok: {values: [true, false]}}
      contribution: {max_groups: 2, max_rows: 5}""",
    "largest": """
      sql: SELECT kind, COUNT(*) AS n, SUM(amount) AS total FROM visits GROUP BY kind ORDER BY total DESC LIMIT 4
      keys: {kind: {from: kinds.kind}}
      bounds: {n: [0, 5], total: [-100, 200]}
      contribution: {max_groups: 7}""",
    "texts": """
      sql: |
        SELECT UPPER(TRIM(kind)) AS name, COUNT(DISTINCT person) AS people
        FROM visits WHERE kind LIKE '%' OR SUBSTR(kind, 2, 3) = '''' OR LENGTH(kind || kind) > 3 GROUP BY 1
      keys: {name: {values: [A, "IT'S", 'QU"OTE', "Z\\u00dcRICH", "", NAN]}}
      contribution: {max_groups: 2}""",
}
HEAD = "query: {name}\ndataset: shop\ncost: {{rho: 0.001}}\n"


@dataclass(frozen=True)
class Person:
    """Somebody's rows in both personal tables."""

    visits: list[dict[str, Any]]
    members: list[dict[str, Any]] = field(default_factory=list)


def _row(person: str | None, **cells: Any) -> dict[str, Any]:
    ordinary = {
        "kind": "a",
        "amount": 12.5,
        "loose": 1.0,
        "whole": 7,
        "few": 3,
        "price": 1.25,
        "day": date(2024, 1, 5),
        "at": datetime(2024, 1, 5, 12, 0, 0),  # noqa: DTZ001 - the column has no zone
        "ok": True,
    }
    return {"person": person} | ordinary | cells


def _member(person: str | None, tier: str | None = "gold", age: int | None = 40) -> dict[str, Any]:
    return {"person": person, "tier": tier, "age": age}


NULLS = dict.fromkeys([name for name in SCHEMA.names if name != "person"])
EXTREMES: list[dict[str, Any]] = [
    {"amount": float("nan"), "loose": float("nan"), "price": float("nan")},
    {"amount": float("inf"), "loose": float("-inf"), "price": float("inf")},
    {"amount": float("-inf"), "loose": float("inf")},
    {"amount": -0.0, "loose": -0.0},
    {"amount": 1e308, "loose": 1e308, "price": 1e308},
    {"amount": -1e308, "loose": -1e308},
    {"amount": 5e-324, "loose": 5e-324},
    {"amount": 5.0, "few": 0, "whole": 0},
    {"whole": 2**63 - 1, "few": 2**31 - 1},
    {"whole": -(2**63), "few": -(2**31)},
    {"day": date(1, 1, 1), "at": datetime(1, 1, 1)},  # noqa: DTZ001
    {"day": date(9999, 12, 31), "at": datetime(9999, 12, 31, 23, 59, 59, 999999)},  # noqa: DTZ001
    {"kind": None, "ok": None},
    {"kind": "x" * 100_000},
    {"kind": "a\x00b"},
    {"kind": "'; DROP TABLE visits; --"},
    NULLS,
]


def _nasty(name: str = "nasty") -> dict[str, Person]:
    """People as nasty as can be, each a neighbour of the same data."""
    in_all = [_row(name, **cells) for cells in EXTREMES]
    kinds = [_row(name, kind=kind, amount=100.0) for kind in KINDS]
    return {
        "ordinary": Person([_row(name), _row(name, kind="b")], [_member(name)]),
        "no visits": Person([], [_member(name)]),
        "10,000 equal rows": Person([_row(name, amount=99.0)] * 10_000, [_member(name)] * 100),
        "10,000 rows": Person([_row(name, amount=0.01 * i, whole=i) for i in range(10_000)], [_member(name)]),
        "1,000 groups": Person(kinds, [_member(name, tier, age) for tier in ("gold", "", "x") for age in (0, 999)]),
        "every extreme": Person(in_all, [_member(name, None, None), _member(name, "it's", 2**63 - 1)]),
        "extremes in every group": Person([r | {"kind": k} for r in in_all for k in NORMAL_KINDS], [_member(name, "")]),
        "only NULLs": Person([_row(name, **NULLS)], [_member(name, None, None)]),
        "most of everything": Person([_row(name, amount=1e9, few=9, price=20.0) for _ in range(50)], [_member(name)]),
        "least of everything": Person([_row(name, amount=-1e9, few=0, price=0.0, ok=False) for _ in range(50)]),
    }


ODD_NAMES = ["", " ", "O'Brien", '"', "\u00e9", "\U0001f600", "a\x00", "NULL", "x" * 256]


def _made_up(seed: int) -> Person:
    """Somebody with rows drawn from all the nasty cells."""
    draw = random.Random(seed)
    pool = {name: [cells[name] for cells in EXTREMES if name in cells] for name in NULLS}
    pool["kind"] += KINDS[:14]
    pool["amount"] += [0.005, 33.3, 100.0]

    def row() -> dict[str, Any]:
        return _row("made up", **{name: draw.choice(cells) for name, cells in pool.items() if draw.random() < 0.7})

    visits = [row() for _ in range(draw.choice([1, 3, 20, 400]))]
    return Person(
        visits * draw.choice([1, 2]), [_member("made up", draw.choice(["gold", "", None]), draw.choice([0, -5, None]))]
    )


def _others() -> Person:
    """The other people: 200 of up to four visits, some with extreme cells too."""
    draw = random.Random(1)
    visits, members = [], []
    for i in range(200):
        for _ in range(draw.randrange(5)):
            odd = draw.choice([*EXTREMES, *([{}] * 40)])
            chosen = {"kind": draw.choice(NORMAL_KINDS), "amount": draw.uniform(-60, 120), "few": draw.randrange(10)}
            visits.append(_row(f"p{i}", **(chosen | odd)))
        members.append(_member(f"p{i}", draw.choice(["gold", "it's", "Z\u00fcrich", ""]), draw.randrange(100)))
    return Person(visits, members)


OTHERS = _others()


def _tables(*people: Person) -> dict[str, pa.Table]:
    visits = [row for person in people for row in person.visits]
    members = [row for person in people for row in person.members]
    return {"visits": pa.Table.from_pylist(visits, SCHEMA), "members": pa.Table.from_pylist(members, MEMBERS)}


@dataclass(frozen=True)
class Seen:
    """All that an observer sees of a data version but its noisy numbers; and, past the noise, the exact answers."""

    visible: dict[str, Any]
    exact: dict[str, Vectors]


@pytest.fixture(scope="module")
def desk(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    kinds = {"kind": KINDS, "area": [f"area {i % 3}" for i in range(len(KINDS))]}
    desk.add(DATASET, kinds=kinds, **_tables(OTHERS))
    for name, text in QUERIES.items():
        desk.approve(HEAD.format(name=name) + text.replace("\n      ", "\n"))
    return desk


def _look(desk: Desk, caplog: pytest.LogCaptureFixture, queries: Iterable[str] = QUERIES) -> Seen:
    """Asks everything of the data version that is loaded."""
    caplog.set_level(logging.DEBUG)
    visible: dict[str, Any] = {}
    for name in queries:
        caplog.clear()
        before = desk.spent("shop")
        visible[name] = _shape(desk.ask(name, fresh=True)), desk.spent("shop") - before
        visible[f"{name}, preview"] = desk.workspace.releases.preview(ME, name, {})["measures"]
        visible[f"{name}, log"] = [_log_line(record) for record in caplog.records]
    visible["refusals"] = [_refusal(desk, *asked) for asked in (("by_kind", {"x": 1}), ("unknown", {}))]
    visible["dataset"] = _shape(desk.workspace.datasets.one(ME, "shop"))
    visible["catalog"] = desk.workspace.review.all(ME, approved_only=True)
    return Seen(visible, {name: desk.truth(desk.plan(name)) for name in queries})


def _log_line(record: logging.LogRecord) -> str:
    return f"{record.name} {record.levelname} " + re.sub(r"[0-9a-f]{16,}|\d+", "#", record.getMessage())


def _refusal(desk: Desk, query: str, parameters: dict[str, object]) -> str:
    with pytest.raises(DpstatsError) as refused:
        desk.ask(query, **parameters)
    return f"{type(refused.value).__name__}: {refused.value}"


def _shape(body: Any) -> Any:
    """A response without its noisy numbers and what names or dates it: those become their types."""
    # A receipt is of an entry that holds random ids, and of its place behind the charges of the tests before this one.
    random = {"release_id", "created_at", "as_of", "data_version", "receipt"}
    changing = {"value", "low", "high", "display", "budget"} | random
    if isinstance(body, dict) and body.get("query") == "largest" and "rows" in body:
        body = body | {"rows": [row | {"kind": "one of the largest"} for row in body["rows"]]}
    if isinstance(body, dict):
        return {key: type(value).__name__ if key in changing else _shape(value) for key, value in body.items()}
    return [_shape(item) for item in body] if isinstance(body, list) else body


def _check_neighbours(desk: Desk, without: Seen, with_one: Seen) -> None:
    for name, seen in with_one.visible.items():
        assert json.dumps(seen, default=str) == json.dumps(without.visible[name], default=str), name
    for name, exact in with_one.exact.items():
        plan = desk.plan(name)
        groups = list(plan.declared_groups())
        check_moved(plan, pairs_of(plan, (groups, exact), (groups, without.exact[name])))


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    return {}


@pytest.fixture
def without(desk: Desk, seen: dict[str, Seen], caplog: pytest.LogCaptureFixture) -> Seen:
    """What is seen without them, looked at once."""
    if not seen:
        desk.load("shop", **_tables(OTHERS))
        seen["without"] = _look(desk, caplog)
    return seen["without"]


@pytest.mark.parametrize("who", _nasty())
def test_a_nasty_person_more_changes_nothing_visible_and_moves_answers_within_their_sensitivity(
    desk, without, caplog, who
):
    desk.load("shop", **_tables(_nasty()[who], OTHERS))
    _check_neighbours(desk, without, _look(desk, caplog))


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_person_with_an_odd_name_is_a_person_like_any_other(desk, without, caplog, name):
    desk.load("shop", **_tables(Person([_row(name), _row(name, kind="b")], [_member(name)]), OTHERS))
    after = _look(desk, caplog, ["by_kind", "facts"])
    _check_neighbours(desk, without, after)
    assert sum(after.exact["facts"][1]) == sum(without.exact["facts"][1]) + 1


@pytest.mark.parametrize("seed", range(6))
def test_a_person_made_up_of_nasty_cells_changes_nothing_visible(desk, without, caplog, seed):
    desk.load("shop", **_tables(OTHERS, _made_up(seed)))
    _check_neighbours(desk, without, _look(desk, caplog))


def test_rows_of_nobody_move_nothing_at_all(desk, without, caplog):
    nobody = Person([_row(None, **cells) for cells in EXTREMES] * 10, [_member(None)] * 10)
    desk.load("shop", **_tables(nobody, OTHERS))
    after = _look(desk, caplog)
    _check_neighbours(desk, without, after)
    assert after.exact == without.exact


def test_the_order_of_rows_moves_nothing_at_all(desk, without, caplog):
    turned = Person(OTHERS.visits[::-1], OTHERS.members[::-1])
    desk.load("shop", **_tables(turned))
    assert _look(desk, caplog).exact == without.exact


def test_two_spellings_of_one_name_are_one_person(desk, without, caplog):
    """A name in Unicode's composed and decomposed form: together they move answers as one person does."""
    composed, decomposed = (
        [_row(name, kind=kind, amount=1e9) for kind in KINDS[:12]] for name in ("\u00e9", "e\u0301")
    )
    desk.load("shop", **_tables(Person(composed + decomposed, [_member("\u00e9"), _member("e\u0301", "")]), OTHERS))
    _check_neighbours(desk, without, _look(desk, caplog))


def test_the_person_who_asks_sees_the_same_refusal_when_the_budget_ends(new_desk):
    """What is left depends on what was asked, never on rows."""
    messages = []
    for who in ("no visits", "every extreme"):
        desk = new_desk()
        text = DATASET.replace("epsilon: 1000.0", "epsilon: 0.3")
        desk.add(text, kinds={"kind": KINDS, "area": ["x"] * len(KINDS)}, **_tables(_nasty()[who], OTHERS))
        desk.approve(HEAD.format(name="facts") + QUERIES["facts"].replace("\n      ", "\n"))
        outcomes = []
        for _ in range(4):
            try:
                desk.ask("facts", fresh=True, identity=operator("same"))
                outcomes.append("released")
            except DpstatsError as error:
                outcomes.append(str(error))
        messages.append(outcomes)
    assert messages[0] == messages[1]
    assert "released" in messages[0]
    assert messages[0][-1] != "released"


def test_one_person_moves_nobody_else_s_total_among_many_rows_summed_by_two_threads(new_desk):
    """Sums of doubles depend on their order; 200,000 rows are enough for DuckDB to share them among threads."""
    desk = new_desk(threads=2)
    numbers = np.random.default_rng(3)
    people, rows = 20_000, 200_000
    visits = {
        "person": np.char.add("p", numbers.integers(0, people, rows).astype(str)),
        "kind": np.char.add("k", numbers.integers(0, 5, rows).astype(str)),
        "amount": numbers.uniform(-60, 120, rows),
    }
    columns = {name: visits.get(name, pa.nulls(rows, SCHEMA.field(name).type)) for name in SCHEMA.names}
    others = pa.table(columns, SCHEMA)
    kinds = {"kind": [f"k{i}" for i in range(5)], "area": ["x"] * 5}
    desk.add(DATASET, visits=others, members=_tables(OTHERS)["members"], kinds=kinds)
    for name in ("by_kind", "tiers"):
        desk.approve(HEAD.format(name=name) + QUERIES[name].replace("\n      ", "\n"))
    plans = {name: desk.plan(name) for name in ("by_kind", "tiers")}
    without = {name: desk.truth(plan) for name, plan in plans.items()}
    nasty = _tables(_nasty()["extremes in every group"])
    desk.load("shop", visits=pa.concat_tables([nasty["visits"], others]))
    for name, plan in plans.items():
        for draw, out, inside in zip(plan.draws, without[name], desk.truth(plan), strict=True):
            moved = np.abs(np.array(inside, object) - np.array(out, object))
            assert np.count_nonzero(moved) <= draw.mechanism.sensitivity.cells, f"{name}.{draw.name}"
            assert moved.max() <= draw.mechanism.sensitivity.per_cell, f"{name}.{draw.name}"
