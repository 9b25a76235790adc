"""Whatever the text of a file is, it becomes a record or one `FileError` of one printable line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.catalog.canonical import canonical_json, dataset_content, load_fingerprint, query_content
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.query import QueryFile, parse_query
from dpstats.errors import FileError

MARKS = "-:?[]{}&*!|>'\"%@`#,~ \n\t\\<=.+eE0195naxtruf_$é\u0301\u202e\x00"
TOKENS = [
    "&a", "*a", "!!python/name:os.system", "!x", "<<: ", "- ", "? ", ": ", "|\n", ">-\n", "[", "]", "{", "}", "'", '"',
    "null", "true", "1e999999999", "9" * 5000, "-0.0", ".nan", "\\UFFFFFFFF", '"\\ud800"', "\u2028", "\ufeff", "%YAML",
    "---\n", "...\n", "\t", "\r", "[key]", "<rho>", "dp_", "1e-6", "2017-01-01", "decimal(10,2)", "\n",
]  # fmt: skip

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["bigint", "varchar", "date", "a.b", "$since", "30d", "2017-01-01", "<rho>", "[key]", "", "from"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "values", "bounds", "rho", "from", "<rho>", "[key]", "min"]) | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def read(text: str) -> None:
    """Parses as both kinds; what is accepted must have a canonical form."""
    dataset = one_line_or(parse_dataset, text)
    if isinstance(dataset, DatasetFile):
        used = {name: list(table.columns) for name, table in dataset.tables.items()}
        assert canonical_json(dataset_content(dataset, used))
        assert load_fingerprint(dataset)
        assert dataset.conversion_delta * 2 <= dataset.budget.delta
    query = one_line_or(parse_query, text)
    if isinstance(query, QueryFile):
        assert canonical_json(query_content(query))


def one_line_or(parse: Callable[[str, str], DatasetFile | QueryFile], text: str) -> DatasetFile | QueryFile | None:
    try:
        return parse(text, "f.yaml")
    except FileError as refusal:
        message = str(refusal)
        assert message.isprintable()
        assert message.startswith("f.yaml")
        return None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text)


@settings(max_examples=400)
@given(st.text(MARKS))
def test_any_heap_of_yaml_s_marks_is_read_or_refused(text: str) -> None:
    read(text)


def spliced(original: str, edits: list[tuple[float, float, str]]) -> str:
    """`original` with pieces cut out and others put in, at places given as fractions of its length."""
    text = original
    for start, length, piece in edits:
        at = int(start * len(text))
        text = text[:at] + piece + text[at + int(length * 20) :]
    return text


edits = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(TOKENS) | st.text(MARKS, max_size=6)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(edits)
def test_a_damaged_dataset_is_read_or_refused(dataset_text: str, edits: list[tuple[float, float, str]]) -> None:
    read(spliced(dataset_text, edits))


@settings(max_examples=300)
@given(edits)
def test_a_damaged_query_is_read_or_refused(query_text: str, edits: list[tuple[float, float, str]]) -> None:
    read(spliced(query_text, edits))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in below for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("kind", ["dataset", "query"])
@settings(max_examples=100)
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(
    kind: str, dataset_text: str, query_text: str, data: st.DataObject
) -> None:
    whole = yaml.load(dataset_text if kind == "dataset" else query_text, Loader=yaml.BaseLoader)
    path = data.draw(st.sampled_from(places(whole)))
    text = json.dumps(replaced(whole, path, data.draw(values)), ensure_ascii=False)
    read(text)


@pytest.mark.parametrize("text", ["a" * 2**20, "a: " * 2**18, "'" * 2**20, "[a," * 2**18, " " * 2**20, "#\n" * 2**19])
def test_a_mebibyte_of_nonsense_is_refused_soon(text: str) -> None:
    read(text)
