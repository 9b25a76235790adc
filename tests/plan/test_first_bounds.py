"""Whoever says nothing of how far a unit reaches is told the line to paste, and the query that has it is answered."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from market import MARKET, PURE, analysed, planned, reasons

from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import QueryRefused
from dpstats.plan.build import groups_of_a_unit
from dpstats.plan.first_bounds import GROUPS

FEW = {"item": {"values": ["a", "b", "c", "d"]}}
MANY = {"item": {"values": [f"item {n}" for n in range(100)]}}
PRIVATE = {"item": {"private": True}}
MEASURES = [
    "COUNT(DISTINCT uid) AS m",
    "COUNT(*) AS m",
    "SUM(paid) AS m",
    "SUM(n) FILTER (WHERE flag) AS m",
    "AVG(paid) AS m, VAR_POP(paid) AS v, COUNT(DISTINCT uid) AS u, COUNT(DISTINCT uid) AS again",
    "SUM(paid) / COUNT(DISTINCT uid) AS m",
    "SUM(paid) AS m, COUNT(DISTINCT uid) AS u, SUM(paid) / COUNT(DISTINCT uid) AS each",
    "COUNT(DISTINCT day) AS m",
    "MEDIAN(paid) AS m, COUNT(*) AS n",
]


def pasted(sql: str, **parts: Any) -> dict[str, Any]:
    """The lines that a refusal says to write, the first where it offers several; what they leave out stays."""
    try:
        analysed(sql, **parts)
    except QueryRefused as refused:
        return {key: value for reason in refused.reasons for key, value in _written(reason.instead).items()}
    raise AssertionError("it was not refused")


def _written(instead: str) -> dict[str, Any]:
    """The YAML after `Write`, up to where its braces are closed."""
    text, depth = instead.removeprefix("Write "), 0
    for place, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "}" and depth == 0:
            written: dict[str, Any] = yaml.safe_load(text[: place + 1])
            return written
    raise AssertionError(text)


@pytest.mark.parametrize("market", [MARKET, PURE])
@pytest.mark.parametrize("keys", [FEW, MANY])
@pytest.mark.parametrize("measures", MEASURES)
def test_what_a_refusal_says_to_write_makes_the_query_pass(
    measures: str, keys: dict[str, Any], market: DatasetFile
) -> None:
    sql = f"SELECT item, {measures} FROM sales GROUP BY item"
    parts: dict[str, Any] = {"keys": keys, "market": market}
    assert reasons(sql, **parts, **pasted(sql, **parts)) == ""


def test_private_keys_are_told_of_groups_alone() -> None:
    sql = "SELECT item, COUNT(DISTINCT uid) AS m FROM sales GROUP BY item"
    assert pasted(sql, keys=PRIVATE) == {"contribution": {"max_groups": GROUPS}}
    assert "max_norm" not in reasons(sql, keys=PRIVATE)


def test_the_norm_cuts_nothing_of_a_unit_at_its_bounds_in_every_group_or_in_as_many_as_are_told() -> None:
    sql = "SELECT item, COUNT(DISTINCT uid) AS u, SUM(paid) AS s FROM sales GROUP BY item"
    for keys, groups in ((FEW, 4), (MANY, GROUPS)):
        given = {"keys": keys, "bounds": {"s": [0, 500]}}
        assert pasted(sql, **given) == {"contribution": {"max_norm": {"u": groups**0.5, "s": 500 * groups**0.5}}}
        pure = pasted(sql, market=PURE, **given)
        assert pure == {"contribution": {"max_norm": {"u": groups, "s": 500 * groups}}}
    assert "cuts nothing within the bounds" in reasons(sql, keys=FEW, bounds={"s": [0, 500]})
    assert f"at its bounds in more than {GROUPS} groups" in reasons(sql, keys=MANY, bounds={"s": [0, 500]})


def test_the_other_line_keeps_what_the_file_says_of_rows() -> None:
    sql = "SELECT item, AVG(paid) AS m FROM sales GROUP BY item"
    said = reasons(sql, keys=FEW, contribution={"max_rows": 7})
    assert "{max_groups: 4, max_rows: 7}" in said
    plan = planned(sql, keys=FEW, contribution={"max_groups": 4, "max_rows": 7})
    assert plan.draws[0].mechanism.sensitivity.cells == 4
    assert groups_of_a_unit(analysed(sql, keys=FEW, contribution={"max_groups": 4}), 4) == 4


def test_everything_that_is_missing_is_told_at_once() -> None:
    said = reasons("SELECT item, SUM(paid) AS s, COUNT(*) AS n FROM sales GROUP BY item")
    for part in (
        "keys: {item: {values: [..]}}",
        "bounds: {s: [-2000, 2000]}",
        "bounds: {n: [0, 20]}",
        "max_norm: {s: ",
    ):
        assert part in said
