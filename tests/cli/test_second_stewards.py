from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from cli_running import Run

from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

VISITS = """\
query: visits
dataset: shop
sql: SELECT COUNT(*) AS visits FROM visits
bounds: {visits: [0, 20]}
contribution: {max_groups: 1}
cost: {rho: 0.002}
"""


def shown(dpstats: Run, *args: str) -> Any:
    return json.loads(dpstats(*args, "--json").done().out)


def test_a_grant_past_the_limit_is_said_to_wait_and_its_proposer_cannot_confirm_it(dpstats: Run) -> None:
    said = dpstats("budget", "policy", "--grants-above", "1", "--new-lineages").done().out
    assert said == "two stewards for: grants above epsilon 1, new lineages\n"
    before = shown(dpstats, "budget", "show", "shop")
    said = dpstats("budget", "grant", "shop", "--epsilon", "2", "--reason", "a new year").done().out
    assert "nothing is granted yet" in said
    assert shown(dpstats, "budget", "show", "shop") == before
    (proposal,) = shown(dpstats, "budget", "proposals")["items"]
    assert proposal["proposal_id"] in said
    assert proposal["proposal_id"] in dpstats("budget", "proposals").done().out
    dpstats("budget", "confirm", proposal["proposal_id"]).refused("another steward must confirm it")
    assert "declined" in dpstats("budget", "decline", proposal["proposal_id"]).done().out
    dpstats("budget", "confirm", "nothing").refused("nothing")


def test_a_grant_that_two_stewards_made_names_both_in_the_ledger(dpstats: Run, shop: Path) -> None:
    dpstats("budget", "policy", "--grants-above", "1").done()
    dpstats("budget", "grant", "shop", "--epsilon", "2", "--reason", "a new year").done()
    (proposal,) = shown(dpstats, "budget", "proposals")["items"]
    workspace = Workspace.open(read_settings(home=shop / "home"))
    try:
        sue = workspace.store.tokens.authenticate(workspace.tokens.create(operator("stu"), "sue", "steward"))
        assert sue is not None
        workspace.stewards.confirm(sue, proposal["proposal_id"])
    finally:
        workspace.close()
    assert f"{proposal['proposed_by']} and sue" in dpstats("ledger", "list", "shop").done().out


def test_a_laxer_policy_waits_for_another_steward(dpstats: Run) -> None:
    assert dpstats("budget", "policy").done().out == "two stewards for: nothing\n"
    dpstats("budget", "policy", "--approvals-above", "0.1", "--sensitive").done()
    strict = shown(dpstats, "budget", "policy")
    assert "nothing is changed yet" in dpstats("budget", "policy", "--approvals-above", "never").done().out
    assert shown(dpstats, "budget", "policy") == strict
    assert shown(dpstats, "budget", "proposals")["items"][0]["asks"]["approvals_above"] is None
    dpstats("budget", "policy", "--grants-above", "soon").wrong_usage("soon")


def test_applying_files_proposes_what_takes_two_stewards(dpstats: Run, shop: Path) -> None:
    folder = shop / "queries" / "shop"
    folder.mkdir(parents=True)
    for name in ("dataset", "by_town"):
        shutil.copy(shop / f"{name}.yaml", folder / f"{name}.yaml")
    (folder / "visits.yaml").write_text(VISITS, encoding="utf-8")
    dpstats("budget", "policy", "--approvals-above", "0").done()
    for _ in range(2):
        assert "visits is not approved yet: it takes two stewards" in dpstats("apply", folder, "--yes").done().out
    (proposal,) = shown(dpstats, "budget", "proposals")["items"]
    assert (proposal["kind"], proposal["subject"]) == ("approval", "visits")
