"""Rows of a table with blocks: bounded and ranked in each (unit, block) by itself."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.load import load

KEY = b"k" * 32
TODAY = date(2017, 6, 15)
TEXT = """\
dataset: gym
privacy_unit: member
budget: {epsilon: 1, delta: 0}
blocks: {column: visits.at, every: EVERY, budget: {epsilon: 1, delta: 0}}
max_rows_per_unit: 3
tables:
  visits: {columns: {member: {type: bigint}, note: {type: varchar}, at: {type: timestamp}}}
"""
Row = tuple[int, str, datetime | None]


def loaded(folder: Path, rows: list[Row], every: str = "month", base: Path | None = None) -> list[tuple[Any, ...]]:
    """Every row as loaded, sorted: member, note, at, rank in its block."""
    folder.mkdir()
    columns = zip(*rows, strict=True)
    pq.write_table(pa.table(dict(zip(("member", "note", "at"), map(list, columns), strict=True))), folder / "v.parquet")
    dataset = parse_dataset(TEXT.replace("EVERY", every), "dataset.yaml")
    made = folder / "made.duckdb"
    load(dataset, {"visits": folder / "v.parquet"}, target=made, key=KEY, base=base, append=bool(base), today=TODAY)
    with duckdb.connect(made, read_only=True) as connection:
        sql = 'SELECT member, note, "at", dp_block_rank FROM visits ORDER BY ALL'
        return connection.execute(sql).fetchall()


def rows_of(member: int, month: int, count: int, note: str = "") -> list[Row]:
    start = datetime(2017, month, 1)  # noqa: DTZ001
    return [(member, note or f"n{n % 4}", start + timedelta(hours=n // 2)) for n in range(count)]


OTHERS = [row for member in (2, 3) for month in (1, 2, 3) for row in rows_of(member, month, 9)]
MINE = rows_of(1, 1, 7) + rows_of(1, 3, 12)


@pytest.mark.parametrize("february", [0, 1, 3, 4, 40, "text"])
def test_a_units_rows_in_one_block_decide_nothing_in_another(tmp_path: Path, february: int | str) -> None:
    mine = rows_of(1, 2, 3, "x" * 9000) if february == "text" else rows_of(1, 2, int(february))

    def elsewhere(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [row for row in rows if (row[0], row[2].month) != (1, 2)]

    without, with_ = loaded(tmp_path / "a", OTHERS + MINE), loaded(tmp_path / "b", mine + OTHERS + MINE)
    assert elsewhere(without) == elsewhere(with_) == without
    assert len([row for row in with_ if (row[0], row[2].month) == (1, 2)]) == min(3, len(mine))


def test_each_block_keeps_its_cap_and_ranks_its_rows_from_one(tmp_path: Path) -> None:
    found = loaded(tmp_path / "a", OTHERS + MINE)
    for member, month in ((1, 1), (1, 3), (2, 2), (3, 3)):
        assert sorted(row[3] for row in found if (row[0], row[2].month) == (member, month)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("every", "first", "after"),
    [
        ("day", "2017-06-15", "2017-06-16"),
        ("week", "2017-06-12", "2017-06-19"),
        ("month", "2017-06-01", "2017-07-01"),
        ("quarter", "2017-04-01", "2017-07-01"),
        ("year", "2017-01-01", "2018-01-01"),
    ],
)
def test_what_has_no_time_or_a_later_block_than_the_loads_is_dropped(
    tmp_path: Path, every: str, first: str, after: str
) -> None:
    last = datetime.fromisoformat(after) - timedelta(microseconds=1)
    rows: list[Row] = [(1, "none", None), (2, "after", datetime.fromisoformat(after)), (3, "last", last)]
    rows += [(4, "first", datetime.fromisoformat(first)), (5, "early", datetime(1700, 1, 1))]  # noqa: DTZ001
    assert [row[1] for row in loaded(tmp_path / "a", rows, every)] == ["last", "first", "early"]


def test_late_rows_that_are_appended_count_in_their_own_block(tmp_path: Path) -> None:
    loaded(tmp_path / "a", rows_of(1, 1, 2) + rows_of(1, 2, 3))
    found = loaded(tmp_path / "b", rows_of(1, 1, 2, "late"), base=tmp_path / "a" / "made.duckdb")
    assert [row[2].month for row in found].count(1) == 3
    assert [row[2].month for row in found].count(2) == 3
