"""A small shop's files: a dataset with a public table, and queries for which the audit must find a unit."""

from __future__ import annotations

from pathlib import Path

DATASET = """\
dataset: shop
privacy_unit: customer
budget: {{epsilon: 3.0, delta: {delta}}}
tables:
  visits:
    columns:
      customer: {{type: varchar}}
      product: {{type: bigint}}
      spent: {{type: double, bounds: [0, 100], unit: USD}}
      items: {{type: integer, bounds: [-5, 20]}}
      paid: {{type: 'decimal(8,2)', bounds: [0, 50]}}
      day: {{type: date}}
      at: {{type: timestamp}}
      member: {{type: boolean}}
      till: {{type: uuid}}
  customers:
    one_row_per_unit: true
    columns:
      customer: {{type: varchar}}
      town: {{type: varchar, values: [Ash, "O'Hara", Ørsted]}}
  products:
    public: true
    columns:
      product: {{type: bigint}}
      kind: {{type: varchar}}
  unread:
    columns:
      customer: {{type: varchar}}
"""
BY_TOWN = """\
query: by_town
dataset: shop
sql: |
  SELECT c.town, COUNT(DISTINCT v.customer) AS customers, SUM(v.spent) AS spend
  FROM visits v JOIN customers c USING (customer)
  WHERE v.day >= $since AND v.member
  GROUP BY c.town
parameters:
  since: {type: date, min: 2025-01-01, max: 2025-12-31, default: 2025-02-01}
bounds: {spend: [0, 500]}
cost: {COST}
"""
OF_ONE_KIND = """\
query: of_one_kind
dataset: shop
sql: |
  SELECT COUNT(*) AS visits
  FROM visits v JOIN products p ON p.product = v.product
  WHERE p.kind = $kind AND v.product <> 7
parameters:
  kind: {type: enum, values: [bread, milk]}
bounds: {visits: [0, 30]}
cost: {COST}
"""
AVERAGE = """\
query: average
dataset: shop
sql: SELECT AVG(spent) AS spend FROM visits
contribution: {max_rows: 20}
cost: {COST}
"""
TOWNS_FOUND = """\
query: towns_found
dataset: shop
sql: SELECT town, COUNT(DISTINCT customer) AS customers FROM customers GROUP BY town
keys: {town: {private: true}}
cost: {COST}
"""
QUERIES = {"by_town": BY_TOWN, "of_one_kind": OF_ONE_KIND, "average": AVERAGE, "towns_found": TOWNS_FOUND}


def written(folder: Path, query: str, *, pure: bool = False) -> Path:
    """The file of a query, beside its dataset's."""
    folder.mkdir(exist_ok=True)
    (folder / "dataset.yaml").write_text(DATASET.format(delta="0" if pure else "1.0e-6"), encoding="utf-8")
    file = folder / f"{query}.yaml"
    file.write_text(QUERIES[query].replace("COST", "epsilon: 0.1" if pure else "rho: 0.005"), encoding="utf-8")
    return file
