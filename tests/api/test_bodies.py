"""Bodies are read strictly and numbers exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from api_town import ME, Town
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.api.strict_json import parse

JSON = {"Content-Type": "application/json"}
GRANTS = "/v1/datasets/town/budget/grants"
scalars = st.none() | st.booleans() | st.integers() | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value


@settings(deadline=None)
@given(decimals)
def test_a_number_is_read_as_it_is_written(number: Decimal) -> None:
    text = f"{number:f}"
    read = parse(text.encode() if "." in text else f"{text}.0".encode())
    assert read == number
    assert isinstance(read, Decimal)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"a": 1} {}',
        b"[" * 100_000,
        b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"a": 0.' + b"0" * 5000 + b"1}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_is_refused(quiet_town: Town, body: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        parse(body)
    answer = quiet_town.run(content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-request")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "body"),
        ("text", "body"),
        ({"parametres": {}}, "parametres"),
        ({"parameters": []}, "parameters"),
        ({"line\nbreak": 1}, "'line\\nbreak'"),
        ({"x" * 1000: 1}, repr("x" * 60) + "..."),
        ({"reuse": "sometimes"}, "reuse"),
        ({"reuse": True}, "reuse"),
        ({"parameters": {"since": None}}, "since"),
        ({"parameters": {"since": 20170101}}, "since"),
        ({"parameters": {"since": "2017-1-1"}}, "since"),
        ({"parameters": {"since": "2016-12-31"}}, "since"),
        ({"parameters": {"since": {"$gt": ""}}}, "since"),
        ({"parameters": {"since": "2017-03-01", "until": "2017-03-01"}}, "since"),
        ({"parameters": {"'; DROP TABLE sales; --": 1}}, '"\'; DROP TABLE sales; --"'),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_charged(quiet_town: Town, body: Any, place: str) -> None:
    before = quiet_town.charges()
    answer = quiet_town.run(json=body)
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == [place]
    assert quiet_town.charges() == before


def test_what_is_wrong_with_a_field_is_said_in_our_words(quiet_town: Town) -> None:
    def told(method: str, path: str, **sent: Any) -> str:
        return str(quiet_town.ask(method, path, role="steward", **sent).json()["detail"])

    grants, ledger = "/v1/datasets/town/budget/grants", "/v1/datasets/town/ledger"
    assert told("GET", f"{ledger}?after=x") == "invalid parameters: after: must be a whole number"
    assert told("POST", grants, json={"rho": -1, "reason": "x"}) == "invalid parameters: rho: must be above 0"
    assert told("POST", grants, json={"rho": "much", "reason": "x"}).endswith("rho: must be a number")
    assert told("POST", grants, json={"rho": 1, "reason": 7}).endswith("reason: must be text")
    assert told("PUT", "/v1/datasets/town/frozen", json={"frozen": "no"}).endswith("frozen: must be true or false")
    assert told("POST", "/v1/features", json={"queries": []}).endswith("queries: must have 1 or more of them")
    approvals = "/v1/queries/spend_by_band/approvals"
    assert told("POST", approvals, json={"version": "1"}).endswith("version: must have the form ^sha256:[0-9a-f]{64}$")
    wrong = {"reuse": "sometimes"}
    assert told("POST", "/v1/queries/spend_by_band/releases", json=wrong).endswith("reuse: must be 'always' or 'never'")


def test_a_field_that_there_is_not_is_told_with_those_that_there_are(quiet_town: Town) -> None:
    def told(path: str, **body: Any) -> dict[str, str]:
        return dict(quiet_town.ask("POST", path, role="steward", json=body).json()["problems"])

    none = "there is no such field, only "
    assert told(GRANTS, rho=1, reasons="x")["reasons"] == f"{none}rho, epsilon, reason"
    assert told("/v1/queries/spend_by_band/preview", paramters={})["paramters"] == f"{none}parameters"
    one, many = told("/v1/consent/events", unitt="x"), told("/v1/consent/events", events=[], event=1)
    assert one["unitt"].startswith(f"{none}dataset, unit, purpose, ")
    assert "events" not in one["unitt"]
    assert many["event"] == f"{none}events"
    inner = told("/v1/consent/events", events=[{"unitt": "x"}])
    assert inner["events.0.unitt"] == one["unitt"]


def test_of_many_wrong_fields_some_are_named(quiet_town: Town) -> None:
    answer = quiet_town.run(json={f"field_{number}": 1 for number in range(1000)})
    assert len(answer.json()["problems"]) == 10


def test_no_body_means_defaults(town: Town) -> None:
    assert town.run().json()["parameters"] == {"since": "2017-01-01", "until": "2018-01-02"}
    assert town.run(json=None, headers=JSON).status_code == 200


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"])
def test_a_body_that_does_not_say_it_is_json_is_refused(quiet_town: Town, kind: str | None) -> None:
    answer = quiet_town.run(content=b"{}", headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
)
def test_json_by_any_of_its_names_is_read(quiet_town: Town, kind: str) -> None:
    assert quiet_town.run(content=b"{}", headers={"Content-Type": kind}).status_code in (200, 201)


def test_a_body_over_one_mebibyte_is_refused_however_it_is_sent(town: Town) -> None:
    limit = 1024 * 1024
    fits = b'{"parameters": {}}'.ljust(limit)

    def in_parts() -> Any:
        for _ in range(limit // 1024 + 1):
            yield b" " * 1024

    assert town.run(content=fits, headers=JSON).status_code == 201
    assert town.run(content=fits + b" ", headers=JSON).status_code == 413
    assert town.run(content=in_parts(), headers=JSON).status_code == 413
    assert town.run(content=b"{}", headers=JSON | {"Content-Length": "9" * 400}).status_code == 413
    assert town.ask("POST", "/health/live", content=fits + b" ").status_code == 413
    assert town.charges() == 1


def grant(town: Town, text: str) -> httpx.Response:
    return town.ask("POST", GRANTS, role="steward", content=text.encode(), headers=JSON)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ('{"rho": 0.123456789012, "reason": "r"}', 123456789012),
        ('{"rho": 1e-12, "reason": "r"}', 1),
        ('{"rho": 0.1000000000009999999999999999, "reason": "r"}', 100000000000),
        ('{"rho": 1, "reason": "r"}', 10**12),
        ('{"rho": 0.29999999999999998, "reason": "r"}', 299999999999),
    ],
)
def test_a_grant_is_exact_to_the_last_step_and_rounded_down(quiet_town: Town, text: str, steps: int) -> None:
    answer = grant(quiet_town, text)
    assert answer.status_code == 201
    assert answer.json()["content"]["amount"] == steps
    assert answer.json()["actor"] == "steward"


def test_a_grant_by_epsilon_raises_the_cap_by_it(town: Town) -> None:
    before = town.budget()
    assert grant(town, '{"epsilon": 0.3, "reason": "second \\u00fc quarter"}').status_code == 201
    assert town.budget()["epsilon"] == pytest.approx(before["epsilon"] + 0.3, abs=1e-12)
    assert town.budget()["rho"] > before["rho"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"rho": "0.1", "reason": "r"}', "rho"),
        ('{"rho": true, "reason": "r"}', "rho"),
        ('{"rho": 0, "reason": "r"}', "rho"),
        ('{"rho": -1, "reason": "r"}', "rho"),
        ('{"rho": 1e-13, "reason": "r"}', "rho"),
        ('{"rho": 1e400000000, "reason": "r"}', "rho"),
        ('{"rho": 1e-400000000, "reason": "r"}', "rho"),
        ('{"epsilon": 999.1, "reason": "r"}', "epsilon"),
        ('{"epsilon": 1, "rho": 1, "reason": "r"}', "body"),
        ('{"reason": "r"}', "body"),
        ('{"rho": 1}', "reason"),
        ('{"rho": 1, "reason": " "}', "reason"),
        ('{"rho": 1, "reason": "a\\u001b[2J"}', "reason"),
        ('{"rho": 1, "reason": 7}', "reason"),
        ('{"rho": 1, "reason": "r", "dataset": "x"}', "dataset"),
    ],
)
def test_a_grant_that_cannot_be_is_refused_and_changes_nothing(quiet_town: Town, text: str, place: str) -> None:
    before = quiet_town.budget()
    answer = grant(quiet_town, text)
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == [place]
    assert quiet_town.budget() == before


def test_rho_is_not_granted_where_epsilon_is_counted(town: Town) -> None:
    path = "/v1/datasets/harbour/budget/grants"
    refused = town.ask("POST", path, role="steward", json={"rho": 1, "reason": "r"})
    assert list(refused.json()["problems"]) == ["rho"]
    made = town.ask("POST", path, role="steward", json={"epsilon": 1, "reason": "r"})
    assert (made.status_code, made.json()["rho"], made.json()["epsilon"]) == (201, None, 1.0)
    assert town.workspace.budgets.one(ME, "harbour")["epsilon"] == 2.0


@pytest.mark.parametrize("frozen", [1, "true", None, [True]])
def test_frozen_is_true_or_false(quiet_town: Town, frozen: object) -> None:
    answer = quiet_town.ask("PUT", "/v1/datasets/town/frozen", role="steward", json={"frozen": frozen})
    assert list(answer.json()["problems"]) == ["frozen"]
    assert quiet_town.workspace.datasets.one(ME, "town")["frozen"] is False
