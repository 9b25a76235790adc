"""A folder of Parquet files is one table, with a column for each partition; what is not wholly a table is refused."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpstats.engine.load import load
from dpstats.errors import FileError

PERSON = "person-918273645"


@pytest.fixture
def write(tmp_path):
    """Writes a Parquet file of the rows of a SELECT into the table's folder."""

    def run(part, sql):
        file = tmp_path / "table" / part
        file.parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql(sql).write_parquet(str(file))
        return tmp_path / "table"

    return run


@pytest.fixture
def read(dataset, target, key, rows_of):
    def run(folder, declared):
        load(dataset(rows=declared), {"rows": folder}, target=target, key=key)
        return rows_of(target, "rows")

    return run


@pytest.fixture
def refused(dataset, target, key, tmp_path):
    def run(declared="person: bigint; x: varchar"):
        with pytest.raises(FileError) as caught:
            load(dataset(rows=declared), {"rows": tmp_path / "table"}, target=target, key=key)
        assert PERSON not in f"{caught.value} {vars(caught.value)}"
        assert (caught.value.__cause__, caught.value.__suppress_context__) in [(None, True), (None, False)]
        assert not list(target.parent.iterdir())
        return str(caught.value)

    return run


def test_files_in_partitions_are_one_table_with_a_column_for_each_partition(write, read):
    write("year=2017/day=2017-01-02/a.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    write("year=2017/day=2017-01-03/b.parquet", "SELECT 2::BIGINT AS person, 'b' AS x")
    folder = write("year=2018/day=__HIVE_DEFAULT_PARTITION__/c.parquet", "SELECT 3::BIGINT AS person, 'c' AS x")
    (folder / "_SUCCESS").touch()
    (folder / "year=2017" / ".a.parquet.crc").touch()
    found = read(folder, "person: bigint; x: varchar; day: date; year: integer")
    assert {tuple(map(str, row)) for row in found} == {
        ("1", "a", "2017-01-02", "2017"),
        ("2", "b", "2017-01-03", "2017"),
        ("3", "c", "None", "2018"),
    }


def test_partitions_keep_the_order_of_their_folders_whatever_their_names(write, read):
    folder = write("z=1/A=2/m=3/f.parquet", "SELECT 7::BIGINT AS person")
    assert read(folder, "person: bigint; a: integer; m: integer; z: integer") == [(7, 2, 3, 1)]


def test_a_value_in_a_folders_name_may_hold_any_character(write, read):
    folder = write("x=a%20[b]*?%2Fc/f.parquet", "SELECT 1::BIGINT AS person")
    assert read(folder, "person: bigint; x: varchar") == [(1, "a [b]*?/c")]


def test_a_partition_that_is_not_declared_is_not_loaded(write, read, target):
    folder = write(f"who={PERSON}/f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    assert read(folder, "person: bigint; x: varchar") == [(1, "a")]
    assert PERSON.encode() not in target.read_bytes()


def test_a_folder_of_files_without_partitions_is_one_table(write, read):
    write("part-0.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    folder = write("part-1.parquet", "SELECT 2::BIGINT AS person, 'b' AS x")
    assert sorted(read(folder, "person: bigint; x: varchar")) == [(1, "a"), (2, "b")]


def test_a_folder_may_be_named_by_a_way_round_or_a_link(write, read, tmp_path):
    folder = write("a=1/f.parquet", "SELECT 1::BIGINT AS person")
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    for named in (folder / ".." / "table", tmp_path / "link"):
        assert read(named, "person: bigint; a: integer") == [(1, 1)]


def test_a_folder_without_a_parquet_file_is_refused(refused, tmp_path):
    (tmp_path / "table").mkdir()
    assert refused().endswith("is a folder without a file that ends in .parquet or .pq")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (f"a={PERSON}/f.parquet", "f.parquet", "several tables"),
        ("a=1/b=2/f.parquet", f"b=2/a={PERSON}/f.parquet", "several tables"),
        (f"a=1/A={PERSON}/f.parquet", f"a=1/A={PERSON}/g.parquet", "one column twice"),
        (f"x={PERSON}/f.parquet", "x=2/f.parquet", "has x both in its files and in the names of its folders"),
    ],
)
def test_a_folder_that_is_not_one_table_is_refused(write, refused, first, second, told):
    for part in (first, second):
        write(part, "SELECT 1::BIGINT AS person, 'a' AS x")
    assert told in refused()


@pytest.mark.parametrize(
    "other",
    [
        "SELECT 'b' AS x, 2::BIGINT AS person",
        "SELECT 2 AS person, 'b' AS x",
        "SELECT 2::BIGINT AS person, 'b' AS x, 3 AS y",
    ],
)
def test_files_of_different_columns_or_types_are_refused(write, refused, other):
    write("f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    write("g.parquet", other)
    assert "holds files of different columns or types" in refused()


def test_a_folder_that_holds_another_file_is_refused(write, refused):
    folder = write("f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    (folder / f"{PERSON}.csv").write_text("person,x\n1,a\n")
    assert "holds other files too" in refused()


def test_a_folder_with_a_damaged_file_is_refused(write, refused):
    folder = write("f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    (folder / f"{PERSON}.parquet").write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    assert "no readable Parquet" in refused()


def test_decimals_of_another_scale_are_another_type(write, refused):
    write("f.parquet", "SELECT 1::BIGINT AS person, 1.23::DECIMAL(10, 2) AS x")
    write("g.parquet", "SELECT 1::BIGINT AS person, 1.2345::DECIMAL(10, 4) AS x")
    assert "holds files of different columns or types" in refused("person: bigint; x: decimal(10,2)")


def test_files_of_different_writers_are_one_table(write, read, tmp_path):
    folder = write("f.parquet", "SELECT 1::BIGINT AS person")
    pq.write_table(pa.table({"person": pa.array([2], pa.int64())}), folder / "g.parquet")
    assert sorted(read(folder, "person: bigint")) == [(1,), (2,)]


@pytest.mark.parametrize(
    ("log", "kind", "inside"),
    [
        ("_delta_log/00.json", "Delta", False),
        (".hoodie/hoodie.properties", "Hudi", True),
        (".hoodie/hoodie.properties", "Hudi", False),
        ("metadata/v1.metadata.json", "Iceberg", False),
        ("metadata/version-hint.text", "Iceberg", False),
        ("_spark_metadata/0", "a stream of Spark", True),
        ("_spark_metadata/0", "a stream of Spark", False),
    ],
)
def test_a_table_or_part_of_one_whose_files_hold_rows_that_do_not_count_is_refused(
    write, refused, tmp_path, log, kind, inside
):
    folder = write("data/f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    kept = (folder if inside else tmp_path) / log
    kept.parent.mkdir()
    kept.touch()
    assert f"a table of {kind}, whose files hold rows that do not count" in refused()


def test_a_partition_is_no_hidden_folder_though_its_name_starts_so(write, refused):
    write("k=a/f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    write("k=b/_y=1/f.parquet", "SELECT 2::BIGINT AS person, 'b' AS x")
    assert "several tables" in refused()


@pytest.mark.parametrize("part", [".y=1/f.parquet", ".y=1.parquet", "f.parquet._COPYING_"])
def test_what_spark_passes_over_and_is_no_hidden_file_is_refused(write, refused, part):
    write("f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    write(part, "SELECT 2::BIGINT AS person, 'b' AS x")
    assert "Spark passes over" in refused()


@pytest.mark.parametrize("name", ["k=%FF", "k=a%00b", "%FE=a"])
def test_a_partition_whose_name_is_no_text_is_refused(write, refused, name):
    write(f"{name}/f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    assert "a partition whose name is not UTF-8 text" in refused()


@pytest.mark.parametrize(("link", "to"), [("more", "elsewhere"), ("g.parquet", "table/f.parquet")])
def test_a_link_in_a_folder_is_refused(write, refused, tmp_path, link, to):
    folder = write("f.parquet", "SELECT 1::BIGINT AS person, 'a' AS x")
    (tmp_path / "elsewhere").mkdir()
    (folder / link).symlink_to(tmp_path / to)
    assert "a link in it" in refused()
