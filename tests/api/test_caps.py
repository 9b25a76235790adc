from __future__ import annotations

from decimal import Decimal

from api_town import ME, Town

CAPS = "/v1/datasets/town/budget/caps"
OTHER = {"since": "2017-02-01"}


def test_a_purpose_s_cap_is_seen_in_previews_and_refuses_by_its_name_until_it_is_ended(town: Town) -> None:
    plain = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={}).json()
    price, before = plain["cost"]["rho"], town.budget()
    set_ = {"purpose": "measurement", "rho": price * 1.5, "reason": "one answer"}
    (made,) = town.ask("PUT", CAPS, role="steward", json=set_).json()["items"]
    assert (made["scope"], made["name"], made["reason"]) == ("purpose", "measurement", "one answer")
    assert town.budget() == before
    tight = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={}).json()
    assert (tight["remaining_like_this"], tight["affordable"], tight["limited_by"]) == (1, True, None)
    refused = None
    for _ in range(2):
        refused = town.ask("POST", "/v1/queries/spend_by_band/releases", role="analyst", json={"reuse": "never"})
    assert refused is not None
    told = refused.json()
    assert (refused.status_code, told["type"]) == (409, "/problems/budget-exhausted")
    assert (told["scope"], told["purpose"], told["requested"]) == ("purpose", "measurement", price)
    over = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={"parameters": OTHER}).json()
    assert (over["remaining_like_this"], over["affordable"]) == (0, False)
    assert over["limited_by"] == {"scope": "purpose", "name": "measurement"}
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


def test_a_preview_and_its_page_name_the_caller_s_own_cap_where_that_does_not_cover_an_answer(town: Town) -> None:
    token = town.workspace.tokens.create(ME, "little", "analyst", cap_rho=Decimal("0.001"))
    told = town.ask("POST", "/v1/queries/spend_by_band/preview", token=token, json={}).json()
    assert (told["affordable"], told["limited_by"]) == (False, {"scope": "token", "name": None})
    with town.browser(token) as browser:
        text = browser.get("/queries/spend_by_band").text
    assert "Your token&#39;s cap does not cover this question." in text
    assert "A steward can make a token with a higher one." in text
