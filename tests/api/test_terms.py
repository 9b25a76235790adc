"""Recipients' terms: off until a steward publishes some; then nobody is given data before accepting the version in
force, and a new version asks everybody again."""

from __future__ import annotations

import hashlib

import pytest
from api_town import ME, Town

from dpstats.api.answers_people import TermsAccepted
from dpstats.client import Client
from dpstats.client.errors import Forbidden as ClientForbidden

TEXT = "Nobody tries to find out whom a number is about.\n"
DATA = [
    ("POST", "/v1/queries/spend_by_band/releases"),
    ("POST", "/v1/queries/spend_by_band/preview"),
    ("POST", "/v1/features"),
    ("GET", "/v1/features/bands"),
    ("GET", "/v1/releases"),
    ("GET", "/v1/releases/RELEASE"),
]
BODIES = {"/v1/features": {"queries": ["spend_by_band"]}}


def statuses(town: Town, role: str, release: str) -> set[int]:
    found = set()
    for method, path in DATA:
        sent = {"json": BODIES.get(path, {})} if method == "POST" else {}
        answer = town.ask(method, path.replace("RELEASE", release), role=role, **sent)
        found.add(answer.status_code)
        if answer.status_code == 403:
            assert answer.json()["type"] == "/problems/forbidden"
            assert "/v1/terms/acceptance" in answer.json()["detail"]
    return found


def test_where_none_are_published_a_token_works_at_once(quiet_town: Town) -> None:
    assert quiet_town.run().status_code in {200, 201}
    found = quiet_town.ask("GET", "/v1/terms", role="analyst").json()
    assert (found["version"], found["owed"]) == (None, False)
    assert "Nobody is asked" in quiet_town.ask("GET", "/terms").text


def test_a_new_version_shuts_every_token_out_until_it_is_accepted(town: Town) -> None:
    release = town.run().json()["release_id"]
    for version, text in ((1, TEXT), (2, TEXT + "Nor lets others try.\n")):
        town.workspace.terms.publish(ME, text)
        for role in ("analyst", "job", "steward"):
            assert statuses(town, role, release) == {403}
            served = town.ask("GET", "/v1/terms", role=role).json()
            assert (served["version"], served["owed"]) == (version, True)
            accepted = town.ask("POST", "/v1/terms/acceptance", role=role, json={"version": version})
            again = town.ask("POST", "/v1/terms/acceptance", role=role, json={"version": version})
            assert accepted.json() == again.json()
            assert accepted.json()["sha256"] == "sha256:" + hashlib.sha256(served["text"].encode()).hexdigest()
            assert 403 not in statuses(town, role, release)
            assert not town.ask("GET", "/v1/terms", role=role).json()["owed"]
            TermsAccepted.model_validate_json(accepted.content, strict=True)
    log = town.workspace.terms.acceptances(ME)
    assert {(each["token"], each["version"]) for each in log} == {
        (role, version) for role in ("analyst", "job", "steward") for version in (1, 2)
    }
    assert {each["accepted_by"] for each in log} == {"analyst", "job", "steward"}


def test_the_same_text_again_asks_nobody_again(town: Town) -> None:
    town.workspace.terms.publish(ME, TEXT)
    town.ask("POST", "/v1/terms/acceptance", role="analyst", json={"version": 1})
    town.workspace.terms.publish(ME, TEXT)
    assert town.run(role="analyst").status_code == 201


def test_a_version_that_is_not_in_force_is_not_accepted(town: Town) -> None:
    town.workspace.terms.publish(ME, TEXT)
    for version, status in ((2, 409), (0, 422), (True, 422), ("1", 422)):
        answer = town.ask("POST", "/v1/terms/acceptance", role="analyst", json={"version": version})
        assert answer.status_code == status
    assert town.run(role="analyst").status_code == 403


def test_what_gives_no_data_needs_no_acceptance(town: Town) -> None:
    town.workspace.terms.publish(ME, TEXT)
    for path in ("/v1/datasets", "/v1/queries", "/v1/datasets/town/budget"):
        assert town.ask("GET", path, role="analyst").status_code == 200
    event = {"dataset": "town", "unit": 7, "purpose": "all_sale_share", "decision": "opt_out", "event_id": "e1"}
    assert town.ask("POST", "/v1/consent/events", role="collector", json=event).status_code == 202


def test_a_steward_accepts_for_a_tokens_holder_and_is_named(town: Town) -> None:
    town.workspace.terms.publish(ME, TEXT)
    town.token("job")
    town.workspace.terms.accept_for(ME, "job")
    assert town.run(role="job").status_code == 201
    assert town.workspace.terms.acceptances(ME)[0]["accepted_by"] == ME.name


def test_the_client_reads_and_accepts_them(town: Town) -> None:
    town.workspace.terms.publish(ME, TEXT)
    with Client("http://town", town.token("analyst"), transport=town.transport) as client:
        with pytest.raises(ClientForbidden):
            client.run("spend_by_band")
        client.accept_terms(client.terms()["version"])
        assert client.run("spend_by_band").rows


def test_a_browser_accepts_them_by_a_tick_or_on_their_page(town: Town) -> None:
    town.workspace.terms.publish(ME, "<b>Promise</b> nothing else\n")
    with town.browser() as outside:
        assert 'name="terms" value="1"' in outside.get("/").text
        assert "&lt;b&gt;Promise" in outside.get("/terms").text
    with town.browser(town.token("analyst")) as browser:
        shut = browser.get("/releases")
        assert shut.status_code == 403
        assert "I accept version 1" in shut.text
        done = browser.post("/terms", data=browser.fields(version="1"), follow_redirects=True)
        assert "You accepted version 1" in done.text
        assert browser.get("/releases").status_code == 200
    with town.browser() as ticking:
        ticking.post("/sign-in", data=ticking.fields(token=town.token("job"), terms="1"))
        assert ticking.get("/releases").status_code == 200
    with town.browser() as stale:
        stale.post("/sign-in", data=stale.fields(token=town.token("steward"), terms="7"))
        assert stale.get("/releases").status_code == 403
