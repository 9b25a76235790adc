"""Feature views as policy: their files planned and applied beside datasets and queries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_running import QUERY, Run

VIEW = """\
view: towns
dataset: shop
title: What towns buy
segment: [town]
queries: [by_town]
per: customers
refresh: 7d
max_age: 30d
monthly: {rho: 0.02}
"""
ANOTHER = QUERY.replace("query: by_town", "query: again_by_town")


@pytest.fixture
def folder(shop: Path) -> Path:
    """The shop's files as they are registered and approved, and a folder of views."""
    made = shop / "queries" / "shop"
    (made / "features").mkdir(parents=True)
    for name in ("dataset", "by_town"):
        shutil.copy(shop / f"{name}.yaml", made / f"{name}.yaml")
    return made


def write(folder: Path, text: str, name: str = "towns") -> Path:
    file = folder / "features" / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def planned(dpstats: Run) -> Any:
    ran = dpstats("plan", "--json")
    told = json.loads(ran.out)
    assert ran.status == (1 if told["refusals"] else 0), ran.err
    return told


def view_of(told: Any) -> Any:
    (found,) = told["views"]
    return found


def names(dpstats: Run) -> list[str]:
    return [item["view"] for item in json.loads(dpstats("features", "list", "--json").done().out)["items"]]


def test_a_view_is_new_then_changed_then_withdrawn_and_each_is_applied(dpstats: Run, folder: Path) -> None:
    file = write(folder, VIEW)
    assert view_of(planned(dpstats))["change"] == "new"
    assert "towns is registered" in dpstats("apply", "--yes").done().out
    assert (view_of(planned(dpstats))["change"], planned(dpstats)["changes"]) == ("unchanged", False)
    write(folder, VIEW.replace("max_age: 30d", "max_age: 20d"))
    told = view_of(planned(dpstats))
    assert (told["change"], told["parts"]) == ("changed", ["max_age"])
    dpstats("apply", "--yes").done()
    file.unlink()
    assert view_of(planned(dpstats))["change"] == "withdrawn"
    assert "towns has no file and stays, unless --prune" in dpstats("apply", "--yes").done().out
    assert names(dpstats) == ["towns"]
    assert "towns is withdrawn" in dpstats("apply", "--yes", "--prune").done().out
    assert (names(dpstats), planned(dpstats)["views"]) == ([], [])
    for command in (("features", "get", "towns"), ("features", "withdraw", "towns"), ("refresh", "towns")):
        dpstats(*command).refused("no view named 'towns'", "dpstats features list")


def test_a_withdrawn_view_comes_back_with_its_file(dpstats: Run, folder: Path) -> None:
    file = write(folder, VIEW)
    dpstats("features", "add", file).done()
    assert "towns is withdrawn" in dpstats("features", "withdraw", "towns").done().out
    assert view_of(planned(dpstats))["change"] == "new"
    dpstats("apply", "--yes").done()
    assert names(dpstats) == ["towns"]


def test_a_year_of_a_view_is_its_renewals_and_at_most_its_monthly_envelopes(dpstats: Run, folder: Path) -> None:
    write(folder, VIEW)
    told = planned(dpstats)
    view, (budget,) = view_of(told), told["budgets"]
    assert (view["cost"]["rho"], view["cost_before"]) == (0.01, None)
    assert (view["year"]["releases"], view["year"]["rho"], view["year"]["held_by_monthly"]) == (53, 0.24, True)
    assert (budget["year"], budget["year_before"]) == (0.25, 0.01)  # the query asked once, and twelve months of 0.02
    out = dpstats("plan").done().out
    for part in ("feature view", "renewed every", "7 days", "by its monthly limit", "1 feature view new"):
        assert part in out
    write(folder, VIEW.replace("refresh: 7d", "refresh: 30d"))
    view = view_of(planned(dpstats))
    assert (view["year"]["releases"], view["year"]["rho"], view["year"]["held_by_monthly"]) == (13, 0.13, False)


def test_a_view_may_come_in_one_step_with_its_query(dpstats: Run, folder: Path) -> None:
    (folder / "again_by_town.yaml").write_text(ANOTHER, encoding="utf-8")
    write(folder, VIEW.replace("[by_town]", "[again_by_town]"))
    told = planned(dpstats)
    assert [item["change"] for item in (*told["queries"], *told["views"])] == ["new", "unchanged", "new"]
    dpstats("apply", "--yes").done()
    assert "renewed" in dpstats("refresh").done().out


def test_a_view_waits_for_a_query_that_was_revoked(dpstats: Run, folder: Path) -> None:
    write(folder, VIEW)
    dpstats("query", "revoke", "by_town").done()
    assert view_of(planned(dpstats))["change"] == "waiting"
    assert "feature view towns: its query by_town was revoked" in dpstats("apply", "--yes").done().out
    assert names(dpstats) == []


def test_a_view_is_told_that_its_query_has_no_file(dpstats: Run, folder: Path) -> None:
    write(folder, VIEW)
    (folder / "by_town.yaml").unlink()
    assert "its query by_town has no file" in view_of(planned(dpstats))["warnings"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[town]", "[day]"), "segment: it must name the keys of the queries"),
        (("per: customers", "per: nobody"), "per: no feature of the view is called nobody"),
        (("[by_town]", "[nothing]"), "there is no query nothing, neither here nor registered"),
        (("dataset: shop", "dataset: nope"), "another dataset than nope"),
        (("max_age: 30d", "max_age: 1d"), "must be at least `refresh`"),
        (("view: towns", "view: other"), "the file's name must be the view's"),
    ],
)
def test_a_view_that_cannot_be_is_refused_and_nothing_is_applied(
    dpstats: Run, folder: Path, change: tuple[str, str], words: str
) -> None:
    write(folder, VIEW.replace(*change))
    assert any(words in reason for reason in planned(dpstats)["refusals"])
    assert dpstats("apply", "--yes").status == 1
    assert names(dpstats) == []


def test_a_view_whose_file_is_wrong_is_not_withdrawn(dpstats: Run, folder: Path) -> None:
    dpstats("features", "add", write(folder, VIEW)).done()
    write(folder, "view: [")
    assert planned(dpstats)["views"] == []
    dpstats("apply", "--yes", "--prune")
    assert names(dpstats) == ["towns"]
