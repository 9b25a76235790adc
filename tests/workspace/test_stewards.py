from __future__ import annotations

from decimal import Decimal

import pytest
from workspace_shop import DATASET, ME, Shop

from dpstats.errors import Conflict, Forbidden, NotFound, SecondStewardNeeded
from dpstats.workspace.stewards import NewPolicy, is_proposal


def test_a_grant_past_the_limit_waits_for_another_steward(shop: Shop) -> None:
    stewards, budgets = shop.workspace.stewards, shop.workspace.budgets
    told = stewards.set_policy(ME, NewPolicy(grants_above=Decimal(1)))
    assert told == stewards.policy(ME)
    assert told["grants_above"] == 1.0
    assert not is_proposal(budgets.grant(ME, "shop", rho=None, epsilon=Decimal("0.5"), reason="a little"))
    made = budgets.grant(ME, "shop", rho=None, epsilon=Decimal(2), reason="a lot")
    assert is_proposal(made)
    assert made["asks"]["epsilon"] == 2.0
    assert budgets.one(ME, "shop")["epsilon"] == 3.5
    with pytest.raises(Conflict):
        stewards.confirm(ME, made["proposal_id"])
    assert stewards.confirm(shop.token("sue", "steward", "shop"), made["proposal_id"])["decided_by"] == "sue"
    assert budgets.one(ME, "shop")["epsilon"] == 5.5
    newest = budgets.entries(ME, "shop")["entries"][-1]
    assert (newest["actor"], newest["confirmed_by"]) == (ME.name, "sue")


def test_a_new_lineage_is_loaded_once_two_stewards_want_it(shop: Shop) -> None:
    shop.workspace.stewards.set_policy(ME, NewPolicy(new_lineages=True))
    file = shop.folder / "other.yaml"
    file.write_text(DATASET.format(name="other", most=100).replace("lineage: shop", "lineage: other"))
    sources = {"visits": shop.folder / "visits.csv"}
    for _ in range(2):
        with pytest.raises(SecondStewardNeeded) as needed:
            shop.workspace.datasets.add(ME, file, sources)
    (waiting,) = shop.workspace.stewards.all(ME)
    assert needed.value.proposal == waiting["proposal_id"]
    assert [item["dataset"] for item in shop.workspace.datasets.all(ME)] == ["shop"]
    shop.workspace.stewards.confirm(shop.token("sue", "steward"), waiting["proposal_id"])
    shop.workspace.datasets.add(ME, file, sources)
    assert len(shop.workspace.datasets.all(ME)) == 2


def test_a_dear_query_is_approved_by_two(shop: Shop) -> None:
    shop.workspace.stewards.set_policy(ME, NewPolicy(approvals_above=Decimal("0.1")))
    version = shop.submit(rho=0.01)
    with pytest.raises(SecondStewardNeeded):
        shop.workspace.review.approve(ME, "spend", version)
    assert not shop.workspace.review.all(ME, approved_only=True)
    (waiting,) = shop.workspace.stewards.all(ME)
    shop.workspace.stewards.confirm(shop.token("sue", "steward"), waiting["proposal_id"])
    (approved,) = shop.workspace.review.all(ME, approved_only=True)
    assert approved["approvals"][-1]["confirmed_by"] == "sue"


def test_a_cheap_query_is_approved_by_one(shop: Shop) -> None:
    shop.workspace.stewards.set_policy(ME, NewPolicy(approvals_above=Decimal(1), sensitive=True))
    shop.approve(rho=0.01)
    assert shop.workspace.review.all(ME, approved_only=True)


def test_a_steward_of_some_datasets_decides_on_these_alone(shop: Shop) -> None:
    stewards = shop.workspace.stewards
    stewards.set_policy(ME, NewPolicy(grants_above=Decimal(0)))
    relaxing = stewards.set_policy(ME, NewPolicy(grants_above=Decimal("Infinity")))
    grant = shop.workspace.budgets.grant(ME, "shop", rho=None, epsilon=Decimal(1), reason="more")
    ours, theirs = shop.token("ours", "steward", "shop"), shop.token("analyst", "analyst")
    assert [item["proposal_id"] for item in stewards.all(ours)] == [grant["proposal_id"]]
    for decide in (stewards.confirm, stewards.decline):
        with pytest.raises(NotFound):
            decide(ours, relaxing["proposal_id"])
        with pytest.raises(Forbidden):
            decide(theirs, grant["proposal_id"])
    with pytest.raises(Forbidden):
        stewards.set_policy(ours, NewPolicy(new_lineages=True))
    assert stewards.decline(ours, grant["proposal_id"])["outcome"] == "declined"
