"""Where a budget goes, of a workspace with a past."""

from __future__ import annotations

import pytest
from workspace_shop import ME, Shop

from dpstats.errors import Forbidden, NotFound


def names(found: list[dict[str, object]]) -> list[object]:
    return [item["name"] for item in found]


def test_charges_are_added_up_by_query_purpose_role_and_actor(shop: Shop) -> None:
    ann, bot = shop.token("ann", "analyst"), shop.token("bot", "job")
    shop.approve("spend")
    shop.approve("offers", purpose="personalization", rho=0.04)
    for identity, query in ((ann, "spend"), (ann, "spend"), (bot, "offers"), (ME, "spend")):
        shop.ask(identity, query)
    by = shop.workspace.spending.of(ME, "shop")["spent_by"]
    assert names(by["query"]) == ["offers", "spend"]
    assert names(by["purpose"]) == ["personalization", "measurement"]
    assert names(by["role"]) == ["job", "analyst", "no token"]
    assert names(by["actor"]) == ["bot", "ann", "stu"]
    assert [(one["charges"], round(one["amount"], 6)) for one in by["query"]] == [(1, 0.04), (3, 0.03)]
    for found in by.values():
        assert sum(one["share"] for one in found) == pytest.approx(1)


def test_a_charge_keeps_the_purpose_that_its_version_named(shop: Shop) -> None:
    shop.approve("spend", purpose="measurement")
    shop.ask()
    shop.approve("spend", purpose="personalization")
    found = shop.workspace.spending.of(ME, "shop")["spent_by"]["purpose"]
    assert names(found) == ["measurement"]


def test_what_other_datasets_of_the_lineage_charge_is_one_sum_to_whoever_may_not_see_them(shop: Shop) -> None:
    shop.add_dataset("second")
    shop.approve("spend")
    shop.approve("hidden_one", dataset="second")
    shop.ask(ME, "spend")
    shop.ask(shop.token("secret-bot", "job"), "hidden_one")
    here = shop.token("here", "steward", "shop")
    found = shop.workspace.spending.of(here, "shop")
    assert names(found["spent_by"]["query"]) == ["other datasets", "spend"]
    assert "hidden_one" not in str(found)
    assert "secret-bot" not in str(found)
    with pytest.raises(NotFound):
        shop.workspace.spending.of(here, "second")


def test_a_forecast_follows_the_spending_and_tells_its_assumption(shop: Shop) -> None:
    shop.approve("spend")
    shop.ask()
    early = shop.workspace.spending.forecast(ME, "shop")["from_spending"]
    assert early["ends_on"] is None
    assert early["says"].startswith("Too early")
    for _ in range(6):
        shop.wait(days=5)
        shop.ask()
    found = shop.workspace.spending.forecast(ME, "shop")["from_spending"]
    assert (found["days"], found["charges"], found["amount"], found["runs_out"]) == (31, 7, 0.07, "rho")
    assert found["earliest"] < found["ends_on"]
    assert "the 7 charges since 1 March 2026" in found["assumes"]


def test_the_forecast_from_cadences_is_the_approved_queries_years_together(shop: Shop) -> None:
    shop.approve("spend", extra="cadence: monthly\n", rho=0.01)
    shop.approve("offers", purpose="personalization", rho=0.02)
    found = shop.workspace.spending.forecast(ME, "shop")["from_cadences"]
    assert (found["queries"], found["charges"], found["amount"]) == (2, 13, 0.14)
    assert "1 of the 2 name no cadence" in found["assumes"]
    shop.workspace.review.revoke(ME, "offers")
    again = shop.workspace.spending.forecast(ME, "shop")["from_cadences"]
    assert (again["queries"], again["amount"]) == (1, 0.12)


def test_a_grant_shows_in_the_burn_down(shop: Shop) -> None:
    shop.approve("spend")
    shop.wait(days=1)
    shop.ask()
    shop.wait(days=1)
    shop.workspace.budgets.grant(ME, "shop", epsilon=1, reason="a second year")  # type: ignore[arg-type]
    days = shop.workspace.spending.of(ME, "shop")["burn_down"]
    assert [item["day"] for item in days] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert days[0]["granted"] == days[1]["granted"] < days[2]["granted"]
    assert days[1]["remaining"] == pytest.approx(days[0]["remaining"] - 0.01)


@pytest.mark.parametrize("role", ["analyst", "job", "collector"])
def test_only_stewards_see_who_spends(shop: Shop, role: str) -> None:
    other = shop.token("other", role)
    with pytest.raises(Forbidden):
        shop.workspace.spending.of(other, "shop")
    with pytest.raises(Forbidden):
        shop.workspace.spending.forecast(other, "shop")
