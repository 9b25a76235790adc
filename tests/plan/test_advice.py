"""Advice to stewards, from the files and from released numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest
import yaml
from market import DATASET, MARKET, PURE, analysed, planned

from dpstats.catalog.dataset import parse_dataset
from dpstats.plan.advice import Earlier, Shown, compared, recommendations
from dpstats.plan.answer import measures

KEYS = {"item": {"values": ["a", "b", "c", "d"]}}
SQL = "SELECT item, COUNT(DISTINCT uid) AS u, COUNT(*) AS n, SUM(paid) AS s, AVG(paid) AS a FROM sales GROUP BY item"
BOUNDS = {"n": [0, 9], "s": [0, 1000]}
PARTS: dict[str, Any] = {"keys": KEYS, "bounds": BOUNDS, "contribution": {"max_groups": 3, "max_rows": 7}}
ONE = "SELECT SUM(paid) AS s FROM sales"


def advised(sql: str, earlier: Sequence[Earlier] = (), **parts: Any) -> str:
    return "\n".join(recommendations(analysed(sql, **parts), planned(sql, **parts), earlier))


def released(name: str = "q", keys: tuple[str, ...] = ("item",), **parts: Any) -> Earlier:
    shown = {
        "u": Shown("units", None, 20.0, (100.0, 140.0, 160.0)),
        "s": Shown("sum", "USD", 300.0, (1000.0, 1500.0, 1500.0)),
    }
    return Earlier("1ada5b", name, date(2026, 3, 1), {}, keys, shown | parts)


# -- max_norm --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", [MARKET, PURE])
def test_the_norm_that_is_recommended_has_the_noise_of_the_bounds_in_place(market: Any) -> None:
    (line,) = advised(SQL, market=market, **PARTS).splitlines()
    assert "drops no group and no row" in line
    written: Mapping[str, Any] = yaml.safe_load(line.partition("contribution: ")[2].partition(" instead of")[0])
    before = planned(SQL, market=market, **PARTS)
    after = planned(SQL, market=market, **(PARTS | {"contribution": written}))
    for old, new in zip(before.draws, after.draws, strict=True):
        ratio = new.mechanism.scale * float(new.grid) / (old.mechanism.scale * float(old.grid))
        assert 1 - 2e-4 < ratio <= 1 + 1e-9, old.name


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        (SQL, PARTS | {"keys": {"item": {"private": True}}}),  # a threshold needs dropping
        (SQL, PARTS | {"contribution": {"max_norm": {"u": 2, "n": 9, "s": 99, "a": 9}}}),
        (SQL, PARTS | {"contribution": {"max_groups": 1}}),
        ("SELECT band, COUNT(DISTINCT uid) AS u FROM people GROUP BY band", {}),
        (
            "SELECT item, COUNT(DISTINCT uid) AS u FROM sales GROUP BY item",
            {"keys": KEYS, "contribution": {"max_groups": 4}},
        ),
        (
            "SELECT item, COUNT(DISTINCT day) AS d FROM sales GROUP BY item",
            {"keys": KEYS, "contribution": {"max_groups": 2}, "bounds": {"d": [0, 5]}},
        ),
        (
            "SELECT item, SUM(paid) / COUNT(DISTINCT uid) AS r FROM sales GROUP BY item",
            {"keys": KEYS, "contribution": {"max_groups": 2}, "bounds": {"r": [0, 5]}},
        ),
    ],
)  # fmt: skip
def test_no_norm_is_recommended_where_it_cannot_be_or_gains_nothing(sql: str, parts: dict[str, Any]) -> None:
    assert "contribution" not in advised(sql, **parts)


# -- the file --------------------------------------------------------------------------------------------------


def test_a_bound_below_one_row_is_told() -> None:
    text = advised(ONE, bounds={"s": [0, 60]})
    assert text == (
        "s: a single row may be 100 USD, by its column's bounds: more than the 60 USD that a unit's whole total is "
        "clipped to."
    )
    assert advised(ONE, bounds={"s": [0, 500]}) == ""


def test_bounds_past_all_rows_of_a_unit_are_told() -> None:
    few = parse_dataset(DATASET.replace("tables:", "max_rows_per_unit: 10\ntables:", 1), "dataset.yaml")
    text = advised(ONE, market=few, bounds={"s": [0, 4000]})
    assert "a unit has at most 10 rows of at most 100 USD each, so its total never passes 1,000 USD" in text
    assert "with 0.25 times the noise at the same cost" in text
    count = "SELECT COUNT(*) AS n FROM sales"
    assert "no unit has more than 10 rows, so 40 is never reached; [0, 10]" in advised(
        count, market=few, bounds={"n": [0, 40]}
    )
    assert "max_rows 20 is more than the 10 rows" in advised("SELECT AVG(paid) AS a FROM sales", market=few)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT SUM(a.paid) AS s FROM sales a JOIN sales b USING (uid)",
        "WITH t AS (SELECT uid, SUM(paid) AS paid FROM sales GROUP BY uid) SELECT SUM(paid) AS s FROM t",
        "SELECT SUM(2 * paid) AS s FROM sales",
    ],
)
def test_nothing_is_said_of_rows_that_the_file_does_not_bound_plainly(sql: str) -> None:
    few = parse_dataset(DATASET.replace("tables:", "max_rows_per_unit: 10\ntables:", 1), "dataset.yaml")
    assert advised(sql, market=few, bounds={"s": [0, 4000]}) == ""


def test_a_low_bound_that_sets_the_noise_for_nothing_is_told() -> None:
    text = advised("SELECT SUM(age) AS s FROM people", bounds={"s": [-200, 100]})
    assert "no row is below 0, yet the low bound sets the noise: write 0" in text


def test_an_average_wider_than_its_column_is_told() -> None:
    text = advised("SELECT AVG(paid) AS a FROM sales", bounds={"a": [0, 400]})
    assert "bounds [0, 400] go beyond its column's own, [-100, 100]" in text
    assert "with 0.5 times the noise" in text
    assert advised("SELECT AVG(paid) AS a FROM sales", bounds={"a": [0, 50]}) == ""


# -- released numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "word"),
    [(1000, "100 times that, which is wide. [0, 30] is 3 times, with 0.03 times"), (30, "which is usual"),
     (12, "units above the average are clipped. [0, 30] is 3 times, with 2.5 times")],
)  # fmt: skip
def test_a_bound_is_held_against_the_average_that_was_released(bound: float, word: str) -> None:
    parts = PARTS | {"bounds": {"n": [0, 9], "s": [0, bound]}}
    text = advised(SQL, [released()], **parts)
    assert "s: release 1ada5b of 2026-03-01 shows about 10 USD a unit in a group on average" in text
    assert word in text


@pytest.mark.parametrize(
    "useless",
    [
        released(keys=("day",)),
        released(s=Shown("", "USD", 300.0, (1000.0,))),
        released(s=Shown("sum", "USD", 9000.0, (1000.0, 2000.0))),
        released(u=Shown("units", None, 90.0, (10.0, 20.0, -30.0))),
        released(u=Shown("units", None, 20.0, ())),
    ],
)
def test_no_average_is_made_of_what_does_not_tell_one(useless: Earlier) -> None:
    assert "release" not in advised(SQL, [useless], **PARTS)


def test_noise_is_held_against_the_last_released_value_of_the_same_query() -> None:
    plan = planned(SQL, **PARTS)
    found = compared(plan, measures(plan), [released("other"), released()])
    width = measures(plan)["u"]["half_width_95"]
    assert found[0].startswith(f"u: release 1ada5b of 2026-03-01 showed about 140 in its middle group; ± {width} is ")
    assert [line.split(":")[0] for line in found] == ["u", "s"]
    assert compared(plan, measures(plan), [released("other")]) == ()


def test_a_release_with_other_parameters_says_so_and_comes_after_one_with_the_same() -> None:
    plan = planned(SQL, **PARTS)
    other = Earlier("2bd", "q", date(2026, 4, 1), {"since": "2026-01-01"}, ("item",), released().measures)
    assert "2bd of 2026-04-01 (asked for since 2026-01-01)" in compared(plan, measures(plan), [other])[0]
    assert "1ada5b" in compared(plan, measures(plan), [other, released()])[0]


def test_a_value_that_was_lost_in_noise_is_not_held_up() -> None:
    plan = planned(SQL, **PARTS)
    (line,) = compared(
        plan, measures(plan), [released(u=Shown("units", None, 20.0, (3.0, 4.0)), s=Shown("sum", None, 1.0, ()))]
    )
    assert line.endswith("could not tell it from 0 in its middle group.")
