"""A table in place has the rows that a load would have kept, at most the cap of each unit, from its own files alone."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from both import ADDRESS
from lakes import loaded, opened, rows_of, written
from logged_tables import shop_of
from lying_footer import lying

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.engine.at_owner import rows_at_owner
from dpstats.engine.retention import Ages
from dpstats.errors import FileError

CAP = 6
COLUMNS = """
      uid: {type: bigint}
      n: {type: integer}
      big: {type: bigint}
      paid: {type: double}
      price: {type: 'decimal(10,2)'}
      word: {type: varchar}
      flag: {type: boolean}
      day: {type: date}
      seen: {type: timestamp}
      code: {type: uuid}
"""
SHOP = f"""
dataset: shop
privacy_unit: uid
budget: {{epsilon: 100, delta: 1.0e-6}}
engine: {{spark: '{ADDRESS}'}}
max_rows_per_unit: {CAP}
tables:
  visits:
    in_place: true
    columns: {COLUMNS}
"""
NASTY = """
    SELECT * FROM (VALUES
        (1, 2.5::DOUBLE, 9223372036854775808::DOUBLE, 'NaN'::FLOAT, 12.345, 'plain', 1, TIMESTAMP '2017-01-03 23:59:59',
         TIMESTAMPTZ '2017-01-03 10:00:00+02', '550E8400-E29B-41D4-A716-446655440000', DATE '2017-01-03'),
        (1, 3.5, -9223372036854775808, -0.0, -12.345, repeat('ü', 10001), 0, 'infinity', 'infinity',
         'no uuid', DATE '2017-01-03'),
        (2, 'inf', 0.5, '-inf', 99999999999.9, NULL, NULL, NULL, NULL, NULL, NULL),
        (2, 3e10, 1.5, 1e-30, 0, '', 2, TIMESTAMP '0001-01-01 (BC) 00:00:00', TIMESTAMPTZ '10000-01-01 00:00:00+00',
         '550e8400-e29b-41d4-a716-44665544000', DATE '0044-03-15'),
        (NULL, 1, 1, 1, 1, 'nobody', 1, NULL, NULL, NULL, DATE '2017-01-04'),
        (-3, -2147483648.5, -0.5, 2.5, 0.005, 'İ', -1, TIMESTAMP '9999-12-31 23:59:59.999999', NULL, NULL,
         DATE '2017-01-04')
    ) AS t(uid, n, big, paid, price, word, flag, seen_naive, seen, code, day)"""


def _parsed(text: str) -> DatasetFile:
    return parse_dataset(text, "dataset.yaml")


def test_cells_are_what_a_load_makes_of_them(tmp_path: Path) -> None:
    folder = written(NASTY, tmp_path / "lake", "day")
    wide = SHOP.replace(f"max_rows_per_unit: {CAP}", "max_rows_per_unit: 1000")
    in_place, copy = _parsed(wide), _parsed(wide.replace("    in_place: true\n", ""))
    loaded(in_place, {"visits": folder}, tmp_path / "place.duckdb")
    loaded(copy, {"visits": folder}, tmp_path / "copy.duckdb")
    columns = list(in_place.tables["visits"].columns)
    there = rows_of(tmp_path / "place.duckdb", columns)
    assert there == rows_of(tmp_path / "copy.duckdb", columns)
    assert sum(there.values()) == 5


HEAVY = """
dataset: shop
privacy_unit: person
budget: {epsilon: 100, delta: 1.0e-6}
engine: {spark: 'ADDRESS'}
max_rows_per_unit: 6
blocks: {column: visits.day, every: month, budget: {epsilon: 1.0, delta: 1.0e-7}}
tables:
  visits:
    in_place: true
    retention_by: day
    columns:
      person: {type: varchar, retention: 400d}
      day: {type: date}
      paid: {type: double, retention: 60d}
      n: {type: integer}
  calls:
    in_place: true
    columns: {person: {type: varchar}, word: {type: varchar}}
""".replace("ADDRESS", ADDRESS)
TODAY = datetime(2017, 6, 15, tzinfo=UTC)
VISITS = """
    SELECT 'few' AS person, DATE '2017-05-02' AS day, i::DOUBLE AS paid FROM range(6) AS t(i)
    UNION ALL SELECT 'many', DATE '2017-05-02', i FROM range(500) AS t(i)
    UNION ALL SELECT 'many', DATE '2017-06-02', i FROM range(4) AS t(i)
    UNION ALL SELECT 'twins', DATE '2017-05-03', 1 FROM range(40)
    UNION ALL SELECT 'twins', DATE '2017-05-04', i FROM range(3) AS t(i)
    UNION ALL SELECT 'old', DATE '2016-01-01', i FROM range(3) AS t(i)
    UNION ALL SELECT 'old', DATE '2017-04-01', 7
    UNION ALL SELECT 'later', DATE '2017-07-01', 1
    UNION ALL SELECT 'timeless', NULL, 1"""
CALLS = """
    SELECT 'many' AS person, 'w' || i AS word FROM range(7) AS t(i)
    UNION ALL SELECT 'long', repeat('x', 9000) || i FROM range(6) AS t(i)
    UNION ALL SELECT 'gone', 'w' UNION ALL SELECT 'few', 'w' UNION ALL SELECT 'cafe' || chr(769), 'w'"""


class Versions:
    """A data version over two folders, and those that are made of it without a look at them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dataset = folder, _parsed(HEAVY)
        self.visits, self.calls = (
            written(f"SELECT *, 1 AS n, 2 AS undeclared FROM ({VISITS})", folder / "visits", "day"),
            written(CALLS, folder / "calls"),
        )
        self.first = folder / "first.duckdb"
        loaded(self.dataset, {"visits": self.visits, "calls": self.calls}, self.first, ages=self.ages(TODAY))

    @staticmethod
    def ages(now: datetime) -> Ages:
        return Ages(now, {})


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions(tmp_path_factory.mktemp("heavy"))


def test_of_each_unit_and_block_at_most_the_cap_is_read_and_all_of_who_has_no_more(versions: Versions) -> None:
    rows = rows_of(versions.first, ["person", "day"])
    assert rows["few", "2017-05-02"] == 6
    assert rows["many", "2017-05-02"] == CAP
    assert rows["many", "2017-06-02"] == 4
    assert rows["twins", "2017-05-03"] == 0, "they are in or out together, and are too many"
    assert rows["twins", "2017-05-03"] + rows["twins", "2017-05-04"] <= CAP
    assert {"few", "many", "old"} <= {person for person, _ in rows} <= {"few", "many", "old", "twins"}


def test_no_query_sorts_or_shuffles_rows_before_they_are_bounded(versions: Versions) -> None:
    with opened(versions.first) as engine:
        assert engine.changed(["visits"]) == ()
        assert set(engine._session.table("dp_raw_visits").columns) == {"person", "day", "paid", "n"}, "declared ones"
        engine._session.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")  # as if all tables were large
        counted = "SELECT person, count(*) FROM visits WHERE day >= DATE'2017-06-01' GROUP BY person"
        plan = engine._session.sql(counted)._jdf.queryExecution().executedPlan().toString()
    above, _, below = plan.partition("BroadcastHashJoin")
    assert "LeftOuter" in below.partition("\n")[0], "the one that bounds"
    assert "SortMergeJoin" in above, "whose rows count is joined after it"
    rows = below.partition("BroadcastExchange")[0].partition("\n")[2]
    assert "xxhash64" in rows
    assert not any(word in rows for word in ("Sort", "Window", "Exchange", "Aggregate"))


def test_no_more_text_of_a_unit_is_read_than_a_load_keeps(versions: Versions) -> None:
    rows = rows_of(versions.first, ["person", "word"], "calls")
    counts = Counter(person for person, _ in rows.elements())
    assert counts["many"] == CAP
    assert counts["long"] == 4, "of 40,000 bytes, 9,000 a row"
    assert counts["caf\u00e9"] == 1, "an id counts in normal form, as everywhere"


def test_rows_and_cells_past_their_time_are_not_read(versions: Versions) -> None:
    rows = rows_of(versions.first, ["person", "day", "paid"])
    assert rows["old", "2017-04-01", None] == 1
    assert {day for person, day, _ in rows if person == "old"} == {"2017-04-01"}
    loaded(versions.dataset, {}, versions.folder / "older.duckdb", base=versions.first,
           ages=versions.ages(TODAY + timedelta(days=355)))  # fmt: skip
    assert "old" not in {person for (person,) in rows_of(versions.folder / "older.duckdb", ["person"])}


def test_who_is_left_out_is_read_no_more_and_nothing_of_them_is_noted(versions: Versions) -> None:
    folder = versions.folder / "moved"
    versions.visits.rename(folder)
    try:
        file = versions.folder / "without.duckdb"
        done = loaded(versions.dataset, {}, file, base=versions.first, left_out=lambda text: text in {"gone", "many"})
    finally:
        folder.rename(versions.visits)
    assert {table: sorted(still.ids) for table, still in done.still_in_place.items()} == {
        "visits": ["many"],
        "calls": ["gone", "many"],
    }
    for table, people in (("visits", {"few", "old", "twins"}), ("calls", {"few", "long", "caf\u00e9"})):
        assert {person for (person,) in rows_of(file, ["person"], table)} <= people
    beside = [path for path in file.with_suffix(".spark").iterdir() if b"gone" in path.read_bytes()]
    assert beside == []


def test_what_is_written_beside_a_data_version_is_its_owner_s_alone(versions: Versions) -> None:
    beside = [path for path in versions.first.with_suffix(".spark").rglob("*") if path.is_file()]
    assert {"in_place.json", "tables.json"} < {path.name for path in beside}
    assert {path.stat().st_mode & 0o777 for path in beside} == {0o600}


def test_ids_that_are_uuids_are_one_id_however_they_are_written(tmp_path: Path) -> None:
    one, other = "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001"
    dataset = _parsed(SHOP.replace(COLUMNS, "{uid: {type: uuid}, word: {type: varchar}}"))
    text = f"SELECT upper('{one}') AS uid, 'w' || i AS word FROM range(7) AS t(i) UNION ALL SELECT '{other}', 'x'"
    for kind in ("VARCHAR", "UUID"):
        folder = written(f"SELECT CAST(uid AS {kind}) AS uid, word FROM ({text})", tmp_path / kind)
        file = tmp_path / f"{kind}.duckdb"
        loaded(dataset, {"visits": folder}, file, left_out=lambda each: each == other)
        assert Counter(uid for uid, _ in rows_of(file, ["uid", "word"]).elements()) == {one: CAP}


def test_a_table_is_not_carried_over_from_in_place_to_a_copy_or_back(versions: Versions) -> None:
    copy = _parsed(HEAVY.replace("  calls:\n    in_place: true", "  calls:"))
    with pytest.raises(FileError, match="--source calls"):
        loaded(copy, {}, versions.folder / "copy.duckdb", base=versions.first)


def test_a_file_that_is_gone_or_another_is_told_and_nothing_is_read(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    (file,) = versions.calls.glob("*.parquet")
    content, times = file.read_bytes(), file.stat()
    with opened(versions.first) as engine:
        assert engine.changed(["visits", "calls"]) == ()
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        assert engine.changed(["visits", "calls"]) == ("calls",)
        file.unlink()
        assert engine.changed(["calls"]) == ("calls",)
        with opened(versions.first) as later:
            assert later.changed(["visits", "calls"]) == ("calls",)
            file.write_bytes(content)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
            assert engine.changed(["calls"]) == later.changed(["calls"]) == ("calls",), "another file, as like as it is"


def test_a_file_that_was_moved_away_and_back_is_not_taken_for_one_that_stayed(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    (file,) = versions.calls.glob("*.parquet")
    with opened(versions.first) as engine:
        assert engine.changed(["calls"]) == ()
        away = file.rename(versions.calls.parent / "away")
        away.rename(file)
        assert engine.changed(["calls"]) == ("calls",)


def test_a_file_that_comes_later_is_not_seen_until_the_next_load(versions: Versions) -> None:
    (file,) = versions.calls.glob("*.parquet")
    before = rows_of(versions.first, ["person"], "calls")
    (versions.calls / "more.parquet").write_bytes(file.read_bytes())
    try:
        assert rows_of(versions.first, ["person"], "calls") == before
    finally:
        (versions.calls / "more.parquet").unlink()


def test_notes_of_a_table_that_is_defined_otherwise_answer_nothing(versions: Versions) -> None:
    changed, file = _parsed(HEAVY.replace("max_rows_per_unit: 6", "max_rows_per_unit: 3")), versions.folder / "3.duckdb"
    loaded(changed, {}, file, base=versions.first)
    with opened(file) as engine:
        assert engine.changed(["visits"]) == ("visits",)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("uid: {type: bigint}, t: {type: double}", "VARCHAR"),
        ("uid: {type: bigint}, ns: {type: timestamp}", "TIMESTAMP_NS"),
    ],
)
def test_a_column_that_spark_would_read_otherwise_is_refused_before_spark_is_asked(
    tmp_path: Path, columns: str, said: str
) -> None:
    folder = written("SELECT 1 AS uid, '1e3' AS t, TIMESTAMP_NS '2017-01-01 00:00:00' AS ns", tmp_path / "lake")
    text = SHOP.replace(f"columns: {COLUMNS}", f"columns: {{{columns}}}")
    with pytest.raises(FileError, match=said):
        loaded(_parsed(text), {"visits": folder}, tmp_path / "made.duckdb")
    assert not (tmp_path / "made.duckdb").exists()


TWO = SHOP.replace(f"columns: {COLUMNS}", "columns: {uid: {type: bigint}, at: {type: timestamp}}")


def test_times_in_milliseconds_are_read_and_named_where_one_is_too_late_for_spark(tmp_path: Path) -> None:
    at = "SELECT 1 AS uid, TIMESTAMP_MS '{}' AS at"
    folder = written(at.format("2017-01-01 00:00:00.5"), tmp_path / "lake")
    loaded(_parsed(TWO), {"visits": folder}, tmp_path / "made.duckdb")
    assert rows_of(tmp_path / "made.duckdb", ["at"]) == {("2017-01-01 00:00:00.5",): 1}
    folder = written(at.format("infinity"), tmp_path / "late")
    with pytest.raises(
        FileError, match="or a time of at, in milliseconds, is too late: write microseconds, or load it"
    ):
        loaded(_parsed(TWO), {"visits": folder}, tmp_path / "late.duckdb")


def test_columns_that_differ_by_case_alone_are_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    columns = pa.table([[1], [TODAY.replace(tzinfo=None)], [2]], names=["uid", "at", "At"])
    pq.write_table(columns, tmp_path / "lake" / "rows.parquet")
    with pytest.raises(FileError, match="columns At and at, which Spark cannot tell apart: rename one, or load a copy"):
        loaded(_parsed(TWO), {"visits": tmp_path / "lake"}, tmp_path / "made.duckdb")


@pytest.mark.parametrize("name", ["person=ann%40mail", "calls/ann@mail.parquet", "ANN@mail"])
def test_files_that_are_named_after_a_person_are_refused(tmp_path: Path, name: str) -> None:
    table = "  calls:\n    in_place: true\n    columns: {person: {type: varchar}, word: {type: varchar}}\n"
    text = "dataset: shop\nprivacy_unit: person\nbudget: {epsilon: 100, delta: 1.0e-6}\n"
    text += f"engine: {{spark: '{ADDRESS}'}}\n"
    at = tmp_path / "lake" / name
    at = at if at.suffix == ".parquet" else at / "rows.parquet"
    at.parent.mkdir(parents=True)
    person = "" if "=" in name else "'ann@mail' AS person, "
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {person}'w' AS word) TO '{at}' (FORMAT parquet)")
    with pytest.raises(FileError, match=r"named after a person|in the names of folders"):
        loaded(_parsed(f"{text}tables:\n{table}"), {"calls": tmp_path / "lake"}, tmp_path / "made.duckdb")
    assert not (tmp_path / "made.duckdb").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP.replace(f"engine: {{spark: '{ADDRESS}'}}\n", ""), "only Spark"),
        (SHOP.replace("in_place: true", "in_place: true\n    one_row_per_unit: true"), "as a copy"),
        (SHOP + "  things:\n    public: true\n    in_place: true\n    columns: {a: {type: bigint}}\n", "public"),
    ],
)
def test_what_cannot_be_read_in_place_is_refused_with_a_way_out(text: str, said: str) -> None:
    with pytest.raises(FileError, match=said):
        _parsed(text)


@pytest.mark.parametrize("at", ["town=%C3%BC", "town=a/part", "town="])
def test_partitions_that_spark_would_read_otherwise_are_refused(tmp_path: Path, at: str) -> None:
    (tmp_path / "lake" / at / "n=1").mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS uid) TO '{tmp_path / 'lake' / at / 'n=1'}/rows.parquet'")
    text = SHOP.replace(f"columns: {COLUMNS}", "columns: {uid: {type: bigint}, town: {type: varchar}}")
    with pytest.raises(FileError, match="Spark would read otherwise"):
        loaded(_parsed(text), {"visits": tmp_path / "lake"}, tmp_path / "made.duckdb")


def test_nobody_is_told_another_s_rows_whatever_a_footer_says_of_ids(tmp_path: Path) -> None:
    shop, _ = shop_of("uid: {type: integer}, n: {type: bigint}")
    ids, numbers = pa.array([1, 2**32 + 1], pa.int64()), pa.array([10, 20], pa.int64())
    (tmp_path / "lake").mkdir()
    names = ["uid", "n"]
    truth, said = pa.table([ids, numbers], names), pa.table([pa.array([1, 2], pa.int64()), numbers], names)
    lying(tmp_path / "lake" / "rows.parquet", truth, said)
    loaded(shop, {"visits": tmp_path / "lake"}, tmp_path / "made.duckdb")
    told = rows_at_owner(shop, tmp_path / "made.duckdb", "visits", names, lambda text: text == "1")
    assert told == (("1", "10"),)
    assert rows_of(tmp_path / "made.duckdb", names) == {("1", "10"): 1}
