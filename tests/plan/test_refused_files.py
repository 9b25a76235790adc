"""A file that its SQL does not fit, or that asks for what no plan can give, is refused: by name, with what to write."""

from __future__ import annotations

from typing import Any

import pytest
from refused import only
from shop import DATASET, PURE, SHOP, reasons

from dpstats.catalog.dataset import DatasetFile, parse_dataset

MONTHS = {"keys": {"k": {"values": ["2017-01-01"]}}, "contribution": {"max_groups": 1}}
ONE = "SELECT COUNT(DISTINCT uid) AS n FROM visits"
BY_WORD = "SELECT word AS k, COUNT(DISTINCT uid) AS n FROM visits GROUP BY word"


@pytest.mark.parametrize(
    ("sql", "parts", "what", "instead"),
    [
        (
            BY_WORD,
            {"contribution": {"max_groups": 1}},
            "values of the key k are not declared",
            "keys: {k: {values: [..]}}",
        ),
        (BY_WORD, {"keys": {"k": {"values": ["a"]}}}, "no bound on the groups that one unit", "max_groups"),
        (BY_WORD, {"keys": {"k": {"from": "visits.word"}}}, "which is not a public column", "public: true"),
        (BY_WORD, {"keys": {"k": {"from": "items.nope"}}}, "which is not a public column", "public: true"),
        (
            BY_WORD,
            {"keys": {"k": {"values": ["a"]}}, "contribution": {"max_norm": {"m": 3}}},
            "no max_norm",
            "max_norm: {",
        ),
        (ONE, {"keys": {"k": {"values": ["a"]}}}, "keys: k is not a key of the query", "The keys are: none"),
        (ONE, {"bounds": {"n": [0, 5]}}, "bounds: n: bounds are not needed", "The measures are: n"),
        (ONE, {"bounds": {"z": [0, 5]}}, "bounds: z: there is no such measure", "The measures are: n"),
        (ONE, {"cost": {"accuracy": {"z": 5}}}, "cost: accuracy: z is not a measure", "The measures are: n"),
        (ONE, {"purpose": "research"}, "the purpose research is not one of", "The purposes are: measurement"),
        (ONE, {"purpose": "marketing"}, "visits.uid may not be read for marketing", "Its purposes are: measurement"),
        (ONE + " WHERE secret = 'x'", {}, "visits.secret may not be read for measurement", "are: marketing"),
        (
            "SELECT paid AS k, COUNT(DISTINCT uid) AS n FROM visits GROUP BY 1",
            {},
            "a key of type DOUBLE",
            "WIDTH_BUCKET",
        ),
        ("SELECT word || 'x', COUNT(DISTINCT uid) AS n FROM visits GROUP BY 1", {}, "a key without a name", "AS name"),
        ("SELECT word, COUNT(DISTINCT uid) AS n FROM visits", {}, "neither a key nor an aggregate", "GROUP BY"),
        ("SELECT COUNT(DISTINCT uid) AS n FROM visits GROUP BY word", {}, "a GROUP BY key that is not selected", "Add"),
        ("SELECT COUNT(DISTINCT uid) FROM visits", {}, "a measure without a name of its own", "AS name"),
        ("SELECT word FROM visits GROUP BY word", {}, "it has no measure", "Select COUNT(*)"),
        (ONE.replace("AS n", "AS n, COUNT(DISTINCT uid) AS n"), {}, "a measure without a name of its own", "AS name"),
        (
            ONE.replace("AS n", "AS n_high, 2 * COUNT(DISTINCT uid) AS N"),
            {},
            "columns of the answer are named n_high",
            "AS",
        ),
        (ONE.replace("AS n", "AS n, COUNT(DISTINCT uid) AS n_low"), {}, "columns of the answer are named n_low", "AS"),
        (
            "SELECT band AS k, age AS k, COUNT(*) AS n FROM people GROUP BY 1, 2",
            {"keys": {"k": {"values": [1]}}},
            "several columns of the answer are named k",
            "AS another name",
        ),
        (
            "SELECT COUNT(*) AS n FROM visits",
            {},
            "no bound on the rows that one unit adds to n",
            "bounds: {n: [0, 20]}",
        ),
        ("SELECT COUNT(*) AS n FROM visits", {"bounds": {"n": [0, 0.5]}}, "no bound on the rows", "1 or more"),
        ("SELECT COUNT(*) AS n FROM visits", {"bounds": {"n": [-1, 5]}}, "no bound on the rows", "1 or more"),
        ("SELECT COUNT(*) AS n FROM visits", {"bounds": {"n": [1.2, 1.9]}}, "no bound on the rows", "1 or more"),
        ("SELECT SUM(paid) AS s FROM visits", {}, "no bounds on one unit's total of s", "bounds: {s: [0, 2000]}"),
        ("SELECT SUM(n) AS s FROM visits", {"bounds": {"s": [0.2, 0.7]}}, "no step of its grid lies between", "Widen"),
        ("SELECT AVG(paid) AS s FROM visits", {"bounds": {"s": [5, 5]}}, "no bounds on a row's value", "bounds"),
        (
            "SELECT SUM(n) / COUNT(*) AS r FROM visits",
            {"bounds": {"r": [0, 5]}},
            "no bounds on one unit's total",
            "bounds",
        ),
    ],
    ids=lambda v: str(v)[:50],
)
def test_a_file_that_does_not_fit_its_sql_is_refused(sql: str, parts: dict[str, Any], what: str, instead: str) -> None:
    assert instead in only(reasons(sql, **parts), what).instead


@pytest.mark.parametrize(
    ("sql", "parts", "what"),
    [
        (BY_WORD, {"keys": {"k": {"values": [1]}}}, "keys: k: must be text, not 1"),
        (BY_WORD, {"keys": {"k": {"from": "items.dept"}}}, "keys: k has no values"),
        (
            "SELECT SUM(n) AS s FROM visits",
            {"bounds": {"s": [0, 1000]}, "cost": {"accuracy": {"s": 1}}},
            "at most rho 10",
        ),
        (
            "SELECT SUM(n) AS s FROM visits",
            {"bounds": {"s": [0, 1000]}, "cost": {"accuracy": {"s": 100}}},
            "more than 0 and at most rho 10",
        ),
        ("SELECT AVG(n) AS a FROM visits", {"cost": {"rho": 1e-12}}, "too small to share among 2 draws"),
        (
            "SELECT AVG(n) AS a FROM visits",
            {"cost": {"accuracy": {"a": 1}}},
            "its half-width depends on the rows of a group",
        ),
        (
            "SELECT AVG(n) AS a FROM visits",
            {"shop": PURE, "contribution": {"max_rows": 1_000_000}, "cost": {"epsilon": 1e-11}},
            "the noise that this cost asks for is not possible",
        ),
    ],
    ids=lambda v: str(v)[:40],
)
def test_a_plan_that_cannot_be_made_is_refused(sql: str, parts: dict[str, Any], what: str) -> None:
    found = reasons(sql, **({"contribution": {"max_groups": 1}} | parts))
    assert what in only(found, "").what


@pytest.mark.parametrize(
    ("measure", "parts"),
    [
        ("MAX(paid)", {"bounds": {"m": [0, 5]}}),
        ("MAX(paid)", {"contribution": {"max_norm": {"m": 5}}}),
        ("MEDIAN(paid)", {"contribution": {"max_norm": {"m": 5}}}),
        ("QUANTILE_CONT(paid, 2)", {"candidates": {"m": 50}}),
    ],
)
def test_what_is_said_of_a_measure_that_is_refused_itself_is_not_judged(measure: str, parts: dict[str, Any]) -> None:
    found = reasons(f"SELECT {measure} AS m FROM visits", **parts)
    assert [measure.partition("(")[0] in reason.snippet for reason in found] == [True], found


@pytest.mark.parametrize(
    ("shop", "contribution", "offered"),
    [(SHOP, {"max_groups": 1}, True), (PURE, {"max_groups": 1}, False), (SHOP, {"max_norm": 3}, False)],
)
def test_keys_are_offered_to_be_found_in_the_data_where_they_can_be(
    shop: DatasetFile, contribution: dict[str, Any], offered: bool
) -> None:
    reason = only(reasons(BY_WORD, shop=shop, contribution=contribution, cost={"epsilon": 0.1}), "are not declared")
    assert ("{private: true}" in reason.instead) is offered


def test_the_window_is_named_as_what_declares_the_dates_of_a_date_trunc() -> None:
    by_month = "SELECT DATE_TRUNC('month', at) AS k, COUNT(DISTINCT uid) AS n FROM visits GROUP BY k"
    assert only(reasons(by_month), "are not declared").instead.startswith("Write window: {from: $since, until: $until}")
    assert "window" not in only(reasons(BY_WORD), "are not declared").instead


def test_a_date_as_a_key_is_told_the_date_trunc_that_declares_its_values() -> None:
    by_day = "SELECT {} AS k, COUNT(DISTINCT uid) AS n FROM visits v GROUP BY k"
    reason = only(reasons(by_day.format("v.day")), "are not declared")
    assert "select DATE_TRUNC('day', v.day) AS k, and write window: {from: $since, until: $until}" in reason.instead
    span = {"window": {"from": "2026-01-01", "until": "2026-01-08"}}
    assert reasons(by_day.format("DATE_TRUNC('day', v.day)"), contribution={"max_groups": 1}, **span) == []


def test_too_many_groups_are_refused() -> None:
    sql = "SELECT n AS a, item AS b, COUNT(DISTINCT uid) AS c FROM visits GROUP BY 1, 2"
    keys = {name: {"values": list(range(1001))} for name in "ab"}
    assert "1002001 groups" in only(reasons(sql, keys=keys, contribution={"max_groups": 1}), "groups").what


def test_a_pure_dataset_counts_epsilon_only() -> None:
    found = reasons(ONE, shop=PURE, cost={"rho": 0.1})
    assert "write cost: {epsilon: ..}" in found[0].what


def test_columns_of_no_purpose_are_read_for_none() -> None:
    text = DATASET.replace("topic: {type: varchar}", "topic: {type: varchar, purposes: []}")
    found = reasons("SELECT COUNT(DISTINCT uid) AS n FROM calls WHERE topic = 'a'", shop=parse_dataset(text, "d"))
    assert "calls.topic may not be read for measurement" in found[0].what
    assert found[0].instead == "It may be read for none"
