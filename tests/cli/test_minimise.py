"""`dpstats minimise report`: what is held and read by no live query, or not explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli_running import Run

SAID = "category: commercial_information, purposes: [measurement], why: told in the test, retention: 395d"


def report(dpstats: Run) -> dict[str, dict[str, Any]]:
    items = json.loads(dpstats("minimise", "report", "--json").done().out)["items"]
    return {f"{item['table']}.{item['column']}": item for item in items}


def test_a_column_is_unread_when_no_approved_query_reads_it(dpstats: Run, shop: Path) -> None:
    assert {name for name, item in report(dpstats).items() if item["unread"]} == set()
    text = (shop / "by_town.yaml").read_text(encoding="utf-8").replace("WHERE v.day >= $since", "")
    text = text.replace(
        "parameters:\n  since: {type: date, min: 2025-01-01, max: 2025-12-31, default: 2025-01-01}\n", ""
    )
    (shop / "by_town.yaml").write_text(text, encoding="utf-8")
    dpstats("query", "approve", "by_town.yaml").done()
    assert {name for name, item in report(dpstats).items() if item["unread"]} == {"visits.day"}
    dpstats("query", "revoke", "by_town").done()
    assert all(item["unread"] for item in report(dpstats).values())
    lines = dpstats("minimise", "report", "shop").done().out.splitlines()
    assert lines[1].startswith("shop: visits.spent: no live query reads it: remove it from dataset.yaml")


def test_the_privacy_unit_of_a_table_that_is_read_is_never_advised_away(dpstats: Run, shop: Path) -> None:
    text = (shop / "by_town.yaml").read_text(encoding="utf-8")
    query = text.partition("sql: |")[0].replace("by_town", "rows")
    counted = (
        "sql: SELECT COUNT(*) AS visits FROM visits WHERE spent > 10\nbounds: {visits: [0, 20]}\ncost: {rho: 0.01}\n"
    )
    (shop / "rows.yaml").write_text(query + counted, encoding="utf-8")
    dpstats("query", "revoke", "by_town").done()
    dpstats("query", "approve", "rows.yaml").done()
    found = {name for name, item in report(dpstats).items() if item["unread"]}
    assert found == {"visits.day", "customers.customer_id", "customers.town"}


def test_what_is_explained_and_read_is_not_in_it(dpstats: Run, shop: Path) -> None:
    assert report(dpstats)["visits.spent"]["unsaid"] == ["category", "purposes", "why", "retention"]
    text = (shop / "dataset.yaml").read_text(encoding="utf-8").replace("unit: USD", f"unit: USD, {SAID}")
    (shop / "dataset.yaml").write_text(text, encoding="utf-8")
    sources = [f"--source={table}={shop / table}.csv" for table in ("visits", "customers")]
    dpstats("dataset", "add", shop / "dataset.yaml", *sources).done()
    dpstats("query", "approve", "by_town.yaml").done()
    assert "visits.spent" not in report(dpstats)


def test_another_dataset_is_not_found(dpstats: Run, shop: Path) -> None:
    dpstats("minimise", "report", "nothing").refused("no dataset named 'nothing'")
