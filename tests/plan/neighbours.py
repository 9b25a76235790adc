"""Neighbouring datasets: one with a unit more, all its rows in all personal tables; and rows that are nasty."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from exact_changes import check_moved
from shop import PERSONAL, Rows, cells, opened

from dpstats.plan.plan import Draw, Plan

Cells = Mapping[tuple[Any, ...], tuple[Any, ...]]

NAN, INF = float("nan"), float("inf")
NASTY: Mapping[str, Sequence[Any]] = {
    "item": (0, 1, 2, 3, 3, None, -7, 10**12),
    "n": (0, 1, 2, -5, 50, 2**31 - 1, -(2**31), None, 7),
    "paid": (0.0, -0.0, 0.1, 0.2, 99.995, 1e308, -1e308, NAN, INF, -INF, 5e-324, None, 33.333333, 50.005),
    "wild": (0.0, -0.0, 1e308, -1e308, 1e-308, NAN, -INF, 3.7, 2.0**63, -2.5, None, 0.5),
    "big": (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1, None, 10),
    "price": ("0", "1.25", "-99999999.99", "99999999.99", None, "0.1"),
    "word": (
        "", "a", "A", "é", "e\u0301", "12", "1e400", "NaN", "inf", "-0", "2017-01-01", "infinity", "o'x", '"', "%_",
        "\\", "🎉", " sp ", "true", "9223372036854775808", None, "2017-02-30", "99999-01-01", "dp_rows", "$k_0",
        "2017-01-01 10:00:00+05",
    ),
    "flag": (True, False, None),
    "day": ("2017-01-01", "2017-01-08", "2017-03-15", "0001-01-01", "9999-12-31", "5874897-12-31", "infinity",
            "-infinity", None, "5877642-06-25 (BC)"),
    "seen": ("2017-01-01 10:11:12.999999", "2017-01-09", "2017-12-31 23:59:59", "0001-01-01", "294246-12-31 23:59:59",
           "infinity", None, "290309-12-22 (BC) 00:00:00"),
    "code": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", None),
    "Band": ("low", "mid", "high", "other", "", None),
    "age": (0, 30, 31, 120, -1, 2**31 - 1, None),
    "minutes": (0.0, -0.0, 0.1, 59.9, 61.0, NAN, None),
    "topic": ("a", "b", "", None),
}  # fmt: skip
COLUMNS = {
    "visits": ("item", "n", "paid", "wild", "big", "price", "word", "flag", "day", "seen", "code"),
    "people": ("Band", "age"),
    "calls": ("minutes", "topic"),
}
ITEMS = [
    (0, "food", 1.0),
    (1, "food", 2.5),
    (2, "toys", None),
    (3, "toys", 9.0),
    (3, "books", 0.0),
    (None, "books", 1.0),
    (4, None, NAN),
]


def shop_rows(random_: random.Random, units: int) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of up to `units` units: most bring a few visits, some many, some the same one over and over, some none."""
    rows: dict[str, list[tuple[Any, ...]]] = {"items": list(ITEMS), "visits": [], "people": [], "calls": []}
    for unit in (*range(units), None):
        visits = [(unit, *_row(random_, "visits"), "x") for _ in range(random_.choice((0, 1, 2, 3, 5, 12)))]
        rows["visits"] += visits * random_.choice((1, 1, 1, 7))
        rows["calls"] += [(unit, *_row(random_, "calls")) for _ in range(random_.choice((0, 1, 2, 4)))]
        if unit is not None and random_.random() < 0.8:
            rows["people"].append((unit, *_row(random_, "people")))
    return rows


def _row(random_: random.Random, table: str) -> tuple[Any, ...]:
    return tuple(random_.choice(NASTY[column]) for column in COLUMNS[table])


def without(rows: Rows, unit: object) -> Rows:
    """The rows of everyone else."""
    return {t: [row for row in r if t not in PERSONAL or row[0] != unit] for t, r in rows.items()}


def shuffled(random_: random.Random, rows: Rows) -> Rows:
    """The same rows in another order."""
    return {table: random_.sample(list(r), len(r)) for table, r in rows.items()}


def connections(random_: random.Random, rows: Rows, units: Sequence[object]) -> list[duckdb.DuckDBPyConnection]:
    """The rows; the rows in another order, read by four threads; and the rows without each of `units`."""
    return [opened(rows), opened(shuffled(random_, rows), threads=4), *(opened(without(rows, unit)) for unit in units)]


def check(plan: Plan, given: Sequence[duckdb.DuckDBPyConnection]) -> int:
    """Asserts that order is nothing and that each unit moves the answer by no more than the plan says.

    Returns:
      How many neighbours differed at all.
    """
    whole, other_order, *neighbours = [cells(connection, plan) for connection in given]
    assert whole == other_order
    return sum(_within(plan, whole, less) for less in neighbours)


def _within(plan: Plan, more: Cells, less: Cells) -> bool:
    groups = more.keys() | less.keys()
    nothing = (0,) * len(plan.draws)
    return check_moved(
        plan,
        [
            [(_entries(draw, a), _entries(draw, b)) for draw, a, b in zip(plan.draws, with_one, without, strict=True)]
            for with_one, without in ((more.get(group, nothing), less.get(group, nothing)) for group in groups)
        ],
    )


def _entries(draw: Draw, value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * draw.cells
