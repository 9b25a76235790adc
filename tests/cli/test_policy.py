"""Files as policy: what a folder would change, and carrying it out."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cli_running import DATASET, QUERY, REFUSED, Run

MORE = """\
query: visits
dataset: shop
sql: SELECT COUNT(*) AS visits FROM visits
bounds: {visits: [0, 20]}
contribution: {max_groups: 1}
cost: {rho: 0.002}
cadence: monthly
"""
FROM_TABLE = """\
query: by_area
dataset: shop
sql: SELECT a.area, COUNT(*) AS n FROM visits v JOIN areas a ON a.day = v.day GROUP BY a.area
keys: {area: {from: areas.area}}
bounds: {n: [0, 20]}
contribution: {max_groups: 1}
cost: {rho: 0.002}
"""
AREAS = "  areas: {public: true, columns: {area: {type: varchar}, day: {type: date}}}\n"


@pytest.fixture
def folder(shop: Path) -> Path:
    """The shop's files as they are registered and approved."""
    made = shop / "queries" / "shop"
    made.mkdir(parents=True)
    for name in ("dataset", "by_town"):
        shutil.copy(shop / f"{name}.yaml", made / f"{name}.yaml")
    return made


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def planned(dpstats: Run, *args: object) -> Any:
    ran = dpstats("plan", *args, "--json")
    told = json.loads(ran.out)
    assert ran.status == (1 if told["refusals"] else 0), ran.err
    return told


def changes(told: Any) -> dict[str, str]:
    return {item["query"]: item["change"] for item in told["queries"]}


def registered(dpstats: Run) -> Any:
    return [json.loads(dpstats(what, "list", "--json").done().out) for what in ("dataset", "query")]


# -- plan ------------------------------------------------------------------------------------------------------


def test_files_that_are_registered_and_approved_change_nothing(dpstats: Run, folder: Path) -> None:
    told = planned(dpstats)
    assert (told["changes"], told["refusals"], changes(told)) == (False, [], {"by_town": "unchanged"})
    assert told["datasets"][0]["change"] == "unchanged"
    assert changes(planned(dpstats, folder)) == changes(told)


def test_layout_and_comments_are_no_change(dpstats: Run, folder: Path) -> None:
    write(folder, "by_town", f"# by town\n{QUERY}")
    write(folder, "dataset", f"# the shop\n{DATASET}")
    assert planned(dpstats)["changes"] is False


def test_new_changed_and_withdrawn_queries_are_told_with_price_error_and_year(dpstats: Run, folder: Path) -> None:
    dpstats("query", "approve", _file(folder.parent.parent, "visits", MORE)).done()
    write(folder, "by_town", QUERY.replace("rho: 0.01", "rho: 0.02") + "cadence: weekly\n")
    write(folder, "visits_2", MORE.replace("query: visits", "query: visits_2"))
    told = planned(dpstats)
    assert changes(told) == {"by_town": "changed", "visits": "withdrawn", "visits_2": "new"}
    changed, _, new = told["queries"]
    assert (changed["parts"], changed["cost"]["rho"], changed["cost_before"]["rho"]) == (
        ["cadence", "cost.rho"],
        0.02,
        0.01,
    )
    assert (changed["year"]["charges"], changed["year"]["rho"]) == (11, 0.22)  # free while it is fresh, 30 days
    assert changed["measures"]["customers"]["half_width_95"] == 14
    assert (new["cost_before"], new["year"]["charges"], new["year"]["rho"]) == (None, 12, 0.024)
    out = dpstats("plan").done().out
    for part in ("changed (cadence, cost.rho)", "0.01 -> 0.02", "customers ± 14", "weekly", "visits has no file"):
        assert part in out


def _file(folder: Path, name: str, text: str) -> Path:
    write(folder, name, text)
    return folder / f"{name}.yaml"


def test_a_year_is_set_against_what_is_left(dpstats: Run, folder: Path) -> None:
    dpstats("query", "run", "by_town").done()
    (budget,) = planned(dpstats)["budgets"]
    assert (budget["measure"], budget["year"], budget["year_before"], budget["covered"]) == ("rho", 0.01, 0.01, True)
    assert (budget["remaining"], budget["epsilon_spent"]) == (0.165749908689, 0.643)
    assert budget["epsilon_spent"] < budget["epsilon_after_year"] < budget["epsilon_cap"] == 3
    write(folder, "by_town", QUERY.replace("rho: 0.01", "rho: 0.02") + "cadence: monthly\n")
    (budget,) = planned(dpstats)["budgets"]
    assert (budget["year"], budget["covered"], budget["days"]) == (0.24, False, 365 * 165749908689 // 240000000000)
    assert "more than is left, which does for 252 days" in dpstats("plan").done().out


def test_a_changed_dataset_names_the_approvals_that_it_ends(dpstats: Run, folder: Path) -> None:
    dpstats("query", "approve", _file(folder, "visits", MORE)).done()
    write(folder, "dataset", DATASET.replace("bounds: [0, 100]", "bounds: [0, 80]"))
    told = planned(dpstats)
    (dataset,) = told["datasets"]
    assert (dataset["change"], dataset["parts"]) == ("changed", ["tables.visits.columns.spent.bounds"])
    assert (dataset["ends_approval_of"], dataset["load"]) == (["by_town"], False)
    assert changes(told) == {"by_town": "changed", "visits": "unchanged"}
    assert "ends the approval of by_town\n" in dpstats("plan").done().out


def test_a_plan_changes_nothing(dpstats: Run, folder: Path) -> None:
    before = registered(dpstats), dpstats("ledger", "export", "shop").done().out
    write(folder, "visits", MORE)
    write(folder, "dataset", DATASET.replace("bounds: [0, 100]", "bounds: [0, 80]"))
    (folder.parent / "other").mkdir()
    write(folder.parent / "other", "dataset", DATASET.replace("dataset: shop", "dataset: other"))
    assert [item["change"] for item in planned(dpstats)["datasets"]] == ["new", "changed"]
    assert (registered(dpstats), dpstats("ledger", "export", "shop").done().out) == before
    assert json.loads(dpstats("ledger", "verify", "--json").done().out)["lineages"] == ["shop"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("refused", REFUSED, "the values of the key day are not declared"),
        ("visits", MORE.replace("sql:", "sqll:"), "there is no such key"),
        ("another", MORE, "the file's name must be the query's"),
        ("visits", MORE.replace("dataset: shop", "dataset: nope"), "beside the file of shop"),
        ("dataset", DATASET.replace("epsilon: 3.0", "epsilon: 4.0"), "raising is a grant"),
        ("dataset", DATASET.replace("1.0e-6", "0"), "is fixed at measure"),
        ("dataset", DATASET + "lineage: others\n", "write lineage: shop"),
        ("dataset", DATASET.replace("tables:", "tabels:"), "there is no such key"),
    ],
)
def test_what_is_refused_is_told_with_its_reason_and_nothing_is_applied(
    dpstats: Run, folder: Path, name: str, text: str, words: str
) -> None:
    write(folder, "new", MORE.replace("query: visits", "query: new"))
    write(folder, name, text)
    before = registered(dpstats)
    assert any(words in reason for reason in planned(dpstats)["refusals"])
    ran = dpstats("apply", "--yes", "--prune")
    assert ran.status == 1
    assert words in ran.out
    ran.one_line("nothing is changed")
    assert registered(dpstats) == before
    ran = dpstats("plan")
    assert (ran.status, ran.out.endswith(": nothing is applied\n")) == (1, True)
    ran.one_line("nothing would be applied")


def test_a_query_whose_file_is_wrong_is_not_withdrawn(dpstats: Run, folder: Path) -> None:
    write(folder, "by_town", "query: [")
    assert changes(planned(dpstats)) == {}
    dpstats("apply", "--yes", "--prune")
    dpstats("query", "run", "by_town").done()


def test_two_files_of_one_name_are_refused(dpstats: Run, folder: Path) -> None:
    (folder.parent / "twin").mkdir()
    write(folder.parent / "twin", "by_town", QUERY)
    assert "is in queries/shop/by_town.yaml already" in planned(dpstats)["refusals"][0]


def test_a_folder_that_is_not_there_or_is_empty_is_refused(dpstats: Run, folder: Path) -> None:
    dpstats("plan", "nope").refused("no such folder")
    (folder / "empty").mkdir()
    dpstats("plan", folder / "empty").refused("no YAML file")


# -- apply -----------------------------------------------------------------------------------------------------


def test_apply_does_what_the_plan_shows_and_then_there_is_nothing_left_to_do(dpstats: Run, folder: Path) -> None:
    write(folder, "dataset", DATASET.replace("bounds: [0, 100]", "bounds: [0, 80]") + "approvals_expire: 180d\n")
    write(folder, "by_town", QUERY.replace("rho: 0.01", "rho: 0.02"))
    write(folder, "visits", MORE)
    out = dpstats("apply", "--yes").done().out
    for part in ("dataset shop is registered", "query by_town is approved until", "query visits is approved until"):
        assert part in out
    told = planned(dpstats)
    assert (told["changes"], set(changes(told).values())) == (False, {"unchanged"})
    assert "nothing to do" in dpstats("apply").done().out
    assert json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)["cost"]["rho"] == 0.02


def test_a_withdrawn_query_is_revoked_only_with_prune_and_no_file_brings_it_back(dpstats: Run, folder: Path) -> None:
    dpstats("query", "approve", _file(folder, "visits", MORE)).done()
    (folder / "visits.yaml").unlink()
    dpstats("apply", "--yes").done()
    dpstats("query", "run", "visits").done()
    assert "query visits is revoked" in dpstats("apply", "--yes", "--prune").done().out
    dpstats("query", "run", "visits").refused("not approved")
    assert changes(planned(dpstats)) == {"by_town": "unchanged"}
    write(folder, "visits", MORE)
    assert changes(planned(dpstats))["visits"] == "revoked"
    assert "visits was revoked" in dpstats("apply", "--yes").done().out
    dpstats("query", "run", "visits").refused("not approved")


def test_a_folder_without_the_dataset_s_file_withdraws_nothing(dpstats: Run, folder: Path) -> None:
    (folder / "dataset.yaml").unlink()
    (folder / "by_town.yaml").unlink()
    write(folder, "visits", MORE)
    assert changes(planned(dpstats)) == {"visits": "new"}
    dpstats("apply", "--yes", "--prune").done()
    dpstats("query", "run", "by_town").done()


def test_nothing_is_done_unasked(dpstats: Run, folder: Path) -> None:
    write(folder, "visits", MORE)
    ran = dpstats("apply")
    assert ran.status == 1
    ran.one_line("say --yes")
    assert changes(planned(dpstats))["visits"] == "new"


def test_a_new_dataset_is_registered_without_data_and_answers_once_it_is_loaded(anywhere: Run, folder: Path) -> None:
    anywhere("--home", "new", "init").done()
    told = json.loads(anywhere("--home", "new", "plan", "--json").done().out)
    assert (told["datasets"][0]["change"], told["datasets"][0]["load"]) == ("new", True)
    assert told["budgets"][0]["epsilon_cap"] == 3
    anywhere("--home", "new", "apply", "--yes").done()
    anywhere("--home", "new", "query", "run", "by_town").refused("not loaded")
    anywhere("--home", "new", "dataset", "load", "shop", "visits=visits.csv", "customers=customers.csv").done()
    anywhere("--home", "new", "query", "run", "by_town").done()


def test_a_query_that_needs_a_public_table_waits_until_it_is_loaded(dpstats: Run, folder: Path) -> None:
    write(folder, "dataset", DATASET + AREAS)
    write(folder, "by_area", FROM_TABLE)
    Path("areas.csv").write_text("area,day\nN,2025-01-15\nS,2025-02-15\n", encoding="utf-8")
    assert changes(planned(dpstats)) == {"by_area": "waiting", "by_town": "unchanged"}
    assert "by_area: its keys come from a public table" in dpstats("apply", "--yes").done().out
    assert changes(planned(dpstats))["by_area"] == "waiting"
    dpstats("dataset", "load", "shop", "areas=areas.csv", "visits=visits.csv", "customers=customers.csv").done()
    assert changes(planned(dpstats))["by_area"] == "new"
    dpstats("apply", "--yes").done()
    dpstats("query", "run", "by_area").done()


# -- approvals that end ----------------------------------------------------------------------------------------


def test_an_approval_that_ends_is_shown_with_its_end(dpstats: Run, folder: Path) -> None:
    dpstats("query", "approve", "by_town", "--expires", "90d").done()
    assert "approved until 20" in dpstats("query", "list").done().out
    assert "approved until 20" in dpstats("query", "show", "by_town").done().out
    assert json.loads(dpstats("query", "show", "by_town", "--json").done().out)["approvals"][-1]["expires_at"]
    dpstats("query", "approve", "by_town", "--expires", "soon").wrong_usage("must be a time like 30d")


def test_the_dataset_s_limit_is_not_outlasted(dpstats: Run, folder: Path) -> None:
    write(folder, "dataset", DATASET + "approvals_expire: 2d\n")
    dpstats("apply", "--yes").done()
    for given in ((), ("--expires", "90d"), ("--expires", "1m")):
        dpstats("query", "approve", "by_town", *given).done()
    *_, plain, long, short = json.loads(dpstats("query", "show", "by_town", "--json").done().out)["approvals"]
    assert [_minutes(item) for item in (plain, long, short)] == [2880, 2880, 1]


def _minutes(approval: dict[str, str]) -> int:
    at, until = (datetime.fromisoformat(approval[key]) for key in ("approved_at", "expires_at"))
    return int((until - at).total_seconds() // 60)
