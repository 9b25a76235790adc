"""Who may call what: every route of the service is in one table, and one that is not there fails here."""

from __future__ import annotations

import re

import httpx
import pytest
from api_routes import CALLERS, NO_TOKEN, TABLE, ask, asks_for_a_token, bare, token_of
from api_town import ME, Town
from fastapi.routing import APIRoute
from starlette.routing import Route, compile_path

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FETCH")


def of_app(town: Town) -> set[tuple[str, str]]:
    found = set()
    for route in town.app.routes:
        assert isinstance(route, Route), "a mount or a websocket would not be in the table"
        found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    return found


def test_every_route_is_in_the_table_and_the_table_has_no_other(quiet_town: Town) -> None:
    assert of_app(quiet_town) == set(TABLE)


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_each_caller_gets_the_status_of_the_table(quiet_town: Town, route: tuple[str, str]) -> None:
    assert set(TABLE[route].statuses) == set(CALLERS)
    for caller, status in TABLE[route].statuses.items():
        answer = ask(quiet_town, route, caller)
        assert answer.status_code == status, (caller, answer.text)


@pytest.mark.parametrize("route", [route for route in TABLE if route[1].startswith("/v1")], ids=" ".join)
def test_no_token_and_one_that_is_over_are_not_told_apart(quiet_town: Town, route: tuple[str, str]) -> None:
    answers = [ask(quiet_town, route, caller) for caller in NO_TOKEN]
    assert len({bare(answer) for answer in answers}) == 1


@pytest.mark.parametrize("path", sorted({path for _, path in TABLE}))
def test_every_method_that_is_not_in_the_table_is_denied_to_everybody(quiet_town: Town, path: str) -> None:
    asked = next(case.path for (_, found), case in TABLE.items() if found == path).partition("?")[0]
    there = {method for method, found in TABLE if compile_path(found)[0].match(asked)}
    there |= {"HEAD"} if path == "/openapi.json" else set()
    for method in set(METHODS) - there:
        case = next(case for (_, found), case in TABLE.items() if found == path)
        for caller in (None, "steward"):
            answer = quiet_town.ask(method, case.path, token=token_of(quiet_town, caller))
            assert answer.status_code == (401 if asks_for_a_token(path) and caller is None else 405), (method, caller)


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_what_a_route_sends_is_what_openapi_says(quiet_town: Town, route: tuple[str, str]) -> None:
    models = {
        (method, found.path): found.response_model
        for found in quiet_town.app.routes
        if isinstance(found, APIRoute)
        for method in found.methods
    }
    model = models.get(route)
    if model is None:
        assert not route[1].startswith("/v1") or route[0] == "DELETE" or route[1] == "/v1/rights/packages/{secret}"
        return
    if route == ("POST", "/v1/terms/acceptance"):
        return  # to accept terms some must be in force, for every other test too: the tests of the terms look at it
    answer = ask(quiet_town, route, "steward")
    model.model_validate_json(answer.content, strict=True)


def test_a_method_that_a_route_does_not_have_is_refused_by_name(quiet_town: Town) -> None:
    answer = quiet_town.ask("PATCH", "/v1/datasets", role="analyst")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"


def test_a_token_is_looked_at_before_anything_else(quiet_town: Town) -> None:
    junk = {"content": b"{" * 10, "headers": {"Content-Type": "application/json"}}
    too_large = {"content": b" " * (1024 * 1024 + 1)}
    for method, path, sent in (
        ("GET", "/v1", {}),
        ("GET", "/v1/", {}),
        ("GET", "/v1/nothing/here", {}),
        ("PATCH", "/v1/datasets", {}),
        ("POST", "/v1/queries/spend_by_band/releases", junk),
        ("POST", "/v1/queries/spend_by_band/releases", too_large),
        ("GET", "/v1/datasets/nope", {}),
    ):
        answer = quiet_town.ask(method, path, **sent)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert re.sub('"instance":"[^"]*"', "", answer.text) == re.sub(
            '"instance":"[^"]*"', "", quiet_town.ask("GET", "/v1/datasets").text
        )


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer dps_unknown",
        "Basic {token}",
        "{token}",
        "Bearer {token} {token}",
        "Bearer {token}x",
    ],
)
def test_what_is_not_a_token_is_nobody(quiet_town: Town, header: str) -> None:
    sent = {"Authorization": header.replace("{token}", quiet_town.token())}
    assert quiet_town.ask("GET", "/v1/datasets", headers=sent).status_code == 401


def test_two_authorizations_are_none(quiet_town: Town) -> None:
    token = f"Bearer {quiet_town.token()}"
    with httpx.Client(transport=quiet_town.transport, base_url="http://town") as client:
        twice = client.get("/v1/datasets", headers=[("Authorization", token), ("Authorization", token)])
        once = client.get("/v1/datasets", headers=[("authorization", token.replace("Bearer", "bearer"))])
    assert (twice.status_code, once.status_code) == (401, 200)


def test_a_revoked_token_ends_at_once(town: Town) -> None:
    token = town.token("job")
    assert town.ask("GET", "/v1/datasets", token=token).status_code == 200
    town.workspace.tokens.revoke(ME, "job")
    assert town.ask("GET", "/v1/datasets", token=token).status_code == 401
