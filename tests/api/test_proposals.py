from __future__ import annotations

from decimal import Decimal

from api_town import ME, Town

from dpstats.workspace.stewards import NewPolicy

GRANTS = "/v1/datasets/town/budget/grants"
MORE = {"epsilon": 1, "reason": "more"}


def test_a_grant_past_the_limit_is_accepted_and_made_once_another_steward_confirms(town: Town) -> None:
    town.workspace.stewards.set_policy(ME, NewPolicy(grants_above=Decimal(0)))
    first, second = (town.workspace.tokens.create(ME, name, "steward") for name in ("first", "second"))
    before = town.budget()
    made = town.ask("POST", GRANTS, token=first, json=MORE)
    proposal = made.json()
    assert (made.status_code, proposal["outcome"], proposal["asks"]["epsilon"]) == (202, "pending", 1.0)
    assert town.ask("GET", "/v1/proposals", token=second).json()["items"] == [proposal]
    assert town.budget() == before
    confirm = f"/v1/proposals/{proposal['proposal_id']}/confirm"
    assert town.ask("POST", confirm, token=first).json()["type"] == "/problems/conflict"
    assert town.budget() == before
    assert town.ask("POST", confirm, token=second).json()["outcome"] == "confirmed"
    assert town.ask("POST", confirm, token=second).status_code == 409
    assert town.budget()["epsilon"] == before["epsilon"] + 1
    entry = town.ask("GET", "/v1/datasets/town/ledger", token=first).json()["entries"][-1]
    assert (entry["actor"], entry["confirmed_by"]) == ("first", "second")


def test_the_approval_of_a_dear_query_is_a_conflict_that_names_its_proposal(town: Town) -> None:
    town.workspace.stewards.set_policy(ME, NewPolicy(approvals_above=Decimal(0)))
    version = town.workspace.review.one(ME, "draft")["query_version"]
    refused = town.ask("POST", "/v1/queries/draft/approvals", role="steward", json={"version": version})
    (proposal,) = town.ask("GET", "/v1/proposals", role="steward").json()["items"]
    assert refused.status_code == 409
    assert proposal["proposal_id"] in refused.json()["detail"]
    decline = f"/v1/proposals/{proposal['proposal_id']}/decline"
    assert town.ask("POST", decline, role="steward").json()["outcome"] == "declined"
