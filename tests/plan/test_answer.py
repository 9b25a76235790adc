"""From noisy vectors to rows: every group once, in order, in JSON's own types, quickly."""

from __future__ import annotations

import json
import math
import random
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import PURE, SHOP, planned

from dpstats.plan import answer as answers
from dpstats.plan.answer import measures
from dpstats.plan.display import display
from dpstats.plan.estimating import Estimate
from dpstats.plan.plan import Noisy, Plan
from dpstats.privacy.mechanism import INT64_MAX

ALL = (
    "SELECT word AS k, flag AS f, COUNT(DISTINCT uid) AS u, COUNT(*) AS n, SUM(paid) AS s, AVG(paid) AS a, "
    "SUM(paid) / COUNT(*) AS r, AVG(paid) * COUNT(*) - 3 AS o, COUNT(*) / 0 AS z, 1e15 * COUNT(*) * 1e15 AS h "
    "FROM visits GROUP BY 1, 2"
)
PARTS: dict[str, Any] = {
    "keys": {"k": {"values": ["b", "a", "é"]}, "f": {"values": [True, False]}},
    "bounds": {"n": [0, 9], "s": [0, 50]},
    "contribution": {"max_groups": 2},
}
PLAN = planned(ALL, **PARTS)
STEPS = st.one_of(st.integers(-(2**63), INT64_MAX), st.integers(-100, 100), st.just(0))


def rows(plan: Plan, noisy: Any) -> list[dict[str, Any]]:
    return answers.rows(plan, Noisy(tuple(plan.declared_groups()), tuple(map(tuple, noisy))))


def vectors(plan: Plan, value: int = 0) -> list[list[int]]:
    return [[value] * plan.groups for _ in plan.draws]


def test_every_group_comes_once_sorted_by_key_with_the_last_key_fastest() -> None:
    answer = rows(PLAN, vectors(PLAN))
    assert [(row["k"], row["f"]) for row in answer] == [(k, f) for k in ("a", "b", "é") for f in (False, True)]
    assert list(answer[0]) == ["k", "f", "u", "n", "s", "a", "r", "o", "z", "h"]


def test_a_group_gets_its_own_entries() -> None:
    noisy = [[100 * i + g for g in range(PLAN.groups)] for i in range(len(PLAN.draws))]
    for g, row in enumerate(rows(PLAN, noisy)):
        assert row["u"]["value"] == g
        assert row["n"]["value"] == 100 + g
        assert row["s"]["value"] == pytest.approx((200 + g) * float(PLAN.draws[2].grid))


def test_counts_are_whole_numbers_and_sums_are_not() -> None:
    row = rows(PLAN, vectors(PLAN, 7))[0]
    assert all(type(row["u"][part]) is int for part in ("value", "low", "high"))
    assert all(type(row["s"][part]) is float for part in ("value", "low", "high"))
    assert measures(PLAN)["u"]["type"] == "integer"
    assert measures(PLAN)["s"]["type"] == "number"


def test_a_count_below_zero_is_left_as_it_is_but_not_shown_so() -> None:
    row = rows(PLAN, vectors(PLAN, -900))[0]
    assert row["n"]["value"] == -900
    assert "-" not in row["n"]["display"].replace("about", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=5), st.sampled_from([SHOP, PURE]))
def test_no_noise_breaks_an_answer_and_all_of_it_is_json(steps: list[int], shop: Any) -> None:
    plan = planned(ALL, shop=shop, **(PARTS | {"cost": {"epsilon": 1}}))
    noisy = [[step] * plan.groups for step in steps]
    answer = rows(plan, noisy)
    text = json.dumps(answer, allow_nan=False)
    assert json.loads(text) == answer
    for row in answer:
        for name in ("u", "n", "s", "a", "r", "o", "z", "h"):
            cell = row[name]
            assert list(cell) == ["value", "low", "high", "display"]
            ends = [cell[part] for part in ("low", "value", "high") if cell[part] is not None]
            assert ends == sorted(ends)
            assert "\n" not in (cell["display"] or "\n")


@pytest.mark.parametrize(
    ("kind", "sql", "values", "shown"),
    [
        ("date", "day", ["2017-03-01", "2017-01-01"], ["2017-01-01", "2017-03-01"]),
        ("timestamp", "seen", ["2017-03-01T10:00:00", "2017-01-01"], ["2017-01-01T00:00:00", "2017-03-01T10:00:00"]),
        ("bigint", "n", [10, 9, -1], [-1, 9, 10]),
        ("boolean", "flag", [True, False], [False, True]),
        ("varchar", "word", ["b", "é", "a", ""], ["", "a", "b", "é"]),
    ],
)
def test_keys_of_every_kind_are_sorted_and_shown(kind: str, sql: str, values: list[Any], shown: list[Any]) -> None:
    plan = planned(
        f"SELECT {sql} AS k, COUNT(DISTINCT uid) AS u FROM visits GROUP BY 1",
        keys={"k": {"values": values}},
        contribution={"max_groups": 1},
    )
    assert plan.keys[0].sql_type == kind
    assert [row["k"] for row in rows(plan, vectors(plan))] == shown


def test_declared_values_of_a_column_are_keys_without_saying_so() -> None:
    plan = planned("SELECT Band, COUNT(DISTINCT uid) AS u FROM people GROUP BY Band")
    assert plan.keys[0].values == ("high", "low", "mid")


def test_keys_of_a_public_column_are_its_distinct_values() -> None:
    plan = planned(
        "SELECT i.dept, COUNT(DISTINCT v.uid) AS u FROM visits v JOIN items i USING (item) GROUP BY 1",
        keys={"dept": {"from": "items.dept"}},
        contribution={"max_groups": 1},
        public=lambda table, column: ["toys", "food", "toys"] if (table, column) == ("items", "dept") else [],
    )
    assert plan.keys[0].values == ("food", "toys")


@pytest.mark.parametrize(
    ("estimate", "least", "shown"),
    [
        (Estimate(171.0, 143.0, 199.0), 0.0, "about 170 (140 to 200)"),
        (Estimate(51203.5, 37344.2, 65062.8), -math.inf, "about 51,000 (37,000 to 66,000)"),
        (Estimate(3.0, -4.0, 10.0), 0.0, "too noisy to tell: between 0 and 10"),
        (Estimate(-30.0, -50.0, -10.0), -math.inf, "about -30 (-50 to -10)"),
        (Estimate(0.1234, 0.1222, 0.1246), -math.inf, "about 0.1234 (0.1222 to 0.1246)"),
        (Estimate(5.0, None, 7.0), 0.0, "too noisy to tell"),
        (Estimate(None, None, None), 0.0, "too noisy to tell"),
        (Estimate(5.0, 5.0, 5.0), 0.0, "about 5 (5 to 5)"),
        (Estimate(1e308, -1.7e308, 1.7e308), -math.inf, "too noisy to tell"),
        (Estimate(1e-320, 5e-324, 2e-320), -math.inf, "about"),
    ],
)
def test_numbers_are_shown_as_far_as_their_interval_can_tell(estimate: Estimate, least: float, shown: str) -> None:
    assert display(estimate, least=least).startswith(shown)


WIDE = "SELECT item, COUNT(DISTINCT uid) AS u, SUM(paid) AS s, AVG(paid) AS a FROM visits GROUP BY item"


def test_ten_thousand_groups_are_quick() -> None:
    start = time.process_time()
    plan = planned(
        WIDE, keys={"item": {"values": list(range(10_000))}}, bounds={"s": [0, 50]}, contribution={"max_groups": 5}
    )
    choice = random.Random(1)
    answer = rows(plan, [[choice.randrange(3000) for _ in range(plan.groups)] for _ in plan.draws])
    assert len(answer) == 10_000
    assert time.process_time() - start < 6  # about 1.5 s, on a machine of its own


def test_a_typical_plan_is_quick() -> None:
    planned(ALL, **PARTS)
    start = time.process_time()
    for _ in range(10):
        planned(ALL, **PARTS)
    assert (time.process_time() - start) / 10 < 0.2  # about 20 ms, the reading of the file included


COUNTED = "SELECT item, COUNT(DISTINCT uid) AS u, SUM(paid) AS s FROM visits GROUP BY item"


def test_writing_many_rows_holds_little_besides_what_is_written() -> None:
    """A thousand rows at a time: of twice as many groups no more is held."""
    held = {}
    for groups in (11_000, 22_000):
        plan = planned(
            COUNTED,
            keys={"item": {"values": list(range(groups))}},
            bounds={"s": [0, 50]},
            contribution={"max_groups": 5},
        )
        noisy = Noisy(tuple(plan.declared_groups()), tuple(tuple(range(groups)) for _ in plan.draws))
        tracemalloc.start()
        written = 0
        for text in answers.row_texts(plan, noisy):
            written += len(text)
        held[groups] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert written > 150 * groups
    assert held[22_000] < held[11_000] + 500_000
