"""What a token may not see looks exactly like what is not there."""

from __future__ import annotations

import pytest
from api_town import ME, Town

DATASET_ROUTES = [
    ("GET", "/v1/datasets/{}", None, "analyst"),
    ("GET", "/v1/datasets/{}/budget", None, "analyst"),
    ("GET", "/v1/datasets/{}/ledger", None, "steward"),
    ("POST", "/v1/datasets/{}/budget/grants", {"epsilon": 1, "reason": "x"}, "steward"),
    ("PUT", "/v1/datasets/{}/frozen", {"frozen": True}, "steward"),
]
QUERY_ROUTES = [
    ("GET", "/v1/queries/{}", None, "analyst"),
    ("POST", "/v1/queries/{}/preview", {}, "analyst"),
    ("POST", "/v1/queries/{}/releases", {}, "analyst"),
    ("POST", "/v1/queries/{}/releases", {"parameters": {"nope": 1}}, "analyst"),
    ("POST", "/v1/queries/{}/approvals", {"version": f"sha256:{'0' * 64}"}, "steward"),
    ("DELETE", f"/v1/queries/{{}}/approvals/sha256:{'0' * 64}", None, "steward"),
]


@pytest.mark.parametrize(
    ("route", "hidden", "missing"),
    [(route, "harbour", "nowhere") for route in DATASET_ROUTES] + [(route, "boats", "goats") for route in QUERY_ROUTES],
)
def test_hidden_is_missing(quiet_town: Town, route: tuple[str, str, object, str], hidden: str, missing: str) -> None:
    method, path, body, role = route
    token = quiet_town.token(role, "town")
    answers = [
        quiet_town.ask(method, path.format(name), token=token, **({} if body is None else {"json": body}))
        for name in (hidden, missing)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content.replace(hidden.encode(), missing.encode()) == answers[1].content
    assert quiet_town.charges("harbour") == 0
    assert quiet_town.workspace.datasets.one(ME, "harbour")["frozen"] is False


def test_a_hidden_release_is_a_missing_release(quiet_town: Town) -> None:
    release_id = quiet_town.run("boats").json()["release_id"]
    missing = "0" * len(release_id)
    token = quiet_town.token("analyst", "town")
    answers = [quiet_town.ask("GET", f"/v1/releases/{name}", token=token) for name in (release_id, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content.replace(release_id.encode(), missing.encode()) == answers[1].content


def test_lists_hold_nothing_hidden(town: Town) -> None:
    town.run("boats")
    town.run("spend_by_band")
    token = town.token("analyst", "town")

    def listed(path: str, **params: str) -> set[str]:
        items = town.ask("GET", path, token=token, params=params).json()["items"]
        return {item["dataset"] for item in items}

    assert listed("/v1/datasets") == listed("/v1/queries") == listed("/v1/releases") == {"town"}
    assert listed("/v1/releases", dataset="harbour") == listed("/v1/releases", query="boats") == set()


def test_a_query_not_yet_approved_is_there_for_stewards_alone(quiet_town: Town) -> None:
    assert quiet_town.ask("GET", "/v1/queries/draft", role="steward").json()["approved"] is False
    assert quiet_town.ask("GET", "/v1/queries/draft", role="analyst").json()["type"] == "/problems/not-approved"
    for role in ("analyst", "steward"):
        names = {query["query"] for query in quiet_town.ask("GET", "/v1/queries", role=role).json()["items"]}
        assert names == {"spend_by_band", "costly", "by_shop", "boats"}
