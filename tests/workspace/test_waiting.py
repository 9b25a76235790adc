"""What waits for a steward, and what it takes to decide."""

from __future__ import annotations

from datetime import timedelta

import pytest
from workspace_shop import ME, Shop

from dpstats.errors import Forbidden, NotFound


def states(shop: Shop) -> dict[str, str]:
    return {item["query"]: item["state"] for item in shop.workspace.waiting.all(ME)}


def test_every_way_to_wait_has_a_name_and_what_is_approved_does_not_wait(shop: Shop) -> None:
    shop.approve("approved")
    shop.submit("fresh")
    shop.approve("changed")
    shop.submit("changed", rho=0.02)
    shop.approve("ended")
    shop.workspace.review.revoke(ME, "ended")
    shop.submit("short")
    shop.workspace.review.approve(ME, "short", expires_after=timedelta(days=1))
    shop.wait(days=2)
    assert states(shop) == {"fresh": "new", "changed": "changed", "ended": "revoked", "short": "expired"}


def test_a_new_definition_of_the_dataset_makes_an_approved_text_wait(shop: Shop) -> None:
    shop.approve("spend")
    shop.add_dataset(most=50)
    assert states(shop) == {"spend": "redefined"}
    found = shop.workspace.waiting.one(ME, "spend")
    assert (found["diff"], found["parts"]) == ([], [])
    assert found["cost"] is not None


def test_a_changed_text_is_shown_against_the_one_that_was_approved(shop: Shop) -> None:
    version = shop.approve("spend", rho=0.01)
    shop.submit("spend", rho=0.02, extra="cadence: monthly\n")
    found = shop.workspace.waiting.one(ME, "spend")
    assert found["before"]["query_version"] == version
    assert found["before"]["approved_by"] == "stu"
    assert found["parts"] == ["cadence", "cost.rho"]
    signs = [(line["sign"], line["text"]) for line in found["diff"]]
    assert ("-", "cost: {rho: 0.01}") in signs
    assert ("+", "cost: {rho: 0.02}") in signs
    assert ("+", "cadence: monthly") in signs
    assert (found["cost"]["rho"], found["cost_before"]["rho"]) == (0.02, 0.01)


def test_a_decision_rests_on_proof_price_error_and_a_year(shop: Shop) -> None:
    shop.submit("spend", extra="cadence: monthly\nfresh_for: 7d\n")
    found = shop.workspace.waiting.one(ME, "spend")
    assert found["proof"]
    assert found["measures"]["spend"]["half_width_95"] > 0
    assert found["year"]["charges"] == 12
    assert found["year"]["amount"] == pytest.approx(0.12)
    assert "asked monthly, brings 12 charges" in found["year"]["says"]
    assert all(line["sign"] == "+" for line in found["diff"])
    assert found["before"] is None


def test_a_query_that_its_dataset_no_longer_answers_tells_every_reason(shop: Shop) -> None:
    shop.approve("offers", purpose="personalization")
    file = shop.folder / "dataset.yaml"
    file.write_text(
        file.read_text().replace(
            "bounds: [0, 100], purposes: [measurement, personalization]", "bounds: [0, 100], purposes: [measurement]"
        )
    )
    shop.workspace.datasets.register(ME, file.read_text(), str(file))
    found = shop.workspace.waiting.one(ME, "offers")
    assert found["state"] == "unanswerable"
    assert found["cost"] is None
    assert any("personalization" in reason for reason in found["reasons"])


def test_only_stewards_of_the_dataset_see_what_waits(shop: Shop) -> None:
    shop.submit("spend")
    shop.add_dataset("second")
    with pytest.raises(Forbidden):
        shop.workspace.waiting.all(shop.token("ann", "analyst"))
    elsewhere = shop.token("else", "steward", "second")
    assert shop.workspace.waiting.all(elsewhere) == []
    with pytest.raises(NotFound):
        shop.workspace.waiting.one(elsewhere, "spend")
