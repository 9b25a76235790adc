"""Invented rows keep to what a dataset's file says of its columns, so that a load drops none of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dpstats.access import operator
from dpstats.catalog.dataset import load_dataset, parse_dataset
from dpstats.catalog.enlarged import LARGEST_EPSILON, with_largest_budget
from dpstats.catalog.query import parse_query
from dpstats.cli.bundled import bundle, bundled_queries
from dpstats.errors import FileError
from dpstats.sandbox.invented import UNITS, Inventor
from dpstats.sandbox.made import sandbox
from dpstats.sandbox.texts import Texts
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

EVERY_TYPE = """
dataset: all
privacy_unit: who   # a comment that stays
budget: {epsilon: 0.5, delta: 1.0e-6}
blocks: {column: facts.at, every: month, budget: {epsilon: 0.25, delta: 1.0e-7}}
max_rows_per_unit: 10
tables:
  facts:
    columns:
      who: {type: UNIT}
      small: {type: integer, bounds: [-3, 3]}
      big: {type: bigint, values: [7, 9]}
      price: {type: 'decimal(6,2)', bounds: [0.5, 20.25]}
      share: {type: 'decimal(2,2)'}
      size: {type: double, bounds: [-1, 1]}
      said: {type: varchar}
      kind: {type: varchar, values: [a, "O'b"]}
      yes: {type: boolean}
      code: {type: uuid}
      on: {type: date}
      at: {type: timestamp}
  person:
    one_row_per_unit: true
    columns: {who: {type: UNIT}, shop: {type: integer}}
  shops:
    public: true
    columns: {shop: {type: integer}, name: {type: varchar}}
"""
QUERY = """
query: said
dataset: all
sql: |
  SELECT kind, COUNT(DISTINCT who) AS n FROM facts
  WHERE said IN ('it''s', 'so') AND at >= $since AND at < $until GROUP BY kind
parameters:
  since: {type: date, min: 2024-03-01, max: 2024-05-01, default: 2024-03-01}
  until: {type: date, min: 2024-03-02, max: 2024-06-01, default: 2024-06-01}
window: {from: $since, until: $until}
contribution: {max_groups: 2}
cost: {rho: 0.01}
"""


@pytest.mark.parametrize("unit", ["bigint", "integer", "varchar", "uuid"])
def test_every_type_is_invented_within_what_is_said_of_it(unit: str) -> None:
    dataset = parse_dataset(EVERY_TYPE.replace("UNIT", unit), "dataset.yaml")
    tables = Inventor(dataset, (parse_query(QUERY, "said.yaml"),)).tables()
    facts = tables["facts"]
    assert len(facts["who"]) > UNITS
    for name in ("small", "price", "size"):
        low, high = dataset.tables["facts"].columns[name].bounds or (0, 0)
        assert all(low <= value <= high for value in facts[name])
        assert len(set(facts[name])) > 3
    assert set(facts["kind"]) == {"a", "O'b"}
    assert set(facts["said"]) == {"it's", "so"}
    assert all(date(2024, 3, 1) <= moment.date() < date(2024, 6, 1) for moment in facts["at"])
    assert len(set(tables["person"]["who"])) == len(tables["person"]["who"]) == UNITS
    assert len(set(tables["shops"]["shop"])) == len(tables["shops"]["shop"])
    assert set(tables["person"]["shop"]) <= set(tables["shops"]["shop"])


def test_days_to_come_are_not_invented() -> None:
    query = parse_query(QUERY.replace("2024-06-01", "2999-01-01"), "said.yaml")
    dataset = parse_dataset(EVERY_TYPE.replace("UNIT", "bigint"), "dataset.yaml")
    assert max(Inventor(dataset, (query,)).tables()["facts"]["on"]) <= datetime.now(UTC).date()


@pytest.mark.parametrize("unit", ["bigint", "uuid"])
def test_what_is_invented_loads_whole_and_answers(unit: str, tmp_path: Path) -> None:
    texts = Texts({"all": EVERY_TYPE.replace("UNIT", unit)}, {"said": QUERY}, frozenset({"said"}), {})
    with sandbox(read_settings(home=tmp_path), texts) as box:
        workspace = Workspace.open(box.settings)
        me = operator("tests")
        assert workspace.releases.preview(me, "said", {})["affordable"]
        blocks = workspace.budgets.one(me, "all")["blocks"]
        assert {block["epsilon"] for block in blocks} == {LARGEST_EPSILON}
        workspace.close()


def test_only_the_epsilons_of_its_budgets_change() -> None:
    text = EVERY_TYPE.replace("UNIT", "bigint")
    made = with_largest_budget(text, "dataset.yaml")
    assert made == text.replace("epsilon: 0.5,", "epsilon: 1000,").replace("epsilon: 0.25,", "epsilon: 1000,")
    with pytest.raises(FileError):
        with_largest_budget("dataset: x", "dataset.yaml")


def test_the_bundled_dataset_can_be_invented() -> None:
    dataset = load_dataset(bundle() / "complete_journey" / "dataset.yaml")
    queries = tuple(
        parse_query(file.read_text(encoding="utf-8"), file.name) for file in bundled_queries(dataset.dataset)
    )
    tables = Inventor(dataset, queries).tables()
    assert set(tables) == set(dataset.tables)
    assert all(len(set(map(len, columns.values()))) == 1 for columns in tables.values())
