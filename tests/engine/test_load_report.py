"""A load counts what it kept and what it dropped, each row once; and drops late rows where the file says so."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.catalog.canonical import dataset_content, load_fingerprint
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.engine.load import load
from dpstats.engine.load_report import CARRIED, DROPPED, KEPT, READ, TableReport, read_report
from dpstats.errors import FileError

KEY = b"k" * 32
TODAY = date(2017, 6, 15)
TEXT = """\
dataset: gym
privacy_unit: member
budget: {epsilon: 1, delta: 0}
blocks: {column: visits.at, every: EVERY, budget: {epsilon: 1, delta: 0}LATE}
max_rows_per_unit: 2
tables:
  visits: {columns: {member: {type: varchar}, spent: {type: double, bounds: [0, 50]}, at: {type: timestamp}}}
  clubs: {public: true, columns: {club: {type: varchar}, size: {type: integer, bounds: [1, 9]}}}
"""
HEAD = "member,spent,at\n"
CLUBS = "club,size\nnorth,3\nsouth,12\neast,many\n,\n"


def gym(late_rows: str = "", every: str = "month") -> DatasetFile:
    said = f", late_rows: {late_rows}" if late_rows else ""
    return parse_dataset(TEXT.replace("LATE", said).replace("EVERY", every), "dataset.yaml")


def loaded(folder: Path, visits: str, dataset: DatasetFile | None = None, **options: Any) -> Path:
    """The data version made of a CSV of visits."""
    folder.mkdir(exist_ok=True)
    (folder / "visits.csv").write_text(HEAD + visits)
    (folder / "clubs.csv").write_text(CLUBS)
    sources = {name: folder / f"{name}.csv" for name in ("visits", "clubs")}
    load(dataset or gym(), sources, target=folder / "made.duckdb", key=KEY, today=TODAY, **options)
    return folder / "made.duckdb"


def test_cells_that_are_none_of_a_column_s_values_are_counted(tmp_path: Path) -> None:
    values = {
        "plan: {type: varchar, values": "[basic, it's]",
        "floor: {type: bigint, values": "[1, 2]",
        "vip: {type: boolean, values": "[true]",
        "since: {type: date, values": "[2017-01-01]",
        "share: {type: 'decimal(4,2)', values": "[0.5]",
    }
    columns = ", ".join(f"{column}: {listed}}}" for column, listed in values.items())
    dataset = parse_dataset(
        "dataset: gym\nprivacy_unit: member\nbudget: {epsilon: 1, delta: 0}\n"
        f"tables: {{people: {{columns: {{member: {{type: varchar}}, {columns}}}}}}}",
        "dataset.yaml",
    )
    (tmp_path / "people.csv").write_text(
        "member,plan,floor,vip,since,share\n"
        "ann,basic,1,true,2017-01-01,0.50\nben,it's,3,false,2017-01-02,0.51\ncat,gold,4,,,\n,gold,9,false,,\n"
    )
    load(dataset, {"people": tmp_path / "people.csv"}, target=tmp_path / "made.duckdb", key=KEY, today=TODAY)
    found = read_report(tmp_path / "made.duckdb")["people"].unlisted
    assert found == {"plan": 1, "floor": 2, "vip": 1, "since": 1, "share": 1}


def adds_up(report: TableReport) -> bool:
    rows = report.rows
    return rows[READ] + rows[CARRIED] == rows[KEPT] + sum(rows[reason] for reason in DROPPED)


VISITS = """\
ann,10,2017-06-01
ann,51,2017-06-02
ann,12,2017-06-03
ann,12,2017-06-04
ben,nothing,2017-05-31
ben,-1,2017-04-01
,5,2017-06-01
cat,5,
cat,5,some day
dan,5,2017-07-01
eve,5,2017-06-01
"""


def test_each_row_is_counted_once_and_each_cell_that_became_empty(tmp_path: Path) -> None:
    reports = read_report(loaded(tmp_path, VISITS, left_out=lambda unit: unit == "eve"))
    visits, clubs = reports["visits"], reports["clubs"]
    assert {name: count for name, count in visits.rows.items() if count} == {
        "read": 11, "kept": 4, "nobodys": 1, "erased": 1, "no_time": 2, "later": 1, "over_cap": 2
    }  # fmt: skip
    assert visits.emptied == {"member": 0, "spent": 1, "at": 1}
    with duckdb.connect(tmp_path / "made.duckdb", read_only=True) as connection:
        over = connection.execute("SELECT count(*) FROM visits WHERE spent > 50 OR spent < 0").fetchone()
    assert (visits.out_of_bounds["spent"],) == over
    assert {name: count for name, count in clubs.rows.items() if count} == {"read": 4, "kept": 4}
    assert (clubs.emptied, clubs.out_of_bounds) == ({"club": 0, "size": 1}, {"size": 1})


def test_an_id_that_is_none_and_cells_of_nobody_are_told_apart(tmp_path: Path) -> None:
    visits = read_report(loaded(tmp_path, f"{'x' * 300},nothing,2017-06-01\nann,1,2017-06-01\n"))["visits"]
    assert (visits.rows["nobodys"], visits.emptied) == (1, {"member": 1, "spent": 0, "at": 0})


def test_what_a_load_carries_over_is_counted_as_such(tmp_path: Path) -> None:
    base = loaded(tmp_path / "a", VISITS)
    (tmp_path / "clubs.csv").write_text(CLUBS)
    load(gym(), {"clubs": tmp_path / "clubs.csv"}, target=tmp_path / "b.duckdb", key=KEY, base=base, today=TODAY)
    visits = read_report(tmp_path / "b.duckdb")["visits"]
    assert (visits.rows[READ], visits.rows[CARRIED], visits.rows[KEPT]) == (0, 5, 5)
    assert visits.emptied == {}


CELL = st.sampled_from(["ann", "ben", "", "x" * 300])
TIMES = st.sampled_from(["", "never", "2017-06-15", "2017-07-01", "2017-05-31", "2017-04-30", "1700-01-01"])
ROWS = st.lists(st.tuples(CELL, st.sampled_from(["1", "", "nan", "99", "x"]), TIMES), max_size=12)


@settings(max_examples=25, deadline=None)
@given(first=ROWS, second=ROWS, late=st.sampled_from(["", "accept", "{drop_after: 0}", "{drop_after: 1}"]))
def test_the_counts_add_up_to_what_was_read_and_carried_over(
    tmp_path_factory: pytest.TempPathFactory, first: list[Any], second: list[Any], late: str
) -> None:
    def text(rows: list[tuple[str, ...]]) -> str:
        return "\n".join(map(",".join, [("zoe", "7", "2017-06-01"), *rows])) + "\n"

    folder = tmp_path_factory.mktemp("loads")
    base = loaded(folder / "a", text(first))
    made = loaded(folder / "b", text(second), gym(late), base=base, append=True)
    for file, read, carried in ((base, first, 0), (made, second, read_report(base)["visits"].rows[KEPT])):
        report = read_report(file)["visits"]
        assert (report.rows[READ], report.rows[CARRIED], adds_up(report)) == (len(read) + 1, carried, True)
        with duckdb.connect(file, read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM visits").fetchone() == (report.rows[KEPT],)


def test_a_data_version_without_a_report_says_so(tmp_path: Path) -> None:
    duckdb.connect(tmp_path / "old.duckdb").close()
    with pytest.raises(FileError, match="holds no load report: load the dataset again"):
        read_report(tmp_path / "old.duckdb")
    with pytest.raises(FileError, match="holds no load report"):
        read_report(tmp_path / "none.duckdb")


# -- late rows -------------------------------------------------------------------------------------------------------


def appended(folder: Path, late_rows: str, times: list[datetime | None], every: str = "month") -> list[datetime]:
    """The times that a load with the setting took, besides one of 1990 that was there before."""
    folder.mkdir(exist_ok=True)

    def source(name: str, at: list[datetime | None]) -> dict[str, Path]:
        members = [f"{name}{place}" for place in range(len(at))]
        table = pa.table({"member": members, "spent": [1.0] * len(at), "at": pa.array(at, pa.timestamp("us"))})
        pq.write_table(table, folder / f"{name}.parquet")
        return {"visits": folder / f"{name}.parquet"}

    (folder / "clubs.csv").write_text(CLUBS)
    old = source("old", [datetime(1990, 1, 1)]) | {"clubs": folder / "clubs.csv"}  # noqa: DTZ001
    load(gym(late_rows, every), old, target=folder / "base.duckdb", key=KEY, today=TODAY)
    made, base = folder / "made.duckdb", folder / "base.duckdb"
    load(gym(late_rows, every), source("new", times), target=made, key=KEY, base=base, append=True, today=TODAY)
    with duckdb.connect(made, read_only=True) as connection:
        found = [at for (at,) in connection.execute('SELECT "at" FROM visits ORDER BY "at"').fetchall()]
    assert found[0] == datetime(1990, 1, 1)  # noqa: DTZ001
    return found[1:]


@pytest.mark.parametrize(
    ("every", "blocks", "first"),
    [
        ("day", 0, "2017-06-15"),
        ("day", 45, "2017-05-01"),
        ("week", 1, "2017-06-05"),
        ("month", 0, "2017-06-01"),
        ("month", 6, "2016-12-01"),
        ("quarter", 2, "2016-10-01"),
        ("year", 1, "2016-01-01"),
    ],
)
def test_a_row_is_late_before_the_first_moment_of_the_first_block_that_is_taken(
    tmp_path: Path, every: str, blocks: int, first: str
) -> None:
    line = datetime.fromisoformat(first)
    times = [line - timedelta(microseconds=1), line, datetime(2017, 6, 15)]  # noqa: DTZ001
    assert appended(tmp_path, f"{{drop_after: {blocks}}}", times, every) == times[1:]
    report = read_report(tmp_path / "made.duckdb")["visits"]
    assert (report.rows["late"], report.rows[KEPT]) == (1, 3)


@pytest.mark.parametrize("late_rows", ["", "accept", "{drop_after: 10000}"])
def test_late_rows_are_taken_unless_the_file_says_otherwise(tmp_path: Path, late_rows: str) -> None:
    times = [datetime(1999, 1, 1), datetime(2017, 6, 15)]  # noqa: DTZ001
    assert appended(tmp_path, late_rows, times) == times


def test_a_first_load_and_one_that_replaces_a_table_bring_history(tmp_path: Path) -> None:
    late = gym("{drop_after: 0}")
    base = loaded(tmp_path / "a", VISITS, late)
    again = loaded(tmp_path / "b", VISITS, late, base=base)
    for file in (base, again):
        assert (read_report(file)["visits"].rows["late"], read_report(file)["visits"].rows[KEPT]) == (0, 5)


def test_the_setting_changes_no_query_version_and_asks_for_no_new_load() -> None:
    used = {"visits": ["spent", "at"]}
    assert len({str(dataset_content(gym(late), used)) for late in ("", "accept", "{drop_after: 3}")}) == 1
    assert len({load_fingerprint(gym(late)) for late in ("", "accept", "{drop_after: 3}")}) == 1


@pytest.mark.parametrize("wrong", ["drop", "refuse", "null", "{drop_after: -1}", "{drop_after: 10001}", "{}", "3"])
def test_a_setting_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(FileError, match="late_rows"):
        gym(wrong)
