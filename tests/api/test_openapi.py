"""The service describes itself, and truly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_routes import TABLE, asks_for_a_token
from api_town import Town

from dpstats.api import answers, answers_features, answers_ledger, answers_people, asking
from dpstats.api.problems import KINDS
from dpstats.api.strict_json import parse
from dpstats.formats import Format


@pytest.fixture(scope="module")
def schema(quiet_town: Town) -> dict[str, Any]:
    found: dict[str, Any] = quiet_town.ask("GET", "/openapi.json").json()
    return found


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            yield path, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_everything_under_v1_asks_for_a_token_and_nothing_else_does(schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"] == {
        "token": {"type": "http", "scheme": "bearer", "description": "a token that a steward made"}
    }
    for path, operation in operations(schema):
        assert operation.get("security") == ([{"token": []}] if asks_for_a_token(path) else None)


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    found = set(references(schema))
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in schema["components"]["schemas"]


def test_every_refusal_is_described_as_a_problem(schema: dict[str, Any]) -> None:
    for path, operation in operations(schema):
        refusals = {int(status): said for status, said in operation["responses"].items() if int(status) >= 400}
        assert {401, 403, 422, 500, 503} <= set(refusals) or not asks_for_a_token(path)
        for status, said in refusals.items():
            assert list(said["content"]) == ["application/problem+json"]
            named = [slug for slug in KINDS if f"`{slug}`" in said["description"]]
            assert {KINDS[slug].status for slug in named} == {status}


def test_no_operation_has_the_framework_s_own_errors(schema: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert "ValidationError" not in schema["components"]["schemas"]


def test_a_release_is_described_in_every_format_with_its_header(schema: dict[str, Any]) -> None:
    made = schema["paths"]["/v1/queries/{query}/releases"]["post"]["responses"]
    given = schema["paths"]["/v1/releases/{release_id}"]["get"]["responses"]
    for said in (made["201"], made["200"], given["200"]):
        assert set(said["content"]) == {form.media_type for form in Format}
        assert list(said["headers"]) == ["Dpstats-Release"]
    assert "201" not in given


def test_operations_have_names_of_their_own_and_say_what_they_do(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(schema)]
    assert len(names) == len(set(names))
    assert all(operation["description"] for _, operation in operations(schema))


def test_the_examples_are_valid() -> None:
    shown = 0
    rooms = (answers, answers_features, answers_ledger, answers_people, asking)
    for model in (model for room in rooms for model in vars(room).values()):
        config = getattr(model, "model_config", None) or {}
        if "json_schema_extra" in config:
            text = json.dumps(config["json_schema_extra"]["example"]).encode()
            model.model_validate(parse(text) if model.__module__ == asking.__name__ else json.loads(text))
            shown += 1
    assert shown >= 4


ONE_PERSON = {"unit", "units", "subject", "person", "customer", "household", "id", "ids", "email"}


def test_nothing_that_an_analyst_or_a_job_may_call_takes_a_person(schema: dict[str, Any]) -> None:
    """Numbers are looked up by segment: no call of theirs names one person, in its address, its query or its body."""
    called = [
        (method, path)
        for (method, path), case in TABLE.items()
        if path.startswith("/v1") and any(case.statuses.get(role, 500) < 300 for role in ("analyst", "job"))
    ]
    assert {("POST", "/v1/queries/{query}/releases"), ("POST", "/v1/features")} <= set(called)
    for method, path in called:
        operation = schema["paths"][path][method.lower()]
        assert not set(_asked(schema, operation)) & ONE_PERSON, (method, path)
    assert set(_asked(schema, schema["paths"]["/v1/consent/state"]["post"])) & ONE_PERSON, "the control"


def _asked(schema: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    """The names of everything that a call takes, but for what stands inside a mapping of any names."""
    yield from (parameter["name"] for parameter in operation.get("parameters", []))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for reference in references(content):
            yield from schema["components"]["schemas"][reference.rpartition("/")[2]].get("properties", {})
