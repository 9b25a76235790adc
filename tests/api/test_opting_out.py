"""Saying no needs an id and one button: no account, no question, nothing else kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from api_town import ME, Town, opened

from dpstats.rights.intake import ID_MAX


def receipt_of(text: str) -> str:
    found = re.search(r"/opt-out/(no_[0-9a-f]{32})", text)
    assert found
    return found[1]


def test_one_form_with_one_field_is_all(town: Town) -> None:
    with town.browser() as browser:
        form = browser.request("GET", "/opt-out").text
        assert re.findall(r'<input[^>]* name="(\w+)"', form) == ["proof", "unit"]
        done = browser.request("POST", "/opt-out", data=browser.fields(unit="1"))
        assert done.status_code == 200
        assert "Your no is kept" in done.text
        assert "Your no is kept" in browser.request("GET", f"/opt-out/{receipt_of(done.text)}").text


def test_it_is_processed_once_an_epoch_holds_it(town: Town) -> None:
    receipt = town.workspace.opting_out.refuse("1")
    assert town.workspace.opting_out.status(receipt)["state"] == "received"
    town.workspace.epochs.close(ME)
    status = town.workspace.opting_out.status(receipt)
    assert (status["state"], bool(status["processed_at"])) == ("processed", True)
    assert "Your no is in force" in town.ask("GET", f"/opt-out/{receipt}").text


def test_anything_more_than_an_id_is_refused_and_kept_nowhere(town: Town) -> None:
    with town.browser() as browser:
        answer = browser.request("POST", "/opt-out", data=browser.fields(unit="1", name="Ann Canary"))
        assert answer.status_code == 422
    kept = b"".join(path.read_bytes() for path in town.workspace.home.rglob("*") if path.is_file())
    assert b"Ann Canary" not in kept


def test_a_known_and_an_unknown_id_are_told_the_same(town: Town) -> None:
    with town.browser() as browser:
        sent = [browser.request("POST", "/opt-out", data=browser.fields(unit=unit)) for unit in ("1", "987654321")]
    plain = [re.sub(r"no_[0-9a-f]{32}|\d+:\d+|[0-9a-f]{64}", "", answer.text) for answer in sent]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("unit", ["", "  ", "x" * (ID_MAX + 1)])
def test_what_is_no_id_is_told_beside_the_field(town: Town, unit: str) -> None:
    with town.browser() as browser:
        answer = browser.request("POST", "/opt-out", data=browser.fields(unit=unit))
    assert answer.status_code == 422
    assert "The id must be an id" in answer.text


def test_a_form_from_elsewhere_is_refused(town: Town) -> None:
    with town.browser() as browser:
        refused = browser.request("POST", "/opt-out", data={"unit": "1"})
        assert refused.status_code == 403
        assert "with cookies allowed" in refused.text


def test_a_browsers_own_signal_is_shown_and_kept_as_such(town: Town) -> None:
    with town.browser() as browser:
        page = browser.request("GET", "/opt-out", headers={"Sec-GPC": "1"}).text
        assert "Global Privacy Control" in page
        for other in ("0", "", "true", "1, 1"):
            assert "it asks for the same" not in browser.request("GET", "/opt-out", headers={"Sec-GPC": other}).text


def test_made_up_receipts_are_not_there(town: Town) -> None:
    for receipt in ("no_" + "0" * 32, "x", "no_"):
        assert town.ask("GET", f"/opt-out/{receipt}").status_code == 404


def test_a_refusal_that_a_site_sends_on_has_a_receipt_whose_status_the_site_and_everybody_can_show(town: Town) -> None:
    """11 CCR 7025(c)(6): that a signal was processed is shown, and not before an epoch holds it."""
    signal = {"dataset": "town", "units": [3], "gpc": "1", "event_id": "visit 3"}
    first, again = (town.ask("POST", "/v1/consent/signals", role="collector", json=signal).json() for _ in range(2))
    assert first["receipt"] == again["receipt"]
    assert (
        town.ask("POST", "/v1/consent/signals", role="collector", json=signal | {"gpc": "0"}).json()["receipt"] is None
    )
    event = {"dataset": "town", "unit": 4, "purpose": "limit_spi", "decision": "opt_out", "event_id": "form 4"}
    limit = town.ask("POST", "/v1/consent/events", role="collector", json=event).json()["items"][0]["receipt"]
    for receipt in (first["receipt"], limit):
        asked = f"/v1/consent/receipts/{receipt}"
        assert town.ask("GET", asked, role="collector").json()["state"] == "received"
    town.workspace.epochs.close(ME)
    for receipt in (first["receipt"], limit):
        told = town.ask("GET", f"/v1/consent/receipts/{receipt}", role="collector").json()
        assert (told["state"], bool(told["processed_at"])) == ("processed", True)
        assert "Your no is in force" in town.ask("GET", f"/opt-out/{receipt}").text
        assert town.ask("GET", f"/v1/consent/receipts/{receipt}", role="analyst").status_code == 403
    opted_in = event | {"purpose": "measurement", "decision": "opt_in", "event_id": "yes"}
    assert town.ask("POST", "/v1/consent/events", role="collector", json=opted_in).json()["items"][0]["receipt"] is None


def test_where_a_service_provider_holds_the_data_the_form_says_whom_to_ask_and_takes_nothing(
    home: Path, town_files: Path
) -> None:
    provider = {"acts_as": "service_provider", "contact": "privacy@provider.example"}
    with opened(home, town_files, **provider) as town, town.browser() as browser:
        page = browser.request("GET", "/opt-out").text
        assert "as a service provider" in page
        assert 'name="unit"' not in page
        answer = browser.request("POST", "/opt-out", data=browser.fields(unit="1"))
        assert answer.status_code == 409
        assert "as a service provider" in answer.text
