"""What a token may not see looks exactly like what is not there."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest
from api_routes import bare as without_its_name
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
PAIR = ("boats", "goats")


def bare(answer: httpx.Response, name: str) -> object:
    """All of an answer but what was asked for by name."""
    status, content, headers = without_its_name(answer)
    assert len(name) == len(name.encode())
    length = len(content) - content.count(name.encode()) * len(name)
    kept = [(header, value) for header, value in headers if header != "content-length"]
    return status, content.replace(name.encode(), b"NAME"), kept, length


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
    assert answers[0].status_code == 404
    assert bare(answers[0], hidden) == bare(answers[1], missing)
    assert quiet_town.charges("harbour") == 0
    assert quiet_town.workspace.datasets.one(ME, "harbour")["frozen"] is False


def test_a_hidden_release_is_a_missing_release(quiet_town: Town) -> None:
    release_id = quiet_town.run("boats").json()["release_id"]
    missing = "0" * len(release_id)
    token = quiet_town.token("analyst", "town")
    answers = [quiet_town.ask("GET", f"/v1/releases/{name}", token=token) for name in (release_id, missing)]
    assert answers[0].status_code == 404
    assert bare(answers[0], release_id) == bare(answers[1], missing)


@pytest.mark.parametrize("state", ["frozen", "revoked", "spent"])
def test_what_became_of_a_hidden_query_does_not_show(town: Town, state: str) -> None:
    if state == "frozen":
        town.workspace.budgets.freeze(ME, "harbour", frozen=True)
    elif state == "revoked":
        town.workspace.review.revoke(ME, "boats")
    else:
        while town.run("boats", json={"reuse": "never"}).status_code == 201:
            pass
    for method, path, body, role in QUERY_ROUTES:
        sent = {} if body is None else {"json": body}
        token = town.token(role, "town")
        hidden, missing = (town.ask(method, path.format(name), token=token, **sent) for name in ("boats", "goats"))
        assert bare(hidden, "boats") == bare(missing, "goats")


def test_an_idempotency_key_of_a_hidden_query_does_not_show(town: Town) -> None:
    token, scoped = town.token("analyst"), town.token("analyst", "town")
    headers = {"Idempotency-Key": "k"}
    assert town.ask("POST", "/v1/queries/boats/releases", token=token, headers=headers).status_code == 201
    answers = [town.ask("POST", f"/v1/queries/{name}/releases", token=scoped, headers=headers) for name in PAIR]
    assert bare(answers[0], "boats") == bare(answers[1], "goats")
    assert town.ask("POST", "/v1/queries/spend_by_band/releases", token=scoped, headers=headers).status_code == 201


def test_a_steward_of_one_dataset_does_not_see_the_ledger_entries_of_another_of_its_lineage(town: Town) -> None:
    twin = (town.files / "town.yaml").read_text().replace("dataset: town", "dataset: twin\nlineage: town")
    asked = (
        (town.files / "costly.yaml").read_text().replace("costly", "twins").replace("dataset: town", "dataset: twin")
    )
    folder = town.workspace.home
    (folder / "twin.yaml").write_text(twin)
    (folder / "twins.yaml").write_text(asked.replace("rho: 0.5", "rho: 0.01"))
    sources = {name: town.files / f"{name}.csv" for name in ("sales", "homes", "shops")}
    town.workspace.datasets.add(ME, folder / "twin.yaml", sources)
    town.workspace.review.submit(ME, folder / "twins.yaml")
    town.workspace.review.approve(ME, "twins")
    for query in ("twins", "spend_by_band", "twins", "by_shop"):
        assert town.run(query, json={"reuse": "never"}).status_code == 201
    town.workspace.budgets.grant(ME, "twin", epsilon=Decimal(1), reason="a new year")

    def seen(dataset: str, *datasets: str, **params: int) -> list[tuple[int, str | None]]:
        path, token = f"/v1/datasets/{dataset}/ledger", town.token("steward", *datasets)
        entries = town.ask("GET", path, token=token, params=params).json()["entries"]
        return [(entry["seq"], entry["query"]) for entry in entries]

    every = [(1, None), (2, "twins"), (3, "spend_by_band"), (4, "twins"), (5, "by_shop"), (6, None)]
    assert seen("town") == seen("twin") == seen("town", "town", "twin") == every
    assert seen("town", "town") == [(1, None), (3, "spend_by_band"), (5, "by_shop"), (6, None)]
    assert seen("twin", "twin") == [(1, None), (2, "twins"), (4, "twins"), (6, None)]
    # A page is as long as was asked for, whatever lies between.
    assert seen("town", "town", after=1, limit=2) == [(3, "spend_by_band"), (5, "by_shop")]
    twin_of = town.ask("GET", "/v1/datasets/twin/ledger", token=town.token("steward", "town"))
    assert twin_of.status_code == 404


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
