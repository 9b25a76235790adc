"""A table of Iceberg is read in place as its own readers read it at its present snapshot."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import ice
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lakes import loaded, rows_of
from logged_tables import shop_of
from pyiceberg.table import Table
from pyiceberg.types import StringType

from dpstats.engine.at_owner import erased_at_owner, rows_at_owner
from dpstats.engine.in_place import notes_of
from dpstats.errors import FileError

IN_PLACE, COPY = shop_of(
    "uid: {type: varchar}, paid: {type: double}, seen: {type: timestamp}, "
    "day: {type: date}, town: {type: varchar}, more: {type: varchar}"
)
COLUMNS = list(IN_PLACE.tables["visits"].columns)


def visits(first: int, count: int) -> pa.Table:
    """Rows of people with the ids from `first` on."""
    ids = range(first, first + count)
    return pa.table({
        "uid": [f"u{each}" for each in ids],
        "paid": pa.array([each / 4 for each in ids], pa.float64()),
        "seen": pa.array([datetime(2017, 1, 1 + each % 28, 9, tzinfo=UTC) for each in ids], pa.timestamp("us", "UTC")),
        "day": pa.array([date(2017, 1 + each % 3, 1) for each in ids], pa.date32()),
        "town": pa.array([("ü", "", "x/y=z%", None)[each % 4] for each in ids], pa.string()),
    })  # fmt: skip


def changed(folder: Path, partition_by: str) -> Table:
    """A table of several snapshots: rows were appended, a column was added, rows were deleted and changed."""
    table = ice.made(folder, visits(0, 40), partition_by=partition_by)
    table.append(visits(40, 40))
    with table.update_schema() as schema:
        schema.add_column("more", StringType())
    table.append(visits(80, 20).append_column("more", pa.array(["m"] * 20)))
    table.delete("paid >= 2.5 AND paid < 11.25")
    table.overwrite(visits(50, 1).append_column("more", pa.array(["changed"])), overwrite_filter="uid = 'u50'")
    return table


@pytest.mark.parametrize("partition_by", ["", "town"])
def test_answers_are_of_the_rows_that_the_table_has_now(tmp_path: Path, partition_by: str) -> None:
    table = changed(tmp_path / "lake", partition_by)
    pq.write_table(table.scan().to_arrow(), tmp_path / "rows.parquet")
    loaded(COPY, {"visits": tmp_path / "rows.parquet"}, tmp_path / "read.duckdb")
    expected = rows_of(tmp_path / "read.duckdb", COLUMNS)
    assert sum(expected.values()) == 65
    loaded(IN_PLACE, {"visits": ice.metadata_of(table)}, tmp_path / "place.duckdb")
    assert rows_of(tmp_path / "place.duckdb", COLUMNS) == expected
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert notes_of(tmp_path / "place.duckdb")["visits"].version == f"Iceberg, snapshot {snapshot.snapshot_id}"
    told = rows_at_owner(IN_PLACE, tmp_path / "place.duckdb", "visits", COLUMNS, lambda text: text == "u50")
    assert [row[-1] for row in told] == ["changed"]
    table.delete("uid = 'u50'")
    erased = erased_at_owner(IN_PLACE, tmp_path / "place.duckdb", lambda text: text == "u50")
    assert erased.ids == {}
    assert "metadata files that are as new" in erased.unread["visits"]
    assert rows_of(tmp_path / "place.duckdb", COLUMNS) == expected, "as it was noted"


def test_ids_in_the_names_of_a_table_s_folders_are_refused(tmp_path: Path) -> None:
    table = ice.made(tmp_path / "lake", visits(0, 4).append_column("more", pa.array(["m"] * 4)), partition_by="uid")
    with pytest.raises(FileError, match="in the names of folders"):
        loaded(IN_PLACE, {"visits": ice.alone(table)}, tmp_path / "place.duckdb")
