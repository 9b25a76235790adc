"""A query names one purpose, and reads no column that does not declare it, wherever in the query it is read."""

from __future__ import annotations

from typing import Any

import pytest
from shop import DATASET, analysed, reasons

from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.purposes import SENSITIVE

PURPOSES = "purposes: [marketing]"
IN_SQL: dict[str, tuple[str, dict[str, Any]]] = {
    "an aggregate": ("SELECT COUNT(DISTINCT secret) AS n FROM visits", {"bounds": {"n": [0, 2]}}),
    "WHERE": ("SELECT COUNT(DISTINCT uid) AS n FROM visits WHERE secret = 'x'", {}),
    "FILTER": ("SELECT COUNT(DISTINCT uid) FILTER (WHERE secret = 'x') AS n FROM visits", {}),
    "a key": (
        "SELECT secret AS k, COUNT(DISTINCT uid) AS n FROM visits GROUP BY 1",
        {"keys": {"k": {"values": ["x"]}}, "contribution": {"max_groups": 1}},
    ),
    "a private key": (
        "SELECT secret AS k, COUNT(DISTINCT uid) AS n FROM visits GROUP BY 1",
        {"keys": {"k": {"private": True}}, "contribution": {"max_groups": 1}},
    ),
    "a CTE that nobody reads on": (
        "WITH a AS (SELECT uid, secret AS s, n FROM visits) SELECT COUNT(DISTINCT uid) AS n FROM a WHERE n > 1",
        {},
    ),
    "an aggregate in a subquery": (
        "SELECT SUM(m) AS s FROM (SELECT uid, COUNT(secret) AS m FROM visits GROUP BY uid) AS a",
        {"bounds": {"s": [0, 5]}},
    ),
    "a condition of a join": (
        "SELECT COUNT(DISTINCT v.uid) AS n FROM calls c JOIN visits v ON c.uid = v.uid AND c.topic = v.secret",
        {},
    ),
    "CASE": (
        "SELECT SUM(CASE WHEN secret = 'x' THEN 1 ELSE 0 END) AS s FROM visits",
        {"bounds": {"s": [0, 5]}},
    ),
}


@pytest.mark.parametrize("place", IN_SQL)
def test_a_column_of_another_purpose_is_refused_by_name_wherever_it_is_read(place: str) -> None:
    sql, parts = IN_SQL[place]
    assert [reason.what for reason in reasons(sql, **parts)] == ["visits.secret may not be read for measurement"]
    everything = DATASET.replace(PURPOSES, "purposes: [marketing, measurement]")
    assert reasons(sql, shop=parse_dataset(everything, "d"), **parts) == []


def test_a_window_s_column_is_one_that_is_read() -> None:
    text = DATASET.replace("seen: {type: timestamp}", f"seen: {{type: timestamp, {PURPOSES}}}")
    sql = "SELECT COUNT(DISTINCT uid) AS n FROM visits WHERE seen >= $a AND seen < $b"
    day = {"type": "date", "min": "2017-01-01", "max": "2018-01-01", "default": "2017-01-01"}
    parts = {"parameters": {"a": day, "b": dict(day)}, "window": {"from": "$a", "until": "$b"}}
    found = reasons(sql, shop=parse_dataset(text, "d"), **parts)
    assert [reason.what for reason in found] == ["visits.seen may not be read for measurement"]


def test_every_column_that_is_in_the_way_is_named_at_once() -> None:
    text = DATASET.replace("topic: {type: varchar}", "topic: {type: varchar, purposes: []}")
    sql = "SELECT COUNT(DISTINCT v.uid) AS n FROM visits v JOIN calls c ON v.uid = c.uid WHERE v.secret = c.topic"
    found = reasons(sql, shop=parse_dataset(text, "d"))
    assert [reason.what for reason in found] == [
        "calls.topic may not be read for measurement",
        "visits.secret may not be read for measurement",
    ]


def test_the_key_column_counts_too() -> None:
    found = reasons("SELECT COUNT(DISTINCT uid) AS n FROM visits WHERE secret = 'x'", purpose="marketing")
    assert [reason.what for reason in found] == ["visits.uid may not be read for marketing"]


@pytest.mark.parametrize("sensitive", SENSITIVE)
def test_what_the_statute_calls_sensitive_needs_consent_or_a_basis(sensitive: str) -> None:
    text = DATASET.replace("topic: {type: varchar}", f"topic: {{type: varchar, sensitive: {sensitive}}}")
    sql = "SELECT COUNT(DISTINCT uid) AS n FROM calls WHERE topic = 'a'"
    (reason,) = reasons(sql, shop=parse_dataset(text, "d"))
    assert reason.what == f"calls.topic is sensitive ({sensitive}), and measurement asks for no consent"
    based = text.replace("consent: notice", "consent: notice, basis_7027m: 7")
    consented = text.replace("consent: notice", "consent: opt_in")
    unsaid = text.replace(", consent: notice", "")
    for allowed in (based, consented, unsaid):
        assert reasons(sql, shop=parse_dataset(allowed, "d")) == []


def test_a_public_table_has_nothing_sensitive_of_anybody() -> None:
    text = DATASET.replace("dept: {type: varchar}", "dept: {type: varchar, sensitive: true}")
    text = text.replace(", consent: notice", "")
    sql = "SELECT COUNT(*) AS n FROM visits v JOIN items i USING (item) WHERE i.dept = 'food'"
    parts = {"bounds": {"n": [0, 9]}}
    assert analysed(sql, shop=parse_dataset(text, "d"), **parts).consented is None
    sensitive = text.replace("item: {type: bigint, bounds", "item: {type: bigint, sensitive: true, bounds", 1)
    assert analysed(sql, shop=parse_dataset(sensitive, "d"), **parts).consented is not None


def test_a_purpose_may_say_by_how_many_keys_people_are_grouped_at_most() -> None:
    sql = (
        "SELECT p.Band AS band, flag, COUNT(DISTINCT v.uid) AS n FROM visits v JOIN people p USING (uid) GROUP BY 1, 2"
    )
    parts: dict[str, Any] = {"keys": {"band": {"values": ["high", "low"]}}, "contribution": {"max_groups": 2}}
    limited = {
        most: parse_dataset(DATASET.replace("consent: notice}", f"consent: notice, max_keys: {most}}}"), "d")
        for most in (1, 2)
    }
    (refusal,) = reasons(sql, shop=limited[1], **parts)
    assert refusal.what == "2 keys (band, flag), and a query for measurement may have at most 1"
    assert reasons(sql, shop=limited[2], **parts) == []
    assert analysed(sql, shop=limited[2], **parts).version == analysed(sql, **parts).version, "its plan is the same"


GROUPED_TWICE = {
    "SELECT Band || CAST(age AS VARCHAR) AS k, COUNT(DISTINCT uid) AS n FROM people "
    "GROUP BY k": "people.Band, people.age",
    "SELECT CASE WHEN Band = 'low' AND age = 44 THEN 'x' ELSE 'y' END AS k, COUNT(DISTINCT uid) AS n FROM people "
    "GROUP BY k": "people.Band, people.age",
    "WITH made AS (SELECT uid, Band || CAST(age AS VARCHAR) AS both FROM people) "
    "SELECT both AS k, COUNT(DISTINCT uid) AS n FROM made GROUP BY both": "people.Band, people.age",
    "SELECT most AS k, COUNT(DISTINCT uid) AS n FROM (SELECT uid, MAX(word) FILTER (WHERE flag) AS most FROM visits "
    "GROUP BY uid) AS s GROUP BY most": "visits.flag, visits.word",
}


@pytest.mark.parametrize("sql", GROUPED_TWICE)
def test_columns_that_are_put_together_into_one_key_are_counted_one_by_one(sql: str) -> None:
    limited = {
        most: parse_dataset(DATASET.replace("consent: notice}", f"consent: notice, max_keys: {most}}}"), "d")
        for most in (1, 2)
    }
    parts: dict[str, Any] = {"keys": {"k": {"values": ["x"]}}, "contribution": {"max_groups": 1}}
    (refusal,) = reasons(sql, shop=limited[1], **parts)
    said = f"keys of 2 columns ({GROUPED_TWICE[sql]})"
    assert refusal.what == f"{said}, and a query for measurement may have at most 1"
    assert reasons(sql, shop=limited[2], **parts) == []


def test_several_bins_of_one_column_are_several_keys() -> None:
    sql = "SELECT age >= 44 AS old, age >= 65 AS retired, COUNT(DISTINCT uid) AS n FROM people GROUP BY 1, 2"
    limited = parse_dataset(DATASET.replace("consent: notice}", "consent: notice, max_keys: 1}"), "d")
    (refusal,) = reasons(sql, shop=limited)
    assert refusal.what.startswith("2 keys (old, retired)")
