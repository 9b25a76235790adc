"""A table of Delta Lake is read in place as its own readers read it at its present version, or is refused."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from lakes import loaded, opened, rows_of
from logged_tables import shop_of

from dpstats.engine.at_owner import erased_at_owner, rows_at_owner
from dpstats.engine.in_place import notes_of
from dpstats.errors import FileError

VISITS = (
    "uid: {type: bigint}, paid: {type: double}, town: {type: varchar}, "
    "seen: {type: timestamp}, day: {type: date}, shop: {type: integer}, code: {type: varchar}"
)
IN_PLACE, COPY = shop_of(VISITS)
COLUMNS = list(IN_PLACE.tables["visits"].columns)


def visits(first: int, count: int, **more: pa.Array) -> pa.Table:
    """Rows of people with the ids from `first` on."""
    ids = range(first, first + count)
    columns = {
        "uid": pa.array(ids, pa.int64()),
        "paid": pa.array([each / 4 for each in ids], pa.float64()),
        "seen": pa.array(
            [datetime(2017, 1, 1 + each % 28, 23, 30, tzinfo=UTC) for each in ids], pa.timestamp("us", "UTC")
        ),
        "day": pa.array([date(2017, 1 + each % 3, 1) for each in ids], pa.date32()),
        "shop": pa.array([None if each % 5 == 4 else each % 5 for each in ids], pa.int32()),
        "code": pa.array([("a b", "x:y/z%", None)[each % 3] for each in ids], pa.string()),
    }
    return pa.table(columns | more)


def changed(folder: Path, partition_by: list[str]) -> Path:
    """A table of several versions: rows were appended, a column was added, rows were deleted and changed."""
    write_deltalake(folder, visits(0, 40), partition_by=partition_by or None)
    write_deltalake(folder, visits(40, 40), mode="append")
    towns = pa.array(["ü" if each % 2 else None for each in range(20)], pa.string())
    write_deltalake(folder, visits(80, 20, town=towns), mode="append", schema_mode="merge")
    DeltaTable(folder).delete("uid >= 10 AND uid < 45")
    DeltaTable(folder).update(updates={"paid": "-1.0"}, predicate="uid = 50")
    return folder


def as_delta_reads(folder: Path, to: Path) -> Path:
    """The rows as `deltalake` reads them, in one file."""
    pq.write_table(DeltaTable(folder).to_pyarrow_table(), to)
    return to


@pytest.mark.parametrize("partition_by", [[], ["day", "shop", "code"]])
def test_answers_are_of_the_rows_that_the_table_has_now(tmp_path: Path, partition_by: list[str]) -> None:
    folder = changed(tmp_path / "lake", partition_by)
    loaded(COPY, {"visits": as_delta_reads(folder, tmp_path / "rows.parquet")}, tmp_path / "read.duckdb")
    expected = rows_of(tmp_path / "read.duckdb", COLUMNS)
    assert sum(expected.values()) == 65
    loaded(IN_PLACE, {"visits": folder}, tmp_path / "place.duckdb")
    assert rows_of(tmp_path / "place.duckdb", COLUMNS) == expected
    loaded(COPY, {"visits": folder}, tmp_path / "copy.duckdb")
    assert rows_of(tmp_path / "copy.duckdb", COLUMNS) == expected
    assert notes_of(tmp_path / "place.duckdb")["visits"].version == "Delta Lake, version 4"


def test_a_person_is_told_what_the_table_has_of_them_now_and_queries_keep_to_what_was_noted(tmp_path: Path) -> None:
    folder, file = tmp_path / "lake", tmp_path / "place.duckdb"
    none = pa.array([None] * 20, pa.string())
    write_deltalake(folder, visits(0, 20, town=none), partition_by="day")
    loaded(IN_PLACE, {"visits": folder}, file)
    noted = rows_of(file, ["uid"])
    DeltaTable(folder).delete("uid = 3")
    write_deltalake(folder, visits(3, 2), mode="append", schema_mode="merge")
    DeltaTable(folder).delete("uid = 3")
    erased = erased_at_owner(IN_PLACE, file, lambda text: text in {"3", "4", "999"})
    assert (erased.ids, erased.unread) == ({"visits": ("4",)}, {}), "their files of before are there still"
    told = rows_at_owner(IN_PLACE, file, "visits", ["uid", "day"], lambda text: text in {"3", "4"})
    assert told == (("4", "2017-02-01"), ("4", "2017-02-01")), "one was added since the load"
    assert rows_of(file, ["uid"]) == noted
    DeltaTable(folder).vacuum(0, enforce_retention_duration=False, dry_run=False)
    with opened(file) as engine:
        assert engine.changed(["visits"]) == ("visits",)
    loaded(IN_PLACE, {"visits": folder}, tmp_path / "again.duckdb")
    assert rows_of(tmp_path / "again.duckdb", ["uid"]) == noted - Counter([("3",)]) + Counter([("4",)])


def test_ids_in_the_names_of_a_table_s_folders_are_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "lake", visits(0, 3, town=pa.array(["a"] * 3)), partition_by="uid")
    with pytest.raises(FileError, match="in the names of folders"):
        loaded(IN_PLACE, {"visits": tmp_path / "lake"}, tmp_path / "place.duckdb")


def test_one_table_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    both, _ = shop_of(VISITS, ("visits", "calls"))
    for name in ("visits", "calls"):
        write_deltalake(tmp_path / name, visits(0, 3, town=pa.array(["a"] * 3)))
    loaded(both, {name: tmp_path / name for name in ("calls", "visits")}, tmp_path / "place.duckdb")
    shutil.rmtree(tmp_path / "calls" / "_delta_log")
    (tmp_path / "calls" / "_delta_log").mkdir()
    erased = erased_at_owner(both, tmp_path / "place.duckdb", lambda text: text == "1")
    assert erased.ids == {"visits": ("1",)}
    assert list(erased.unread) == ["calls"]
    assert "1" not in repr(erased)
