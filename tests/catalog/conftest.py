"""The contract's own dataset and query, as text."""

from __future__ import annotations

import pytest

DATASET = """\
dataset: complete_journey
title: Grocery households, one year
privacy_unit: household_id
budget: {epsilon: 6.0, delta: 1.0e-6}
fresh_for: 30d
max_rows_per_unit: 20000
lineage: complete_journey
purposes:
  measurement: {title: Sales reporting, consent: notice}
  personalization: {title: Segment-level personalization, consent: opt_in}
tables:
  transactions:
    columns:
      household_id: {type: bigint, category: identifiers, purposes: [measurement, personalization], why: joins}
      sales_value: {type: double, bounds: [0, 100], unit: USD, purposes: [measurement, personalization], why: value}
      transaction_timestamp: {type: timestamp, purposes: [measurement, personalization], why: trends}
  households:
    one_row_per_unit: true
    columns:
      household_id: {type: bigint, category: identifiers, purposes: [measurement, personalization], why: join key}
      income: {type: varchar, values: [Under 15K, 15-24K], sensitive: true, purposes: [personalization], why: segment}
  products:
    public: true
    columns: {product_id: {type: bigint}, department: {type: varchar}}
"""

QUERY = """\
query: spend_by_income
dataset: complete_journey
title: Grocery spend by household income
purpose: personalization
sql: |
  SELECT h.income, COUNT(DISTINCT t.household_id) AS households, SUM(t.sales_value) AS spend
  FROM transactions t JOIN households h USING (household_id)
  WHERE t.transaction_timestamp >= $since AND t.transaction_timestamp < $until
  GROUP BY h.income
parameters:
  since: {type: date, min: 2017-01-01, max: 2017-12-31, default: 2017-01-01}
  until: {type: date, min: 2017-01-02, max: 2018-01-02, default: 2018-01-02}
keys:
  income: {values: [Under 15K, 15-24K]}
bounds:
  spend: [0, 500]
contribution: {max_groups: 1, max_rows: 20}
window: {from: $since, until: $until}
cost: {rho: 0.005}
why:
  spend: nobody is known to spend more
"""


@pytest.fixture(scope="session")
def dataset_text() -> str:
    """The contract's `dataset.yaml`, without blocks."""
    return DATASET


@pytest.fixture(scope="session")
def query_text() -> str:
    """The contract's query."""
    return QUERY
