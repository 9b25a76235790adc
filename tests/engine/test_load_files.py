"""Source files: what is wrong with one is told in a line without cells, and changes nothing."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest

from dpstats.engine.load import load
from dpstats.errors import FileError

CELL = "cell-918273645"


@pytest.fixture
def refused(dataset, target, key):
    """Loads `person` and `x` from a file, which must be refused; gives the message."""

    def run(source, **tables):
        spec = dataset(**(tables or {"rows": "person: bigint; x: varchar"}))
        with pytest.raises(FileError) as caught:
            load(spec, {"rows": source}, target=target, key=key)
        assert CELL not in f"{caught.value} {vars(caught.value)} {caught.value.args}"
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert "\n" not in str(caught.value)
        assert not list(target.parent.iterdir())
        return str(caught.value)

    return run


@pytest.fixture
def read(dataset, target, key, rows_of):
    """Loads `person` and `x` from a file, and gives the rows."""

    def run(source, declared="person: bigint; x: varchar"):
        load(dataset(rows=declared), {"rows": source}, target=target, key=key)
        return rows_of(target, "rows")

    return run


def test_a_missing_file(refused, tmp_path):
    assert refused(tmp_path / "no.parquet").endswith("no.parquet: there is no such file: check the path")


def test_another_suffix(refused, csv_file):
    assert "must end in .parquet, .pq, .csv, .csv.gz" in refused(csv_file("person,x\n1,a\n", "rows.txt"))


@pytest.mark.parametrize("content", [b"", b"PAR1", CELL.encode() * 1000, b"PAR1" + CELL.encode() * 100 + b"PAR1"])
def test_a_parquet_file_that_is_none(refused, csv_file, content):
    assert refused(csv_file(content, "s.parquet")).endswith(
        "is not a readable Parquet file: it is damaged, or something else"
    )


def test_a_parquet_file_damaged_inside(refused, parquet):
    source = parquet({"person": list(range(5000)), "x": [f"{CELL}-{i}" for i in range(5000)]})
    content = bytearray(source.read_bytes())
    content[100:-2000] = b"\xff" * (len(content) - 2100)
    source.write_bytes(content)
    assert "is not a readable Parquet file" in refused(source)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty: its first line must name its columns"),
        ("person,x\n", "has no rows"),
        (f"person,x\n1,{CELL}\n2\n", ":3: is not well-formed CSV"),
        (f"person,x\n1,{CELL},3\n", ":2: is not well-formed CSV"),
        (f'person,x\n1,"{CELL}\n', "is not well-formed CSV"),
        (f"person,x\n1,{CELL}".encode() + b"\xff\n", "is not CSV in UTF-8"),
        (f"person,x\n1,{CELL}\n".encode("utf-16"), "is not CSV in UTF-8"),
        (f'person,"x\n1,{CELL}\n', "is not CSV in UTF-8"),
        (f"{CELL},7\n1,2\n", "has no column person, x: its header is missing or another's"),
        ("\nperson,x\n1,2\n", "has no column person, x"),
        ("person;x\n1;2\n", "has no column person, x"),
    ],
)
def test_a_csv_file_that_is_wrong(refused, csv_file, content, told):
    assert told in refused(csv_file(content))


def test_bytes_that_are_not_utf8_far_into_a_csv_file(refused, csv_file):
    content = b"person,x\n" + b"1,a\n" * 20_000 + f"2,{CELL}".encode() + b"\xff\n"
    assert ":20002: is not well-formed CSV" in refused(csv_file(content))


def test_a_gzip_file_that_is_none(refused, csv_file):
    assert refused(csv_file(CELL, "s.csv.gz")).endswith("is not CSV in UTF-8, packed with gzip")


def test_a_gzip_file_cut_short(refused, csv_file):
    whole = gzip.compress(b"person,x\n" + b"".join(b"%d,%d\n" % (i, hash(str(i))) for i in range(50_000)))
    assert "CSV" in refused(csv_file(whole[: len(whole) // 2], "s.csv.gz"))


def test_a_parquet_file_without_rows(refused, parquet):
    assert refused(parquet({"person": pa.array([], pa.int64()), "x": pa.array([], pa.string())})).endswith(
        "has no rows"
    )


def test_a_column_that_is_not_there(refused, parquet):
    message = refused(parquet({"person": [1], "y": ["a"], 'quo"te': ["b"]}))
    assert message.endswith('no column x; it has: person, y, quo"te')


def test_a_file_with_hundreds_of_columns_names_the_first_few(refused, parquet):
    message = refused(parquet({"person": [1]} | {f"c{i}": [1] for i in range(500)}))
    assert message.endswith(", c28 and 471 more")


def test_a_column_that_is_there_twice(refused, csv_file, parquet):
    assert "more than one column x" in refused(csv_file("person,x,x\n1,2,3\n"))
    assert "more than one column x" in refused(parquet({"person": [1], "X": ["a"], " x": ["b"]}))


def test_rows_that_are_nobodys(refused, csv_file):
    assert refused(csv_file("person,x\n,a\n,b\n")).endswith(
        "column person: is empty in every row: it must say whose row it is"
    )


def test_units_of_another_type(refused, csv_file):
    assert "column person: the file has VARCHAR, dataset.yaml says bigint" in refused(csv_file(f"person,x\n{CELL},a\n"))


def test_rows_of_nobody_are_dropped(read, csv_file):
    assert sorted(read(csv_file("person,x\n1,a\n,b\nnobody,c\n2,d\n"))) == [(1, "a"), (2, "d")]


def test_a_byte_order_mark_is_skipped(read, csv_file):
    assert read(csv_file(b"\xef\xbb\xbfperson,x\n1,a\n")) == [(1, "a")]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quotes_commas_and_line_breaks_inside_cells(read, csv_file, newline):
    content = newline.join(["person,x", '1,"a ""b"", c"', f'2,"d{newline}e"', "3,'", '4,""', "5,"])
    assert sorted(read(csv_file(content)))[:3] == [(1, 'a "b", c'), (2, f"d{newline}e"), (3, "'")]
    assert sorted(person for person, x in read(csv_file(content)) if x is None) == [4, 5]


def test_a_packed_csv_file(read, csv_file):
    assert read(csv_file(gzip.compress(b"person,x\n1,a\n"), "s.csv.gz")) == [(1, "a")]


def test_column_names_may_differ_in_case_and_blanks(read, csv_file, parquet):
    assert read(csv_file("PERSON, x ,other\n1,a,b\n")) == [(1, "a")]
    assert read(parquet({"X": ["a"], "Person": [1]})) == [(1, "a")]


def test_the_exact_name_goes_before_one_that_differs_in_case(read, csv_file, parquet):
    assert read(csv_file("person,X,x\n1,a,b\n")) == [(1, "b")]
    assert read(parquet({"X": ["a"], "s": [{"x": "no", "t": [1]}], "person": [1], "x": ["b"]})) == [(1, "b")]


def test_names_that_are_words_of_sql(read, csv_file):
    declared = "person: bigint; select: varchar; Order: varchar; c0: varchar"
    assert read(csv_file("c0,person,select,Order\nd,1,a,b\n"), declared) == [(1, "a", "b", "d")]


@pytest.mark.parametrize("name", ["it's [1]*?.csv", "year=2017/x=3.csv", '東京 "x".csv', "-.csv", "a\\b{c,d}.csv"])
def test_any_file_name(read, csv_file, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    csv_file("person,x\n9,decoy\n", "it's 1-x.csv")
    assert read(csv_file("person,x\n1,a\n", name)) == [(1, "a")]


def test_columns_are_not_taken_from_a_files_path(refused, parquet, tmp_path):
    (tmp_path / "x=3").mkdir()
    assert "no column x" in refused(parquet({"person": [1]}, "x=3/s.parquet"))


def test_one_persons_row_does_not_change_how_others_are_read(read, csv_file):
    ordinary = "".join(f"{i},{i}\n" for i in range(100))
    odd = "500,a;b|c\t#d'e\n501,01/02/2017\n"
    with_odd = [row for row in read(csv_file("person,x\n" + odd + ordinary)) if row[0] < 500]
    assert sorted(with_odd) == sorted(read(csv_file("person,x\n" + ordinary)))


def test_a_source_for_a_table_that_is_not_there(dataset, csv_file, target, key):
    with pytest.raises(FileError, match=r"people: shops: there is no such table; the tables are rows"):
        load(dataset(rows="person: bigint"), {"shops": csv_file("a\n1\n")}, target=target, key=key)


def test_a_table_without_a_source(dataset, target, key):
    with pytest.raises(FileError, match=r"people: rows: it has no data yet: add `--source rows=PATH`"):
        load(dataset(rows="person: bigint"), {}, target=target, key=key)
