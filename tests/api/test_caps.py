from __future__ import annotations

from api_town import Town

CAPS = "/v1/datasets/town/budget/caps"


def test_a_purpose_s_cap_is_seen_in_previews_and_refuses_by_its_name_until_it_is_ended(town: Town) -> None:
    plain = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={}).json()
    price, before = plain["cost"]["rho"], town.budget()
    set_ = {"purpose": "measurement", "rho": price * 1.5, "reason": "one answer"}
    (made,) = town.ask("PUT", CAPS, role="steward", json=set_).json()["items"]
    assert (made["scope"], made["name"], made["reason"]) == ("purpose", "measurement", "one answer")
    assert town.budget() == before
    tight = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={}).json()
    assert (tight["remaining_like_this"], tight["affordable"]) == (1, True)
    refused = None
    for _ in range(2):
        refused = town.ask("POST", "/v1/queries/spend_by_band/releases", role="analyst", json={"reuse": "never"})
    assert refused is not None
    told = refused.json()
    assert (refused.status_code, told["type"]) == (409, "/problems/budget-exhausted")
    assert (told["scope"], told["purpose"], told["requested"]) == ("purpose", "measurement", price)
    assert (
        town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={}).json()["remaining_like_this"]
        == 0
    )
    ended = town.ask("PUT", CAPS, role="steward", json={"purpose": "measurement", "end": True, "reason": "open"}).json()
    assert ended["items"] == []
    assert [change["rho"] for change in ended["history"]] == [None, set_["rho"]]
    assert (
        town.ask("POST", "/v1/queries/spend_by_band/releases", role="analyst", json={"reuse": "never"}).status_code
        == 201
    )
    entry = town.ask("GET", "/v1/datasets/town/ledger", role="steward").json()["entries"][-1]
    assert (entry["role"], entry["purpose"]) == ("analyst", "measurement")


def test_a_role_s_cap_is_for_that_role_alone(town: Town) -> None:
    town.ask("PUT", CAPS, role="steward", json={"role": "job", "rho": 0, "reason": "not yet"})
    ask = {"reuse": "never"}
    told = town.ask("POST", "/v1/queries/spend_by_band/releases", role="job", json=ask).json()
    assert (told["scope"], told["role"], told["remaining"]) == ("role", "job", 0)
    assert town.ask("POST", "/v1/queries/spend_by_band/releases", role="analyst", json=ask).status_code == 201


def test_what_is_no_cap_is_refused_by_its_place(town: Town) -> None:
    for body in (
        {"role": "analyst", "purpose": "measurement", "rho": 1, "reason": "why"},
        {"rho": 1, "reason": "why"},
        {"role": "analyst", "reason": "why"},
        {"role": "analyst", "rho": 1, "epsilon": 1, "reason": "why"},
        {"role": "analyst", "rho": 1, "end": True, "reason": "why"},
        {"role": "analyst", "epsilon": 1, "reason": "why"},
        {"role": "analyst", "rho": -1, "reason": "why"},
        {"role": "collector", "rho": 1, "reason": "why"},
        {"purpose": "unknown", "rho": 1, "reason": "why"},
        {"purpose": "measurement", "end": True, "reason": "there is none"},
    ):
        refused = town.ask("PUT", CAPS, role="steward", json=body)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-parameters"), body
    assert town.ask("GET", CAPS, role="steward").json()["history"] == []
