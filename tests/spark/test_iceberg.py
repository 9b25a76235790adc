"""Which files a table of Iceberg has, by its metadata; and a table whose files alone are not its rows is refused."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path

import duckdb
import ice
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from logged_tables import read, refused
from pyiceberg.manifest import DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.types import DoubleType, LongType, StringType

from dpstats.engine.place import names_of, place_of
from dpstats.engine.tables import open_table

ROWS = pa.table({"uid": pa.array([1, 2, 3], pa.int64()), "town": ["a", "b", "a"], "n": pa.array([1, 2, 3], pa.int32())})


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return ice.made(tmp_path / "lake", ROWS)


@pytest.mark.parametrize("version", [1, 2])
def test_rows_are_of_the_present_snapshot(tmp_path: Path, version: int) -> None:
    table = ice.made(tmp_path / "lake", ROWS, version=version)
    table.append(ROWS.slice(0, 1))
    table.delete("uid = 2")
    assert read(ice.metadata_of(table), "uid", "town") == [("1", "a"), ("1", "a"), ("3", "a")]
    assert read(ice.alone(table), "uid") == [("1",), ("1",), ("3",)]


def test_a_folder_of_which_the_catalog_knows_the_present_metadata_is_refused(table: Table) -> None:
    assert "give the path of that file" in refused(Path(table.location()))


@pytest.mark.parametrize("hint", [2, 3])
def test_a_hadoop_table_is_as_new_as_its_last_metadata(table: Table, hint: int) -> None:
    table.append(ROWS.slice(0, 1))
    assert len(read(ice.hinted(table, hint), "uid")) == 4


def test_metadata_that_are_not_the_last_are_refused(table: Table) -> None:
    before = ice.metadata_of(table)
    table.delete("uid = 2")
    table.append(ROWS.slice(0, 1))
    assert "metadata files that are as new" in refused(before)
    assert f"or newer ({ice.metadata_of(table).name})" in refused(before)
    packed = ice.metadata_of(table)
    packed.with_name("9.gz.metadata.json").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    assert "metadata files that are as new" in refused(before)
    assert len(read(packed.with_name("9.gz.metadata.json"), "uid")) == 3


def test_metadata_of_before_are_refused_though_the_clock_of_the_later_commit_was_behind(table: Table) -> None:
    before = ice.metadata_of(table)
    table.delete("uid = 2")
    ice.changed(ice.metadata_of(table), last_updated_ms=1)
    assert "metadata files that are as new" in refused(before)
    ice.changed(ice.metadata_of(table), metadata_log=[])
    assert "metadata files that are as new" in refused(before), "it has more commits"


def test_metadata_from_which_others_came_are_refused_though_these_have_no_more_rows(table: Table) -> None:
    before = ice.metadata_of(table)
    with table.transaction() as change:
        change.set_properties({"owner": "stu"})
    ice.changed(ice.metadata_of(table), last_updated_ms=1)
    assert "metadata files that are as new" in refused(before)
    assert len(read(ice.metadata_of(table), "uid")) == 3


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_hadoop_table_is_as_new_as_its_last_metadata_whatever_their_time(table: Table, ending: str) -> None:
    table.delete("uid = 2")
    metadata = ice.hinted(table, 2) / "metadata"
    ice.changed(metadata / "v3.metadata.json", last_updated_ms=1)
    if ending:
        (metadata / "v3.gz.metadata.json").write_bytes(gzip.compress((metadata / "v3.metadata.json").read_bytes()))
        (metadata / "v3.metadata.json").unlink()
    for older in ("v1", "v2"):
        assert "metadata files that are as new" in refused(metadata / f"{older}.metadata.json")
        ice.changed(metadata / f"{older}.metadata.json", last_updated_ms=0)
    assert read(metadata.parent, "uid") == [("1",), ("3",)]


@pytest.mark.parametrize("name", ["v9.metadata.json", "v9.metadata.json.gz"])
def test_metadata_that_are_written_to_another_folder_of_the_table_are_refused(table: Table, name: str) -> None:
    before = ice.metadata_of(table)
    assert read(before, "uid")
    (Path(table.location()) / "meta2").mkdir()
    (Path(table.location()) / "meta2" / name).touch()
    assert "in other folders than `metadata`" in refused(before)


@pytest.mark.parametrize("location", ["/", "{above}"])
def test_metadata_do_not_say_how_far_the_table_s_folder_reaches(table: Table, tmp_path: Path, location: str) -> None:
    pq.write_table(ROWS, tmp_path / "other.parquet")
    ice.with_files(table, DataFileContent.DATA, FileFormat.PARQUET, location=str(tmp_path / "other.parquet"))
    ice.changed(ice.metadata_of(table), location=location.format(above=tmp_path))
    assert "lies elsewhere" in refused(ice.metadata_of(table))


def test_a_column_that_was_added_is_empty_in_older_files(table: Table) -> None:
    with table.update_schema() as schema:
        schema.add_column("paid", DoubleType())
    more = pa.table({"uid": pa.array([4], pa.int64()), "town": ["c"], "n": pa.array([4], pa.int32()), "paid": [2.5]})
    table.append(more)
    assert read(ice.alone(table), "uid", "paid") == [("1", None), ("2", None), ("3", None), ("4", "2.5")]


def test_one_file_of_a_table_is_refused(table: Table) -> None:
    (file,) = (Path(table.location()) / "data").rglob("*.parquet")
    assert "is all or part of a table of Iceberg" in refused(file)


@pytest.mark.parametrize("log", ["v1.metadata.json.gz", "version-hint.text"])
def test_a_folder_of_a_table_is_refused_by_whatever_log_there_is(table: Table, log: str) -> None:
    data, metadata = (Path(table.location()) / part for part in ("data", "metadata"))
    shutil.rmtree(metadata)
    assert len(read(data, "uid")) == 3
    metadata.mkdir()
    (metadata / log).touch()
    assert "is all or part of a table of Iceberg" in refused(data)


def test_a_column_that_was_renamed_is_refused_and_the_others_are_read(table: Table) -> None:
    with table.update_schema() as schema:
        schema.rename_column("town", "city")
    table.append(ROWS.slice(0, 1).rename_columns(["uid", "city", "n"]))
    assert "was renamed" in refused(ice.alone(table), "city")
    assert "no column town" in refused(ice.alone(table), "town")
    assert read(ice.alone(table), "uid", "n") == [("1", "1"), ("1", "1"), ("2", "2"), ("3", "3")]


def test_a_column_that_was_dropped_and_added_again_is_refused(table: Table) -> None:
    with table.update_schema(allow_incompatible_changes=True) as schema:
        schema.delete_column("town")
    with table.update_schema() as schema:
        schema.add_column("town", StringType())
    assert "dropped and added again" in refused(ice.alone(table), "town")


@pytest.mark.parametrize("name", ["a b", "1x"])
def test_a_column_that_files_must_spell_otherwise_is_to_be_renamed(tmp_path: Path, name: str) -> None:
    table = ice.made(tmp_path / "lake", ROWS.rename_columns(["uid", name, "n"]))
    assert "rename it (letters, digits and _)" in refused(ice.metadata_of(table), "uid", name)
    assert len(read(ice.metadata_of(table), "uid")) == 3


def test_a_file_that_has_a_column_in_another_type_than_the_metadata_say_is_refused(table: Table) -> None:
    (file,) = (Path(table.location()) / "data").rglob("*.parquet")
    rows = pq.ParquetFile(file).read()
    days = pa.array([0, 1, 2], pa.date32())
    ice.rewritten(
        file, pa.table([rows["uid"], rows["town"], days], rows.schema.set(2, rows.schema.field(2).with_type(days.type)))
    )
    assert "another type in the table's files than in its log" in refused(ice.metadata_of(table), "n")
    assert len(read(ice.metadata_of(table), "uid", "town")) == 3


def test_a_file_that_was_changed_since_its_commit_is_refused(table: Table) -> None:
    (file,) = (Path(table.location()) / "data").rglob("*.parquet")
    pq.write_table(pa.concat_tables([pq.ParquetFile(file).read()] * 2), file)
    assert "of another size than its log says" in refused(ice.metadata_of(table))


def test_names_that_changed_places_are_refused(table: Table) -> None:
    with table.update_schema() as schema:
        schema.rename_column("uid", "other")
    with table.update_schema() as schema:
        schema.rename_column("town", "uid")
    assert "was renamed" in refused(ice.alone(table), "uid")


def test_a_type_that_was_widened_is_refused_until_all_files_have_it(table: Table) -> None:
    with table.update_schema() as schema:
        schema.update_column("n", LongType())
    assert read(ice.alone(table), "n") == [("1",), ("2",), ("3",)]
    table.append(ROWS.slice(0, 1).set_column(2, "n", pa.array([2**40], pa.int64())))
    assert "several types" in refused(ice.alone(table), "n")
    assert len(read(ice.alone(table), "uid")) == 4
    table.overwrite(table.scan().to_arrow())
    assert read(ice.alone(table), "n")[-1] == ("3",)
    assert (str(2**40),) in read(ice.alone(table), "n")


def test_files_that_others_wrote_are_refused(table: Table, tmp_path: Path) -> None:
    file = Path(table.location()) / "data" / "others.parquet"
    pq.write_table(ROWS, file)
    table.add_files([str(file)])
    assert "columns have no ids" in refused(ice.alone(table))


def test_deleted_rows_that_are_in_the_files_still_are_refused(table: Table) -> None:
    assert read(ice.alone(table), "uid")
    ice.with_deleted_rows(table)
    assert "rewrite_data_files" in refused(ice.alone(table))


def test_files_that_are_not_parquet_are_refused(table: Table) -> None:
    ice.with_files(table, DataFileContent.DATA, FileFormat.ORC)
    assert "not Parquet" in refused(ice.alone(table))


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("s3://bucket/rows.parquet", "not on this machine"),
        ("{lake}/data/a#b.parquet", "has a # or ? in a path"),
        ("{other}", "outside of its folder"),
        ("{lake}/data/../../other.parquet", "outside of its folder"),
        ("{lake}/data/gone.parquet", "not there"),
        ("{lake}/data/_rows.parquet", "Spark passes over"),
    ],
)
def test_files_that_lie_elsewhere_are_refused(table: Table, tmp_path: Path, location: str, said: str) -> None:
    lake, other = Path(table.location()), tmp_path / "other.parquet"
    for file in (other, lake / "data" / "_rows.parquet"):
        pq.write_table(ROWS, file)
    at = location.format(other=other, lake=lake)
    ice.with_files(table, DataFileContent.DATA, FileFormat.PARQUET, location=at)
    assert said in refused(ice.alone(table))


def test_a_table_that_was_moved_is_refused(table: Table, tmp_path: Path) -> None:
    shutil.copytree(ice.alone(table), tmp_path / "copy")
    assert "lies elsewhere" in refused(tmp_path / "copy")
    assert "lies elsewhere" in refused(next((tmp_path / "copy" / "metadata").glob("*.json")))


def test_a_table_behind_a_link_is_read(table: Table, tmp_path: Path) -> None:
    ice.alone(table)
    (tmp_path / "lake").rename(tmp_path / "real")
    (tmp_path / "lake").symlink_to(tmp_path / "real")
    assert len(read(tmp_path / "lake", "uid")) == 3


def test_the_metadata_do_not_say_what_code_opens_files(table: Table) -> None:
    ice.changed(ice.metadata_of(table), properties={"py-io-impl": "os.path.join"})
    assert len(read(ice.alone(table), "uid")) == 3


def test_a_later_format_is_refused(table: Table) -> None:
    ice.changed(ice.metadata_of(table), format_version=3, next_row_id=0)
    assert "format version 3" in refused(ice.alone(table))


def test_a_table_without_rows_is_refused(table: Table) -> None:
    table.delete()
    assert "without rows" in refused(ice.alone(table))


def test_damaged_metadata_are_refused(table: Table) -> None:
    ice.alone(table)
    ice.metadata_of(table).write_text('{"format-version": 2')
    assert "cannot be read as one of Iceberg" in refused(Path(table.location()))


def test_a_table_of_both_kinds_is_refused(table: Table) -> None:
    write_deltalake(table.location(), ROWS)
    assert "at once" in refused(Path(table.location()))


@pytest.mark.parametrize(
    ("transform", "told"), [("identity", {"town"}), ("truncate[8]", {"town"}), ("bucket[4]", set()), ("void", set())]
)
def test_it_is_known_of_which_columns_the_names_of_folders_tell(tmp_path: Path, transform: str, told: set[str]) -> None:
    table = ice.made(tmp_path / "lake", ROWS, partition_by="town")
    specs = json.loads(ice.metadata_of(table).read_text())["partition-specs"]
    specs[-1]["fields"][0]["transform"] = transform
    ice.changed(ice.metadata_of(table), partition_specs=specs)
    with duckdb.connect() as connection:
        assert open_table(connection, ice.alone(table)).folder.told == told


def test_a_column_that_is_in_the_log_alone_for_a_file_is_refused(tmp_path: Path) -> None:
    table = ice.made(tmp_path / "lake", ROWS, partition_by="town")
    for file in (tmp_path / "lake" / "data").rglob("*.parquet"):
        ice.rewritten(file, pq.ParquetFile(file).read().drop_columns(["town"]))
    more = ROWS.slice(0, 1)
    table.append(more)
    assert "in the table's log alone" in refused(ice.alone(table))
    assert len(read(ice.alone(table), "uid")) == 4


def test_a_file_that_is_named_twice_is_refused(table: Table) -> None:
    (file,) = (Path(table.location()) / "data").rglob("*.parquet")
    ice.with_files(table, DataFileContent.DATA, FileFormat.PARQUET, location=str(file))
    assert "names a file twice" in refused(ice.alone(table))


def test_blanks_in_the_names_of_folders_are_told_as_blanks(tmp_path: Path) -> None:
    table = ice.made(
        tmp_path / "lake", ROWS.set_column(1, "town", pa.array(["Ann Lee", "b", "c"])), partition_by="town"
    )
    with duckdb.connect() as connection:
        source = open_table(connection, ice.metadata_of(table))
        assert "ann lee" in names_of(place_of("visits", source, source.find(["uid"])))


def test_without_the_extra_its_name_is_told(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ice.alone(table)
    monkeypatch.setitem(sys.modules, "pyiceberg", None)
    assert "install dpstats[lake]" in refused(path)
