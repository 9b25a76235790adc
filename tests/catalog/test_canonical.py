"""Equal meaning has equal bytes, and every change that matters changes them."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.catalog.canonical import canonical_json, dataset_content, load_fingerprint, query_content
from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.query import parse_query

USED = {"transactions": ["sales_value"], "households": ["income"], "products": ["department"]}

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def version(text: str) -> bytes:
    return canonical_json(query_content(parse_query(text, "q.yaml")))


def content(text: str) -> bytes:
    return canonical_json(dataset_content(parse_dataset(text, "dataset.yaml"), USED))


@given(values)
def test_canonical_json_is_json_of_the_same_value(value: Any) -> None:
    written = canonical_json(value)
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


@given(st.dictionaries(st.text(max_size=3).filter(str.isascii), st.integers(), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(mapping: dict[str, int], random: Any) -> None:
    shuffled = list(mapping.items())
    random.shuffle(shuffled)
    assert canonical_json(dict(shuffled)) == canonical_json(mapping)


def test_canonical_json_has_one_known_form() -> None:
    value = {"b": (Decimal("1.50"), date(2017, 1, 1)), "a": {"é": None, "d": timedelta(days=1)}, "c": True}
    assert canonical_json(value) == '{"a":{"d":86400,"é":null},"b":["1.5","2017-01-01"],"c":true}'.encode()


@pytest.mark.parametrize("value", [0.5, float("nan"), {"a": [1.0]}, {1: 2}, {"a", "b"}, b"x", object()])
def test_floats_and_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_layout_comments_and_spelling_of_numbers_do_not_change_a_query(query_text: str) -> None:
    same = query_text.replace("rho: 0.005", "rho: 5.0e-3").replace("[0, 500]", "[-0.0, 5e2]  # one household")
    same = same.replace("query: spend_by_income\n", "") + "query: 'spend_by_income'\n"
    same = same.replace(
        "keys:\n  income: {values: [Under 15K, 15-24K]}", 'keys:\n  income:\n    values: ["Under 15K", 15-24K]'
    )
    assert same != query_text
    assert version(same) == version(query_text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("query: spend_by_income", "query: spend"),
        ("dataset: complete_journey", "dataset: other"),
        ("title: Grocery spend", "title: Spend"),
        ("purpose: personalization", "purpose: measurement"),
        ("GROUP BY h.income", "GROUP BY 1"),
        ("max: 2017-12-31", "max: 2017-12-30"),
        ("default: 2017-01-01", "default: 2017-01-02"),
        ("[Under 15K, 15-24K]", "[Under 15K]"),
        ("{values: [Under 15K, 15-24K]}", "{private: true}"),
        ("{values: [Under 15K, 15-24K]}", "{from: products.department}"),
        ("[0, 500]", "[0, 501]"),
        ("max_groups: 1", "max_groups: 2"),
        (", max_rows: 20", ""),
        ("window: {from: $since, until: $until}\n", ""),
        ("{rho: 0.005}", "{epsilon: 0.005}"),
        ("{rho: 0.005}", "{accuracy: {spend: 0.005}}"),
        ("{rho: 0.005}", "{accuracy: {spend: {half_width: 0.005, rows: 100}}}"),
        ("{rho: 0.005}", "{rho: 0.005}\nfresh_for: 1d"),
        ("{rho: 0.005}", "{rho: 0.005}\ntags: [a]"),
        ("nobody is known", "no one is known"),
    ],
)
def test_every_part_of_a_query_is_in_its_content(query_text: str, old: str, new: str) -> None:
    assert old in query_text
    assert version(query_text.replace(old, new, 1)) != version(query_text)


def test_the_number_and_the_text_of_a_key_are_two_values(query_text: str) -> None:
    written = ["[0.5]", "['0.5']", "[1]", "['1']", "[true]", "['true']", "['1.0', 1.0]", "[1.0, '1.0']"]
    versions = {version(query_text.replace("[Under 15K, 15-24K]", keys)) for keys in written}
    assert len(versions) == len(written)
    assert version(query_text.replace("[Under 15K, 15-24K]", "[0.50]")) in versions


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lineage: complete_journey", "lineage: other"),
        ("delta: 1.0e-6", "delta: 1.0e-7"),
        ("delta: 1.0e-6", "delta: 0"),
        ("per_unit: 20000", "per_unit: 20001"),
        ("consent: notice", "consent: opt_out"),
        ("bounds: [0, 100]", "bounds: [0, 101]"),
        ("unit: USD", "unit: EUR"),
        ("type: double", "type: bigint"),
        ("15-24K]", "15-25K]"),
        ("sensitive: true, ", ""),
        ("purposes: [personalization]", "purposes: [measurement]"),
        ("one_row_per_unit: true", "one_row_per_unit: false"),
        ("department: {type: varchar}", "department: {type: varchar, category: inferences}"),
    ],
)
def test_what_a_plan_depends_on_changes_a_dataset_s_content(dataset_text: str, old: str, new: str) -> None:
    assert old in dataset_text
    assert content(dataset_text.replace(old, new, 1)) != content(dataset_text)


def test_a_table_turned_public_changes_a_dataset_s_content(dataset_text: str) -> None:
    columns = "    columns: {department: {type: varchar}, household_id: {type: bigint}}\n"
    personal = dataset_text.replace("    public: true\n    columns: {product_id: {type: bigint}, ", "    columns: {")
    personal = personal.replace("    columns: {department: {type: varchar}}\n", columns)
    assert content(personal) != content(dataset_text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Grocery households, one year", "title: Groceries"),
        ("fresh_for: 30d", "fresh_for: 1d"),
        ("why: value", "why: another"),
        ("title: Sales reporting", "title: Sales"),
        ("epsilon: 6.0", "epsilon: 5.0"),
        ("delta: 1.0e-6", "delta: 0.000001"),
        ("product_id: {type: bigint}, ", ""),
        ("transaction_timestamp: {type: timestamp", "transaction_timestamp: {type: date"),
        ("  products:", "  others: {public: true, columns: {a: {type: date}}}\n  products:"),
        ("purposes: [measurement, personalization]", "purposes: [personalization, measurement]"),
    ],
)
def test_what_no_plan_depends_on_does_not_change_it(dataset_text: str, old: str, new: str) -> None:
    assert old in dataset_text
    assert content(dataset_text.replace(old, new, 1)) == content(dataset_text)


def test_the_unit_s_column_is_always_among_those_used(dataset_text: str) -> None:
    dataset = parse_dataset(dataset_text, "dataset.yaml")
    assert set(dataset_content(dataset, {"transactions": []})["tables"]["transactions"]["columns"]) == {"household_id"}
    with pytest.raises(KeyError):
        dataset_content(dataset, {"transactions": ["nothing"]})


def fingerprint(text: str) -> str:
    return load_fingerprint(parse_dataset(text, "dataset.yaml"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("per_unit: 20000", "per_unit: 20001"),
        ("one_row_per_unit: true", "one_row_per_unit: false"),
        ("product_id: {type: bigint}, ", ""),
        ("type: double", "type: bigint"),
        ("  products:", "  goods:"),
    ],
)
def test_a_change_of_what_is_loaded_changes_the_fingerprint(dataset_text: str, old: str, new: str) -> None:
    assert old in dataset_text
    assert fingerprint(dataset_text.replace(old, new, 1)) != fingerprint(dataset_text)


def test_the_fingerprint_is_a_sha256_that_ignores_what_is_not_loaded(dataset_text: str) -> None:
    other = dataset_text.replace("bounds: [0, 100]", "bounds: [0, 9]").replace("title: Grocery", "title: A Grocery")
    other = other.replace("epsilon: 6.0", "epsilon: 9").replace(
        "product_id: {type: bigint}, department: {type: varchar}",
        "department: {type: varchar}, product_id: {type: bigint}",
    )
    assert fingerprint(other) == fingerprint(dataset_text)
    assert len(bytes.fromhex(fingerprint(dataset_text))) == hashlib.sha256().digest_size


def test_a_key_that_came_later_makes_no_new_version_where_it_is_not_said() -> None:
    text = "{query: q, dataset: shop, sql: SELECT 1, cost: {rho: 1}}"
    assert not {"cadence", "candidates"} & query_content(parse_query(text, "q.yaml")).keys()
    assert version(text.replace("cost", "cadence: weekly, cost")) != version(text)
