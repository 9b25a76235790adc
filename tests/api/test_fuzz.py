"""Requests made at random from what the service says of itself, by every role: it never fails, and keeps its word.

Schemathesis makes the requests, valid ones and broken ones, and holds each answer against the OpenAPI document.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from api_routes import PLACEHOLDERS, TABLE
from api_town import ME, ROLES, Town, opened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks as openapi_checks

from dpstats.api.problems import KINDS

EXAMPLES = 20
"""Requests for each route and role."""

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]

KNOWN: dict[str, list[str]] = {
    "dataset": ["town", "harbour"],
    "query": ["spend_by_band", "costly", "by_shop", "boats", "draft"],
    "view": ["bands"],
}
"""Names that are there, so that requests come past the first refusal."""

WHOLE: dict[str, list[Any]] = {
    "POST /v1/datasets/{dataset}/budget/grants": [
        {"epsilon": 0.01, "reason": "more"},
        {"rho": 0.001, "reason": "more"},
    ],
    "PUT /v1/datasets/{dataset}/frozen": [{"frozen": False}],
    "PUT /v1/datasets/{dataset}/budget/caps": [{"role": "job", "rho": 5, "reason": "share"}],
    "POST /v1/features": [{"queries": ["spend_by_band"]}, {"queries": ["spend_by_band", "by_shop"]}],
    "POST /v1/queries/{query}/preview": [{}, {"parameters": {"since": "2017-03-01"}}],
    "POST /v1/rights/requests": [{"type": "delete", "dataset": "town", "unit": 1}],
    "POST /v1/rights/requests/{request_id}/verify": [{"level": "reasonable", "method": "two facts matched"}],
    "POST /v1/rights/requests/{request_id}/extend": [{"reason": "many files"}],
    "POST /v1/rights/requests/{request_id}/deny": [{"reason": "no_match"}],
    "POST /v1/queries/{query}/releases": [{}, {"reuse": "never"}, {"parameters": {"until": "2017-03-01"}}],
}
"""Bodies that are right."""

ACCEPT = [None, "application/json", "text/csv", "application/vnd.apache.parquet", "*/*;q=0", "text/html", "ü/;,", ""]


@pytest.fixture(scope="module", params=[None, *ROLES], ids=str)
def visited(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, town_home: Path, town_files: Path
) -> Iterator[tuple[Town, str | None]]:
    """A town of each role's own, whoever comes without a token first."""
    home = Path(shutil.copytree(town_home, tmp_path_factory.mktemp("fuzzed") / "home"))
    with opened(home, town_files) as town:
        yield town, request.param


def operations() -> list[str]:
    """Every route that the service describes, `PUT` last: it may freeze what the others ask for."""
    return sorted(("GET /health/live", "GET /health/ready", *ROUTES), key=lambda label: label.startswith("PUT"))


ROUTES = [f"{method} {path}" for method, path in TABLE if path.startswith("/v1/")]


@pytest.mark.parametrize("label", operations())
def test_whatever_is_asked_the_answer_is_one_that_openapi_names(visited: tuple[Town, str | None], label: str) -> None:
    town, role = visited
    method, path = label.split()
    operation = schemathesis.openapi.from_dict(town.app.openapi())[path][method]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
    @given(case=cases(town, operation), accept=st.sampled_from(ACCEPT))
    def ask(case: Case, accept: str | None) -> None:
        answer = send(town, role, case, accept)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            problem = answer.json()
            assert problem["type"] in {f"/problems/{slug}" for slug in KINDS}
            assert problem["status"] == answer.status_code

    ask()


def cases(town: Town, operation: APIOperation) -> st.SearchStrategy[Case]:
    """Requests to a route: valid and broken ones, with names made up and names that are there."""
    known = {
        **KNOWN,
        "release_id": [town.run().json()["release_id"]],
        "version": [version_of(town)],
        "request_id": [PLACEHOLDERS["RIGHTS"](town), PLACEHOLDERS["OPT-OUT"](town)],
        "proposal_id": [PLACEHOLDERS["PROPOSAL"](town)],
        "secret": [PLACEHOLDERS["PACKAGE"](town)],
        "receipt": [PLACEHOLDERS["RECEIPT"](town)],
    }
    names = re.findall(r"{(\w+)}", operation.path)
    there = st.fixed_dictionaries({name: st.sampled_from(known[name]) for name in names})
    bodies = WHOLE.get(operation.label, [])
    made = [operation.as_strategy(mode) for mode in GenerationMode]
    made += [
        there.flatmap(lambda given, m=mode: operation.as_strategy(m, path_parameters=given)) for mode in GenerationMode
    ]
    right = st.tuples(there, st.sampled_from(bodies)) if bodies else st.nothing()
    return st.one_of(*made, right.flatmap(lambda given: operation.as_strategy(path_parameters=given[0], body=given[1])))


def version_of(town: Town) -> str:
    found: str = town.workspace.review.one(ME, "draft")["query_version"]
    return found


def send(town: Town, role: str | None, case: Case, accept: str | None) -> httpx.Response:
    """The case as a request over the wire, with the role's token; with what was made up where there is no role."""
    request = requests.Request(**case.as_transport_kwargs("http://town")).prepare()
    assert request.url is not None
    headers = [(name.encode(), wire(value)) for name, value in request.headers.items() if name.lower() not in OURS]
    if role is None:
        headers += [(b"authorization", wire(value)) for value in [request.headers.get("Authorization")] if value]
    else:
        headers.append((b"authorization", f"Bearer {town.token(role)}".encode()))
    headers += [] if accept is None else [(b"accept", accept.encode())]
    with httpx.Client(transport=town.transport) as client:
        sent = httpx.Request(case.method, request.url, headers=headers, content=request.body or b"")
        answer = client.send(sent)
    answer.elapsed = timedelta(0)  # Schemathesis reads it, and an answer made in memory has none
    return answer


OURS = {"authorization", "accept", "connection", "content-length", "cookie"}


def wire(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")
