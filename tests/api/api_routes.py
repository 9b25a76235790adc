"""Every route of the service, with a request to it and the status that each role gets: what is not here is denied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from api_town import ME, Town

ANYONE = {None: 200, "analyst": 200, "job": 200, "steward": 200, "collector": 200}


def readers(status: int = 200) -> dict[str | None, int]:
    return {None: 401, "analyst": status, "job": status, "steward": status, "collector": 403}


def stewards(status: int) -> dict[str | None, int]:
    return {None: 401, "analyst": 403, "job": 403, "steward": status, "collector": 403}


@dataclass(frozen=True)
class Case:
    """A request to a route, and the status that each role gets."""

    path: str
    statuses: dict[str | None, int]
    body: dict[str, Any] | None = None


TABLE = {
    ("GET", "/"): Case("/", ANYONE),
    ("GET", "/style.css"): Case("/style.css", ANYONE),
    ("GET", "/problems/{slug}"): Case("/problems/frozen", ANYONE),
    ("GET", "/openapi.json"): Case("/openapi.json", ANYONE),
    ("GET", "/health/live"): Case("/health/live", ANYONE),
    ("GET", "/health/ready"): Case("/health/ready", ANYONE),
    ("GET", "/metrics"): Case("/metrics", ANYONE),
    ("GET", "/v1/datasets"): Case("/v1/datasets", readers()),
    ("GET", "/v1/datasets/{dataset}"): Case("/v1/datasets/town", readers()),
    ("GET", "/v1/datasets/{dataset}/budget"): Case("/v1/datasets/town/budget", readers()),
    ("GET", "/v1/datasets/{dataset}/ledger"): Case("/v1/datasets/town/ledger?after=0", stewards(200)),
    ("POST", "/v1/datasets/{dataset}/budget/grants"): Case(
        "/v1/datasets/town/budget/grants", stewards(201), {"epsilon": 0.5, "reason": "more"}
    ),
    ("PUT", "/v1/datasets/{dataset}/frozen"): Case("/v1/datasets/town/frozen", stewards(200), {"frozen": False}),
    ("GET", "/v1/queries"): Case("/v1/queries", readers()),
    ("GET", "/v1/queries/{query}"): Case("/v1/queries/spend_by_band", readers()),
    ("POST", "/v1/queries/{query}/preview"): Case("/v1/queries/spend_by_band/preview", readers(), {}),
    ("POST", "/v1/queries/{query}/releases"): Case("/v1/queries/spend_by_band/releases", readers(), {}),
    ("GET", "/v1/releases"): Case("/v1/releases", readers()),
    ("GET", "/v1/releases/{release_id}"): Case("/v1/releases/RELEASE", readers()),
    ("POST", "/v1/queries/{query}/approvals"): Case(
        "/v1/queries/draft/approvals", stewards(201), {"version": "VERSION"}
    ),
    ("DELETE", "/v1/queries/{query}/approvals/{version}"): Case(
        "/v1/queries/spend_by_band/approvals/sha256:unknown", stewards(404)
    ),
}


def ask(town: Town, route: tuple[str, str], role: str | None) -> httpx.Response:
    """The table's request to a route, with a token of the role."""
    case = TABLE[route]
    path = case.path.replace("RELEASE", town.run().json()["release_id"])
    version = town.workspace.review.one(ME, "draft")["query_version"]
    body = {name: version if value == "VERSION" else value for name, value in (case.body or {}).items()}
    return town.ask(route[0], path, role=role, **({} if case.body is None else {"json": body}))
