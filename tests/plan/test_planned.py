"""A plan that was built before is the one that would be built now."""

from __future__ import annotations

import pytest

from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.parameters import BoundParameters, bind_parameters
from dpstats.catalog.query import parse_query
from dpstats.plan import planned
from dpstats.plan.analysis import Analysis, analyse
from dpstats.plan.build import build
from dpstats.plan.caps import nothing_counted
from dpstats.plan.plan import Plan
from dpstats.plan.planned import Planned

DATASET = """
dataset: town
privacy_unit: household
budget: {epsilon: 6.0, delta: 1.0e-6}
tables:
  sales:
    columns:
      household: {type: bigint}
      shop: {type: varchar}
      day: {type: date}
  shops:
    public: true
    columns: {shop: {type: varchar}}
"""
QUERY = """
query: by_shop
dataset: town
sql: |
  SELECT shop, COUNT(DISTINCT household) AS households FROM sales
  WHERE day >= $since AND day < $until GROUP BY shop
parameters:
  since: {type: date, min: 2017-01-01, max: 2017-12-31, default: 2017-01-01}
  until: {type: date, min: 2017-01-02, max: 2018-01-02, default: 2018-01-02}
keys: {shop: {from: shops.shop}}
contribution: {max_groups: 1}
cost: {rho: 0.01}
"""


class Shops:
    """A public table, and how often it was read."""

    def __init__(self, *names: str) -> None:
        self.names, self.reads = names, 0

    def __call__(self, table: str, column: str) -> tuple[str, ...]:
        assert (table, column) == ("shops", "shop")
        self.reads += 1
        return self.names


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(parse_query(QUERY, "by_shop.yaml"), parse_dataset(DATASET, "town"))


def bound(analysis: Analysis, **given: str) -> BoundParameters:
    return bind_parameters(analysis.query, given)


def plan(plans: Planned, analysis: Analysis, shops: Shops, version: str = "dv_1", **given: str) -> Plan:
    return plans.plan(analysis, bound(analysis, **given), version, shops, nothing_counted)


def test_it_is_built_once_and_equal_to_a_plan_built_anew(analysis: Analysis) -> None:
    plans, shops = Planned(), Shops("corner", "market")
    first, second = plan(plans, analysis, shops), plan(plans, analysis, shops)
    assert shops.reads == 1
    assert first is second
    assert second == build(analysis, bound(analysis), shops, nothing_counted)


def test_another_data_version_other_parameters_and_another_analysis_have_plans_of_their_own(
    analysis: Analysis,
) -> None:
    plans = Planned()
    plan(plans, analysis, Shops("corner"))
    newer = plan(plans, analysis, Shops("corner", "market"), "dv_2")
    assert newer.groups == 2
    other = plan(plans, analysis, Shops("corner"), since="2017-02-01")
    assert dict(other.parameters)["since"] == "2017-02-01"
    dearer = analyse(parse_query(QUERY.replace("0.01", "0.02"), "by_shop.yaml"), analysis.dataset)
    assert plan(plans, dearer, Shops("corner")).loss.amount > newer.loss.amount


def test_of_many_plans_those_asked_for_longest_ago_are_forgotten(analysis: Analysis) -> None:
    plans, shops = Planned(), Shops("corner")
    for number in range(planned.MOST_PLANS):
        plan(plans, analysis, shops, f"dv_{number}")
    plan(plans, analysis, shops, "dv_0")
    plan(plans, analysis, shops, "dv_new")
    reads = shops.reads
    plan(plans, analysis, shops, "dv_0")
    assert shops.reads == reads
    plan(plans, analysis, shops, "dv_1")
    assert shops.reads == reads + 1


def test_a_plan_of_very_many_groups_is_not_kept(analysis: Analysis) -> None:
    plans, shops = Planned(), Shops(*(f"shop {n:06}" for n in range(planned.MOST_GROUPS + 1)))
    for _ in range(2):
        plan(plans, analysis, shops)
    assert shops.reads == 2
