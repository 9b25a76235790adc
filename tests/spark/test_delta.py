"""Which files a table of Delta has, by its log; and a table whose files alone are not its rows is refused."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta_log import added, commit, entries, protocol, removed, without_row
from deltalake import DeltaTable, write_deltalake
from logged_tables import read, refused

from dpstats.engine.listing import listed
from dpstats.engine.logged import read_log
from dpstats.engine.place import is_so, pin_of
from dpstats.errors import FileError

ROWS = pa.table({"uid": pa.array([1, 2, 3], pa.int64()), "town": ["a", "b", "a"]})


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    write_deltalake(tmp_path / "lake", ROWS)
    return tmp_path / "lake"


def test_a_column_that_was_added_is_empty_in_older_files(lake: Path) -> None:
    more = pa.table({"uid": pa.array([4], pa.int64()), "paid": [2.5]})
    write_deltalake(lake, more, mode="append", schema_mode="merge")
    assert read(lake, "uid", "town", "paid") == [
        ("1", "a", None), ("2", "b", None), ("3", "a", None), ("4", None, "2.5")
    ]  # fmt: skip


def test_the_log_is_read_from_its_last_checkpoint_on(lake: Path) -> None:
    DeltaTable(lake).delete("uid = 1")
    DeltaTable(lake).create_checkpoint()
    (lake / "_delta_log" / f"{0:020}.json").unlink()
    write_deltalake(lake, ROWS.slice(1, 1), mode="append")
    assert read(lake, "uid") == [("2",), ("2",), ("3",)]


def test_no_other_folder_is_read_than_is_named(tmp_path: Path, lake: Path) -> None:
    write_deltalake(tmp_path / "a b", ROWS.slice(0, 1))
    assert read(tmp_path / "a b", "uid") == [("1",)]
    lake.rename(tmp_path / "a%20b")
    assert "has a % in its path" in refused(tmp_path / "a%20b")


@pytest.mark.parametrize("town", ["a b", "x:y/z%=", "2017-01", "None", "a+b"])
def test_partitions_are_what_the_log_says(tmp_path: Path, town: str) -> None:
    towns = pa.array([town, None], pa.string())
    write_deltalake(tmp_path / "lake", pa.table({"uid": [1, 2], "town": towns}), partition_by="town")
    assert read(tmp_path / "lake", "uid", "town") == [("1", town), ("2", None)]


@pytest.mark.parametrize("town", ["", "ü"])
def test_a_partition_that_spark_would_read_otherwise_is_refused(tmp_path: Path, town: str) -> None:
    write_deltalake(tmp_path / "lake", pa.table({"uid": [1], "town": [town]}), partition_by="town")
    assert "Spark would read otherwise" in refused(tmp_path / "lake")


@pytest.mark.parametrize("value", ['"b"', "null", '"A"'])
def test_a_partition_of_which_log_and_folder_disagree_is_refused(tmp_path: Path, value: str) -> None:
    lake = tmp_path / "lake"
    write_deltalake(lake, ROWS.slice(0, 1), partition_by="town")
    log = lake / "_delta_log" / f"{0:020}.json"
    log.write_text(log.read_text().replace('"partitionValues":{"town":"a"}', f'"partitionValues":{{"town":{value}}}'))
    assert "Spark would read otherwise" in refused(lake)


@pytest.mark.parametrize("kind", [pa.float64(), pa.bool_(), pa.timestamp("us", "UTC")])
def test_partitions_that_names_spell_in_several_ways_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    rows = pa.table({"uid": [1], "town": ["a"], "part": pa.array([1], pa.int64()).cast(kind)})
    write_deltalake(tmp_path / "lake", rows, partition_by="part")
    assert "is partitioned by something else" in refused(tmp_path / "lake")


def test_deleted_rows_that_are_in_the_files_still_are_refused_until_the_files_are_rewritten(lake: Path) -> None:
    (add,) = entries(lake, "add")
    commit(lake, protocol("deletionVectors"), removed(add), without_row(add, 1))
    assert "APPLY (PURGE)" in refused(lake)
    commit(lake, removed(entries(lake, "add")[-1]))
    pq.write_table(ROWS.slice(0, 1), lake / "purged.parquet")
    commit(lake, added(lake, add, "purged.parquet"))
    assert read(lake, "uid") == [("1",)]


@pytest.mark.parametrize(
    "feature",
    ["columnMapping", "typeWidening", "variantType", "v2Checkpoint", "vacuumProtocolCheck", "catalogManaged", "new"],
)
def test_a_table_that_asks_of_readers_what_is_not_known_is_refused(lake: Path, feature: str) -> None:
    assert read(lake, "uid")
    commit(lake, protocol(feature))
    assert any(why in refused(lake) for why in (f"what is not read in place ({feature})", "cannot be read as one"))


@pytest.mark.parametrize("feature", ["timestampNtz", "deletionVectors"])
def test_features_that_change_nothing_of_these_files_are_no_hindrance(lake: Path, feature: str) -> None:
    commit(lake, protocol(feature))
    assert len(read(lake, "uid", "town")) == 3


def test_mapped_columns_are_refused_in_older_tables_too(lake: Path) -> None:
    (about,) = entries(lake, "metaData")
    mapped = {**about, "configuration": {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"}}
    commit(lake, {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}, {"metaData": mapped})
    assert any(why in refused(lake) for why in ("columnMapping", "cannot be read as one"))


@pytest.mark.parametrize("place", ["file:///{other}", "/{other}", "s3://bucket/rows.parquet", "../other.parquet", "to"])
def test_files_that_lie_elsewhere_are_refused(lake: Path, tmp_path: Path, place: str) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(ROWS, other)
    (lake / "to").symlink_to(other)
    (add,) = entries(lake, "add")
    commit(lake, {"add": {**add, "path": place.format(other=str(other).lstrip("/"))}})
    assert "outside of its folder" in refused(lake)


@pytest.mark.parametrize("name", ["_rows.parquet", ".a=b.parquet", "rows.parquet._COPYING_"])
def test_a_file_that_spark_would_pass_over_is_refused(lake: Path, name: str) -> None:
    (add,) = entries(lake, "add")
    pq.write_table(ROWS, lake / name)
    commit(lake, added(lake, add, name))
    assert "Spark passes over" in refused(lake)


def test_a_file_that_was_changed_since_its_commit_is_refused(lake: Path) -> None:
    (file,) = lake.glob("*.parquet")
    pq.write_table(pa.concat_tables([ROWS, ROWS]), file)
    assert "of another size than its log says" in refused(lake)


def test_a_log_that_names_a_folder_is_refused(lake: Path) -> None:
    (add,) = entries(lake, "add")
    commit(lake, added(lake, add, ""))
    assert "no file at all" in refused(lake)


@pytest.mark.parametrize(
    ("kind", "inside", "types"),
    [
        ("long", pa.array([1, -5], pa.int32()), "fits"),
        ("short", pa.array([1, -5], pa.int16()), "fits"),
        ("timestamp", pa.array([0, 1], pa.timestamp("us", "UTC")), "fits"),
        ("timestamp_ntz", pa.array([0, 1], pa.timestamp("us")), "fits"),
        ("decimal(12,2)", pa.array(["1.25", None]).cast(pa.decimal128(10, 2)), "fits"),
        ("date", pa.array([0, 1], pa.timestamp("us")), "another type"),
        ("boolean", pa.array([5, 0], pa.int64()), "another type"),
        ("integer", pa.array([2**40, 0], pa.int64()), "another type"),
        ("string", pa.array([1, 2], pa.int64()), "another type"),
        ("decimal(10,2)", pa.array(["1.255", None]).cast(pa.decimal128(10, 3)), "another type"),
        ("decimal(10,2)", pa.array(["1.25", None]).cast(pa.decimal128(12, 2)), "another type"),
        ("new_type", pa.array([1, 2], pa.int64()), "cannot be read as one of Delta"),
    ],
)
def test_a_file_that_has_a_column_in_another_type_than_the_log_says_is_refused(
    lake: Path, kind: str, inside: pa.Array, types: str
) -> None:
    (about,), (add,) = entries(lake, "metaData"), entries(lake, "add")
    fields = [
        {"name": name, "type": of, "nullable": True, "metadata": {}} for name, of in (("uid", "long"), ("x", kind))
    ]
    pq.write_table(pa.table({"uid": pa.array([1, 2], pa.int64()), "x": inside}), lake / "x.parquet")
    schema = {"metaData": {**about, "schemaString": json.dumps({"type": "struct", "fields": fields})}}
    commit(lake, protocol("timestampNtz"), schema, removed(add), added(lake, add, "x.parquet"))
    if types == "fits":
        assert len(read(lake, "uid", "x")) == 2
    else:
        assert types in refused(lake, "uid", "x")


def test_times_that_spark_wrote_are_moments_in_utc(lake: Path) -> None:
    seen = pa.array([datetime(2020, 1, 1, 23, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    write_deltalake(lake, pa.table({"uid": [1], "seen": seen}), mode="overwrite", schema_mode="overwrite")
    new = entries(lake, "add")[-1]
    pq.write_table(pa.table({"uid": [1], "seen": seen}), lake / "spark.parquet", use_deprecated_int96_timestamps=True)
    commit(lake, removed(new), added(lake, new, "spark.parquet"))
    assert read(lake, "seen") == [("2020-01-01 23:00:00",)]


def test_a_table_of_which_files_are_gone_is_refused(lake: Path) -> None:
    (file,) = lake.glob("*.parquet")
    file.unlink()
    assert "names a file that is not there" in refused(lake)


def test_a_table_without_rows_is_refused(lake: Path) -> None:
    DeltaTable(lake).delete()
    assert "without rows" in refused(lake)


def test_a_folder_inside_of_a_table_is_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "lake", ROWS, partition_by="town")
    write_deltalake(tmp_path / "lake" / "below", ROWS)
    assert "is all or part of a table of Delta" in refused(tmp_path / "lake" / "below")
    assert "is all or part of a table of Delta" in refused(tmp_path / "lake" / "town=a")


def test_one_file_of_a_table_is_refused_also_behind_a_link(lake: Path, tmp_path: Path) -> None:
    (older,) = lake.glob("*.parquet")
    DeltaTable(lake).delete("uid = 1")
    (tmp_path / "link.parquet").symlink_to(older)
    for file in (older, tmp_path / "link.parquet"):
        assert "is all or part of a table of Delta" in refused(file)
        with pytest.raises(FileError, match="all or part of a table"):
            list(listed(file, ["uid"]))


def test_a_table_whose_log_is_out_of_reach_is_no_plain_folder(lake: Path, tmp_path: Path) -> None:
    (lake / "_delta_log").rename(tmp_path / "log")
    assert len(read(lake, "uid")) == 3
    (lake / "_delta_log").symlink_to(tmp_path / "nowhere")
    assert "is all or part of a table of Delta" in refused(lake)


def test_a_damaged_log_is_refused(lake: Path) -> None:
    (lake / "_delta_log" / f"{1:020}.json").write_text('{"add": ')
    assert "cannot be read as one of Delta" in refused(lake)


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_a_log_at_which_the_reader_breaks_off_is_refused(tmp_path: Path, kind: type[BaseException]) -> None:
    def read() -> None:
        raise type("PanicException", (kind,), {})("ann@mail")

    with pytest.raises(FileError, match="cannot be read as one of Delta") as error:
        read_log(tmp_path, "Delta", read)
    assert "ann@mail" not in str(error.value)
    assert error.value.__context__ is None


def test_who_ends_the_process_is_not_held_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        read_log(tmp_path, "Delta", lambda: signal.raise_signal(signal.SIGINT))


def test_a_link_is_no_pin_and_a_file_that_became_one_is_changed(lake: Path, tmp_path: Path) -> None:
    (file,) = lake.glob("*.parquet")
    pin = pin_of(file)
    assert is_so(pin)
    (tmp_path / "link.parquet").symlink_to(file)
    with pytest.raises(OSError, match="is a link"):
        pin_of(tmp_path / "link.parquet")
    os.link(file, tmp_path / "same")
    pin = pin_of(file)
    file.unlink()
    file.symlink_to(tmp_path / "same")
    assert not is_so(replace(pin, changed_ns=file.stat().st_ctime_ns)), "though all that it leads to is the same"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("id 7"), "does not fit in the memory"),
        (ImportError("id 7"), "is missing: install"),
    ],
)
def test_why_a_log_is_not_read_is_told_without_what_is_in_it(error: Exception, said: str) -> None:
    def read() -> None:
        raise error

    with pytest.raises(FileError, match=said) as caught:
        read_log(Path("lake"), "Delta Lake", read)
    assert "id 7" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pa.table({"uid": pa.array([4], pa.int32()), "town": ["c"]}), "has several types"),
        (pa.table({"UID": pa.array([4], pa.int64()), "town": ["c"]}), "was renamed"),
    ],
)
def test_a_file_that_is_unlike_the_rest_is_refused_for_the_columns_in_which_it_is(
    lake: Path, rows: pa.Table, said: str
) -> None:
    (add,) = entries(lake, "add")
    pq.write_table(rows, lake / "by-hand.parquet")
    commit(lake, added(lake, add, "by-hand.parquet"))
    assert said in refused(lake)
    assert read(lake, "town") == [("a",), ("a",), ("b",), ("c",)]


def test_without_the_extra_its_name_is_told(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert "install dpstats[lake]" in refused(lake)
