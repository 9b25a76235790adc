"""The YAML that is read means one thing, exactly; all else is refused with its place."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.catalog.source import MAX_BYTES, MAX_DEPTH, load_file, read_yaml
from dpstats.catalog.text import forbidden_position
from dpstats.errors import FileError


def value_of(text: str) -> object:
    return read_yaml(text, "f.yaml").value


def refused(text: str) -> FileError:
    with pytest.raises(FileError) as caught:
        read_yaml(text, "f.yaml")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("0.1", Decimal("0.1")),
        ("1e-6", Decimal("1e-6")),
        ("1.0e-6", Decimal("0.0000010")),
        (".5", Decimal("0.5")),
        ("1.", Decimal(1)),
        ("1E3", Decimal(1000)),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
    ],
)
def test_a_plain_scalar_has_its_core_schema_value_and_type(written: str, meant: object) -> None:
    found = value_of(f"a: {written}\n")
    assert found == {"a": meant}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(meant)


@pytest.mark.parametrize(
    "written",
    [
        "no",
        "NO",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "True",
        "FALSE",
        "Null",
        "NULL",
        "2017-01-01",
        "12:30",
        "12:30:45",
        "+",
        "1_000",
        "0x1F",
        "0o17",
        "017",
        "00",
        "0b1",
        "1e",
        "5+",
        "1.2.3",
        "nan",
        "2017-01-01T00:00:00Z",
        "=",
        "1:2",
    ],
)
def test_what_other_yaml_readers_take_for_a_boolean_date_or_number_is_text(written: str) -> None:
    assert value_of(f"a: {written}\n") == {"a": written}


@pytest.mark.parametrize("written", ["'5'", '"true"', "'null'", '"1e-6"', "'.inf'"])
def test_quotes_make_text(written: str) -> None:
    assert value_of(f"a: {written}\n") == {"a": written[1:-1]}


def test_a_block_of_sql_keeps_its_lines_and_quotes() -> None:
    sql = "SELECT \"a\", 'é ''x''' -- 100 %\nFROM t # no comment\n"
    assert value_of("sql: |\n" + "".join(f"  {line}\n" for line in sql.splitlines())) == {"sql": sql}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**15), max_value=10**15))
def test_a_decimal_is_kept_digit_by_digit(number: Decimal) -> None:
    found = value_of(f"[{number:f}]")
    assert isinstance(found, list)
    assert f"{found[0]:f}" == f"{number:f}"


texts = st.text(max_size=20).filter(lambda text: forbidden_position(text) is None)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_json_is_read_as_json(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    found = value_of(text)
    assert found == value
    assert json.dumps(found, ensure_ascii=False) == text


@pytest.mark.parametrize(
    ("text", "line", "key", "word"),
    [
        ("a: 1\nb: &x 1\n", 2, "b", "anchors"),
        ("a: *x\n", 1, "a", "anchors"),
        ("&x a: 1\n", 1, "", "anchors"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "a", "tags"),
        ("a: !!str 5\n", 1, "a", "tags"),
        ("a: ! 5\n", 1, "a", "tags"),
        ("!x a: 1\n", 1, "", "tags"),
        ("b: 1\n<<: {a: 1}\n", 2, "", "merge"),
        ("t:\n  a: 1\n  b: 2\n  a: 3\n", 4, "t.a", "already on line 2"),
        ("t: {a: 1, 'a': 2}\n", 1, "t.a", "already"),
        ("a: 1\n2: b\n", 2, "", "must be text, not 2"),
        ("cost: {epsilon: 0,3}\n", 1, "cost", "not a comma: write 0.3"),
        ("cost: {epsilon: 0,05, x: 1}\n", 1, "cost", "not a comma: write 0.05"),
        ("cost: {epsilon: -1,5}\n", 1, "cost", "not a comma: write -1.5"),
        ("cost: {epsilon: 0, 3: x}\n", 1, "cost", "must be text, not 3"),
        ("true: b\n", 1, "", "must be text"),
        ("? [a]\n: b\n", 1, "", "must be text"),
        ("a: 1\n---\nb: 2\n", 2, "", "second document"),
        ("%YAML 1.1\n---\na: 1\n", 1, "", "directive"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", 1, "", "directive"),
        ("", 1, "", "empty"),
        ("# only a comment\n", 2, "", "empty"),
        ("a: .inf\n", 1, "a", "not a number"),
        ("a: [1, -.Inf]\n", 1, "a[1]", "not a number"),
        ("a: .nan\n", 1, "a", "not a number"),
        ("a: 1e401\n", 1, "a", "too large or too small"),
        ("a: 1e-99999999999999999999999\n", 1, "a", "too large or too small"),
        ("a: 0e99999\n", 1, "a", "too large or too small"),
        ("a: " + "9" * 5000 + "\n", 1, "a", "over 64 characters"),
        ("a: 1\n\tb: 2\n", 2, "", "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "", "indent with spaces"),
        ("a: how many: people\n", 1, "", "put a text with `: ` in it in quotes"),
        ("a: [1\nb: 2\n", 2, "a", "not valid YAML"),
        ("a: 'x\n", 2, "a", "not valid YAML"),
        ('a: "\\UFFFFFFFF"\n', 1, "a", "not valid YAML"),
        ('a: "\\q"\n', 1, "a", "not valid YAML"),
        ('a:\n  b: "x\\0"\n', 2, "a.b", "U+0000"),
        ('a: "\\ud800"\n', 1, "a", "U+D800"),
        ("a: 1\nb: \x07\n", 2, "", "U+0007"),
        ("a: 1\r\nb: x\x00\r\n", 2, "", "U+0000"),
        ("a: 1\n# \u202e hidden\n", 2, "", "U+202E"),
        ("a: x\u2028y\n", 1, "", "U+2028"),
        ("a: \ud800\n", 1, "", "U+D800"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_line_and_key(text: str, line: int, key: str, word: str) -> None:
    error = refused(text)
    assert (error.file, error.line, error.key) == ("f.yaml", line, key)
    assert word in error.what


def test_a_billion_laughs_is_refused_at_its_first_anchor() -> None:
    laughs = 'a: &a ["lol", "lol"]\n' + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
    )
    assert refused(laughs).line == 1


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "- ? ", "? "])
def test_nesting_is_limited_however_it_is_written(opening: str) -> None:
    what = refused(opening * 100_000).what
    assert "nested deeper" in what or "a key must be text" in what


def test_twenty_levels_are_read_and_twenty_one_are_not() -> None:
    assert value_of("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    refused("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_every_key_and_item_has_its_line() -> None:
    source = read_yaml("a: 1\nb:\n  c:\n    - x\n    - y\n  d: {e: 1}\n", "f.yaml")
    lines = {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 0): 4, ("b", "c", 1): 5, ("b", "d", "e"): 6}
    assert {path: source.line(path) for path in lines} == lines
    assert source.line(("b", "c", 1, "missing")) == 5


def test_problems_are_told_in_the_order_of_the_file_and_capped() -> None:
    source = read_yaml("".join(f"k{i}: 1\n" for i in range(50)), "f.yaml")
    error = source.error([((f"k{i}",), f"bad {i}") for i in reversed(range(50))])
    assert str(error).startswith("f.yaml:1: k0: bad 0 | line 2: k1: bad 1 | ")
    assert str(error).endswith("and 30 more problems")


def test_a_key_is_shown_in_one_line_whatever_is_in_it() -> None:
    error = refused('"a\\nb c":\n  "' + "x" * 1000 + '": .inf\n')
    assert error.key.startswith("'a\\nb c'.'xxx")
    assert len(error.key) < 100


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "é.yaml"
    path.write_text("a: ünï\n", encoding="utf-8")
    assert load_file(path) == load_file(str(path)) == "a: ünï\n"


def test_a_file_of_one_mebibyte_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(load_file(path)) == MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(FileError, match=r"f\.yaml: the file is over 1 MiB"):
        load_file(path)
    assert "over 1 MiB" in refused("#" * (MAX_BYTES + 1)).what
    assert "over 1 MiB" in refused("é" * (MAX_BYTES // 2 + 1)).what


def test_what_is_not_a_readable_file_is_refused_in_one_line(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: \xe9\n")
    for path, word in [
        (tmp_path / "missing.yaml", "no such file"),
        (tmp_path, "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (tmp_path / "a\0b", "no such file"),
        (tmp_path / ("x" * 5000), "cannot be read"),
        (latin / "below", "no such file"),
        (latin, "UTF-8"),
    ]:
        with pytest.raises(FileError, match=word) as caught:
            load_file(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileError) as caught:
        load_file(latin)
    assert caught.value.line == 2
