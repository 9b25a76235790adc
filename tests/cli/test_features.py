"""`dpstats features` and `dpstats refresh`: a view from its file to a feature store's, in the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cli_running import Run

VIEW = """\
view: towns
dataset: shop
title: What towns buy
segment: [town]
queries: [by_town]
per: customers
refresh: 7d
max_age: 30d
monthly: {rho: 0.01}
"""


@pytest.fixture
def view(shop: Path) -> Path:
    (shop / "features").mkdir()
    file = shop / "features" / "towns.yaml"
    file.write_text(VIEW, encoding="utf-8")
    return file


def test_a_view_goes_from_its_file_to_a_table_and_to_a_feature_store(dpstats: Run, view: Path, shop: Path) -> None:
    assert "towns is registered" in dpstats("features", "add", view).done().out
    assert "towns" in dpstats("features", "list").done().out
    assert "at most rho 0.01 in a calendar month" in dpstats("features", "show", "towns").done().out
    dpstats("features", "get", "towns").refused("was not released yet", "dpstats refresh towns")
    assert "renewed" in dpstats("refresh").done().out
    assert "it is due on" in dpstats("refresh", "towns").done().out
    shown = dpstats("features", "get", "towns").done().out
    assert "Ash" in shown
    assert "Brackets hold 95 % intervals" in shown
    rows = json.loads(dpstats("features", "get", "towns", "--format", "json").done().out)["rows"]
    assert len(rows) == 3
    dpstats("features", "export", "towns", "--out", shop / "towns.parquet").done()
    assert pq.read_table(shop / "towns.parquet").num_rows == 3
    assert "SELECT DISTINCT" in dpstats("features", "segments", "towns").done().out


def test_a_refresh_that_cannot_be_paid_says_so_and_ends_with_1(dpstats: Run, view: Path) -> None:
    view.write_text(VIEW.replace("0.01", "0.001"), encoding="utf-8")
    dpstats("features", "add", view).done()
    ended = dpstats("refresh", "--json")
    assert ended.status == 1
    (found,) = json.loads(ended.out)["items"]
    assert found["state"] == "refused"
    assert "the envelope's privacy budget does not cover this" in found["why"]
    assert len(json.loads(dpstats("ledger", "list", "shop", "--json").done().out)["entries"]) == 1


def test_without_views_both_say_how_to_make_one(dpstats: Run) -> None:
    for command in (("features", "list"), ("refresh",)):
        assert "dpstats features add FILE" in dpstats(*command).done().err


def test_blocks_are_refused_for_a_dataset_that_has_none(dpstats: Run, shop: Path) -> None:
    source = f"--source=visits={shop / 'visits.csv'}"
    dpstats("dataset", "load", "shop", source, "--blocks", "2025-01", "2025-02").refused("has no blocks")


def test_a_plan_takes_no_view_for_a_query(dpstats: Run, view: Path, shop: Path) -> None:
    told = json.loads(dpstats("plan", shop, "--json").out)
    assert "towns" not in {item["query"] for item in told["queries"]}
