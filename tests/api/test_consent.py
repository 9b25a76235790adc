"""Consent over HTTP: kept once, told to nobody, and answered alike whoever it is about."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest
from api_town import Town

EVENT = {"dataset": "town", "unit": 7, "purpose": "all_sale_share", "decision": "opt_out", "event_id": "one"}
OPT_IN = EVENT | {"purpose": "measurement", "decision": "opt_in"}


def send(town: Town, body: Any, role: str = "collector") -> httpx.Response:
    return town.ask("POST", "/v1/consent/events", role=role, json=body)


def signal(town: Town, **body: Any) -> httpx.Response:
    sent = {"dataset": "town", "units": [7], "event_id": secrets.token_hex(8)} | body
    return town.ask("POST", "/v1/consent/signals", role="collector", json=sent)


def kept(town: Town) -> int:
    """How many events are kept; no door tells it."""
    log = town.workspace.consent._log
    return sum(map(len, log.decided("town", log.close_epoch(town.workspace.store.ledger._clock())).values()))


def shape(answer: httpx.Response) -> Any:
    """An answer without what names its moment, its secret and its event."""
    (body,) = answer.json()["items"]
    return answer.status_code, tuple(sorted(body)), tuple(sorted(answer.headers)), len(body["nonce"] or "")


def test_an_event_is_kept_once(town: Town) -> None:
    before = kept(town)
    first, second = send(town, EVENT), send(town, EVENT)
    assert (first.status_code, second.status_code) == (202, 202)
    (item,) = first.json()["items"]
    assert {k: v for k, v in item.items() if k != "received_at"} == {
        "event_id": "one",
        "nonce": None,
        "receipt": second.json()["items"][0]["receipt"],
    }
    assert kept(town) == before + 1


def test_a_refusal_that_comes_again_after_an_opt_in_is_told_by_when_it_came_first(town: Town) -> None:
    refusal = OPT_IN | {"unit": 21, "decision": "opt_out", "event_id": "form-21"}
    first = send(town, refusal).json()["items"]
    (opted_in,) = send(town, refusal | {"decision": "opt_in", "event_id": "in-21"}).json()["items"]
    confirm = {"decision": "confirm", "event_id": "c-21", "confirms": "in-21", "nonce": opted_in["nonce"]}
    send(town, refusal | confirm)
    before = kept(town)
    assert send(town, refusal).json()["items"] == first
    assert kept(town) == before
    (anew,) = send(town, refusal | {"event_id": "form-21-again"}).json()["items"]
    assert anew["received_at"] > first[0]["received_at"]
    assert anew["receipt"] != first[0]["receipt"]
    assert kept(town) == before + 1


def test_a_signal_that_comes_again_is_told_by_when_it_came_first(town: Town) -> None:
    first = signal(town, gpc="1", event_id="s-1").json()
    assert signal(town, gpc="1", event_id="s-1").json() == first
    assert signal(town, gpc="1", event_id="s-1", units=[7, "new"]).json()["received_at"] > first["received_at"]


def test_a_batch_is_kept_whole_or_not_at_all(town: Town) -> None:
    before = kept(town)
    many = [EVENT | {"event_id": f"b{i}", "unit": i} for i in range(1000)]
    answer = send(town, {"events": many})
    assert (answer.status_code, len(answer.json()["items"])) == (202, 1000)
    assert kept(town) == before + 1000
    wrong = send(town, {"events": [EVENT | {"event_id": "c"}, EVENT | {"event_id": "d", "purpose": "*"}]})
    assert wrong.status_code == 422
    assert list(wrong.json()["problems"]) == ["events.1.purpose"]
    assert send(town, {"events": [*many, EVENT]}).status_code == 422
    assert kept(town) == before + 1000


@pytest.mark.parametrize("body", [EVENT, OPT_IN])
def test_a_person_who_is_there_and_one_who_is_not_are_answered_alike(town: Town, body: dict[str, Any]) -> None:
    units = (7, 10**12, "no such device", -1)
    first = {shape(send(town, body | {"unit": unit, "event_id": f"u{i}"})) for i, unit in enumerate(units)}
    again = {shape(send(town, body | {"unit": unit, "event_id": f"v{i}"})) for i, unit in enumerate(units)}
    assert len(first | again) == 1


def test_whether_somebody_refused_before_is_not_told_by_an_opt_in(town: Town) -> None:
    send(town, OPT_IN | {"decision": "opt_out", "unit": 1, "event_id": "r"})
    told = [send(town, OPT_IN | {"unit": unit, "event_id": "again"}).json()["items"][0] for unit in (1, 2)]
    assert [len(each["nonce"]) for each in told] == [32, 32]
    confirm = OPT_IN | {"decision": "confirm", "event_id": "c", "confirms": "again"}
    for unit, each in zip((1, 2), told, strict=True):
        assert send(town, confirm | {"unit": unit, "nonce": each["nonce"]}).status_code == 202
        assert send(town, confirm | {"unit": unit, "nonce": told[0]["nonce"][::-1]}).status_code == 422


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "Ann"}, "name"),
        ({"purpose": "everything"}, "purpose"),
        ({"decision": "opt_in"}, "decision"),
        ({"unit": True}, "unit"),
        ({"unit": 1.5}, "unit"),
        ({"unit": ""}, "unit"),
        ({"observed_at": 5}, "observed_at"),
        ({"observed_at": "2999-01-01", "purpose": "measurement", "decision": "opt_in"}, "observed_at"),
    ],
)
def test_what_is_wrong_or_too_much_is_refused_and_not_kept(town: Town, change: dict[str, Any], place: str) -> None:
    before = kept(town)
    answer = send(town, EVENT | {"event_id": "wrong"} | change)
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == [place]
    assert "Ann" not in answer.text
    assert kept(town) == before


def test_a_signal_refuses_for_every_id_and_nonsense_says_nothing(town: Town) -> None:
    before = kept(town)
    assert signal(town, gpc="1", units=[7, "device", "cookie"]).json()["refused"] == ["all_sale_share"]
    assert kept(town) == before + 3
    assert signal(town, gpp="DBABBg~BbYbGwXY.YA").json()["refused"] == ["all_sale_share", "known_minor", "limit_spi"]
    assert kept(town) == before + 6
    for gpc, gpp in (("0", ""), ("", "DBABBg~BAAAAAAA.QA"), (["true", "yes"], "~~~"), ("\u0661", "\U0001f600")):
        answer = signal(town, gpc=gpc, gpp=gpp)
        assert (answer.status_code, answer.json()["refused"]) == (202, [])
    assert kept(town) == before + 6


@pytest.mark.parametrize("gpc", [1, True, None, ["1", 1], {"1": "1"}, ["0"] * 21])
def test_a_signal_that_is_no_text_is_refused_in_one_clear_line(town: Town, gpc: object) -> None:
    before = kept(town)
    answer = signal(town, gpc=gpc)
    assert answer.status_code == 422
    ((place, what),) = answer.json()["problems"].items()
    assert (place, what.partition(" ")[0]) == ("gpc", "must")
    assert "str" not in what
    assert kept(town) == before


def test_a_signal_about_nobody_is_refused_in_the_words_of_a_person(town: Town) -> None:
    assert signal(town, gpc="1", units=[]).json()["problems"] == {"units": "must have 1 or more of them"}


def test_the_header_of_a_server_s_own_request_is_no_signal(town: Town) -> None:
    sent = {"dataset": "town", "units": [7], "event_id": secrets.token_hex(8)}
    answer = town.ask("POST", "/v1/consent/signals", role="collector", json=sent, headers={"Sec-GPC": "1"})
    assert answer.json()["refused"] == []


def test_a_collector_sees_nothing(town: Town) -> None:
    for path in ("/v1/datasets", "/v1/datasets/town", "/v1/queries", "/v1/releases"):
        assert town.ask("GET", path, role="collector").status_code == 403
    assert send(town, EVENT, role="analyst").status_code == 403
