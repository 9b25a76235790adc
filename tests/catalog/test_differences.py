"""Where two versions of a file differ, by the keys' way from the top."""

from __future__ import annotations

from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.differences import differences
from dpstats.catalog.query import parse_query

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 1, delta: 0}
tables:
  visits: {columns: {person: {type: bigint}, spent: {type: double, bounds: [0, 10]}}}
"""
QUERY = "{query: q, dataset: shop, sql: SELECT 1, cost: {epsilon: 1}}"


def of_datasets(old: str, new: str) -> tuple[str, ...]:
    return differences(parse_dataset(DATASET, "d"), parse_dataset(DATASET.replace(old, new), "d"))


def test_equal_files_do_not_differ_whatever_their_layout() -> None:
    assert of_datasets("dataset: shop", "# the same\ndataset:   shop") == ()
    assert of_datasets("epsilon: 1,", "epsilon: 1.0,") == ()


def test_a_key_is_told_by_its_way_from_the_top() -> None:
    assert of_datasets("[0, 10]", "[0, 11]") == ("tables.visits.columns.spent.bounds",)
    assert of_datasets("epsilon: 1,", "epsilon: 2,") == ("budget.epsilon",)
    assert of_datasets("dataset: shop", "dataset: shop\ntitle: A shop") == ("title",)


def test_what_is_only_in_one_of_them_is_one_key() -> None:
    other = "tables:\n  more: {public: true, columns: {x: {type: bigint}}}"
    assert of_datasets("tables:", other) == ("tables.more",)


def test_parts_of_another_kind_differ_as_a_whole() -> None:
    other = parse_query(QUERY.replace("epsilon: 1", "rho: 1"), "q")
    assert differences(parse_query(QUERY, "q"), other) == ("cost",)
