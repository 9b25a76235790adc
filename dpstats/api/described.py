"""What OpenAPI says of the answers of a route: its problems, and the formats of a release."""

from __future__ import annotations

import threading
from itertools import groupby
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from dpstats.api.answers import Problem
from dpstats.api.problems import KINDS, MEDIA_TYPE
from dpstats.formats import Format

_EVERYWHERE = ("bad-request", "unauthorized", "forbidden", "too-large", "unsupported-media-type", "invalid-parameters")
_ALWAYS_POSSIBLE = (*_EVERYWHERE, "rate-limited", "internal-error", "unavailable")
_PROBLEM = "#/components/schemas/Problem"
_RELEASE = "#/components/schemas/Release"
_WIDE_TABLE = "#/components/schemas/WideTable"

Responses = dict[int | str, dict[str, Any]]


def operation_id(route: APIRoute) -> str:
    """An operation's name for generated clients: its function's."""
    return route.name


def problems(*slugs: str) -> Responses:
    """The problem responses of a route under `/v1`: what every one of them has, and `slugs`."""
    ordered = sorted(sorted({*slugs, *_ALWAYS_POSSIBLE}), key=_status)  # the same description in every process
    return {status: _problem(list(same)) for status, same in groupby(ordered, key=_status)}


def unavailable() -> Responses:
    """The problem response of a route that needs no token."""
    return {_status("unavailable"): _problem(["unavailable"])}


def releases(*, made: bool) -> Responses:
    """The responses that hold a release; `made`: the route may make a new one."""
    found: Responses = {200: _release("An earlier release, free")}
    return {201: _release("A new release, charged"), **found} if made else found


def wide_tables(*, made: bool) -> Responses:
    """The responses that hold a wide table; `made`: the route may make new releases for it."""
    found: Responses = {200: _release("Releases made before, free", _WIDE_TABLE)}
    return {201: _release("New releases among them, charged", _WIDE_TABLE), **found} if made else found


def describe(app: FastAPI) -> None:
    """Adds what the routes' descriptions refer to, when somebody asks for the description: it takes a while to make."""
    made, lock = app.openapi, threading.Lock()

    def described() -> dict[str, Any]:
        with lock:
            schema = made()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            if "Problem" not in schemas:
                schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            return schema

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _status(slug: str) -> int:
    return KINDS[slug].status


def _problem(slugs: list[str]) -> dict[str, Any]:
    text = " · ".join(f"`{slug}`: {KINDS[slug].advice}" for slug in slugs)
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": _PROBLEM}}}}


def _release(description: str, schema: str = _RELEASE) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {form.media_type: binary for form in Format}
    content |= {Format.JSON.media_type: {"schema": {"$ref": schema}}}
    header = {"description": "everything but the rows, as JSON in ASCII", "schema": {"type": "string"}}
    return {"description": description, "content": content, "headers": {"Dpstats-Release": header}}
