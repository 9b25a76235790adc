"""Answers are by groups that many people share: a column that says who somebody is is no key, however it is dressed."""

from __future__ import annotations

import pytest

from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.query import parse_query
from dpstats.errors import QueryRefused
from dpstats.plan.analysis import analyse

SHOP = parse_dataset(
    """
dataset: shop
privacy_unit: person
budget: {epsilon: 1, delta: 1.0e-6}
tables:
  members:
    one_row_per_unit: true
    columns:
      person: {type: bigint, category: identifiers}
      email: {type: varchar, category: identifiers}
      card: {type: varchar, never_disclose: true}
      town: {type: varchar, category: geolocation_data}
  shops:
    public: true
    columns: {town: {type: varchar}, email: {type: varchar, category: identifiers}}
""",
    "dataset.yaml",
)


def analysed(key: str, tables: str = "members m") -> None:
    query = f"""
query: q
dataset: shop
sql: SELECT {key} AS k, COUNT(DISTINCT m.person) AS people FROM {tables} GROUP BY k
keys: {{k: {{private: true}}}}
contribution: {{max_groups: 1}}
cost: {{rho: 0.1}}
"""
    analyse(parse_query(query, "q.yaml"), SHOP)


@pytest.mark.parametrize(
    "key", ["m.email", "m.card", "LOWER(m.email)", "SUBSTR(m.email, 1, 3)", "CASE WHEN m.card = 'x' THEN 1 ELSE 0 END"]
)
def test_an_identifier_is_no_key_however_it_is_dressed(key: str) -> None:
    with pytest.raises(QueryRefused, match="an identifier as a key"):
        analysed(key)


def test_one_that_comes_through_a_cte_is_none_either() -> None:
    with pytest.raises(QueryRefused, match="an identifier as a key"):
        analysed("m.email", "(SELECT person, email FROM members) m")


@pytest.mark.parametrize("key", ["m.town", "LOWER(m.town)"])
def test_what_many_people_share_is_a_key(key: str) -> None:
    analysed(key)


def test_a_public_tables_column_is_one_too() -> None:
    analysed("s.email", "members m JOIN shops s ON m.town = s.town")


@pytest.mark.parametrize(
    ("value", "grouped"),
    [
        ("LOWER(email)", False),
        ("email || ''", False),
        ("COALESCE(email, card)", False),
        ("MAX(email)", True),
        ("MAX(SUBSTR(email, 1))", True),
    ],
)
def test_nor_is_one_that_a_subquery_dressed(value: str, grouped: bool) -> None:
    inner = f"(SELECT person, {value} AS e FROM members{' GROUP BY person' if grouped else ''}) AS m"
    with pytest.raises(QueryRefused, match="an identifier as a key"):
        analysed("m.e", inner)
