"""What can I ask? The catalog, a query's page with what it will cost and how sure it will be, and asking it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

from dpstats.errors import DpstatsError, InvalidParameters
from dpstats.release import Ask
from dpstats.web.calls import calls_of
from dpstats.web.expecting import earlier_of, expected, limits
from dpstats.web.fields import fields_of, parameters_of
from dpstats.web.refusals import FormRefused, Told
from dpstats.web.rendering import done, fragment, page
from dpstats.web.visiting import Sent, Visit, Visitor, page_router
from dpstats.web.words import day, enough, without_commands

router = page_router()


@router.get("/queries")
def catalog(request: Request, visit: Visit, q: str = "", tag: str = "") -> Response:
    """Every approved query that the visitor may see, searched by words and by a tag."""
    queries = visit.workspace.review.all(visit.identity, approved_only=True)
    found = [query for query in queries if _matches(query, q) and (not tag or tag in query["tags"])]
    datasets = {item["dataset"]: item for item in visit.workspace.datasets.all(visit.identity)}
    tags = sorted({name for query in queries for name in query["tags"]})
    return page(request, "catalog.html", queries=found, any=bool(queries), datasets=datasets, tags=tags, q=q, tag=tag)


def _matches(query: Mapping[str, Any], words: str) -> bool:
    text = " ".join([query["query"], query["title"], query["description"], query["dataset"], *query["tags"]])
    text = f"{text} {' '.join([*query['keys'], *query['measures']])}".replace("_", " ").lower()
    return all(word in text for word in words.replace("_", " ").lower().split())


@router.get("/queries/{name}")
def question(request: Request, visit: Visit, name: str) -> Response:
    """A query in plain words, its form, and what its answer would cost, as the address says."""
    query = visit.workspace.review.one(visit.identity, name)
    return _question(request, visit, query, request.query_params)


@router.get("/queries/{name}/expected")
def expectation(request: Request, visit: Visit, name: str) -> Response:
    """The part of a query's page that follows its form while somebody types."""
    query = visit.workspace.review.one(visit.identity, name)
    values, faults = _expectation(visit, query, request.query_params)
    return fragment("expected.html", query=query, faults=faults, **values)


@router.post("/queries/{name}/ask")
def ask(request: Request, visit: Visit, sent: Sent, name: str) -> Response:
    """Asks it: charged once however often the form is sent, or free if it was released before."""
    query = visit.workspace.review.one(visit.identity, name)
    asked = Ask(
        visit.identity,
        name,
        parameters_of(query, sent),
        fresh=sent.get("fresh") == "yes",
        idempotency_key=f"page-{sent['key']}" if sent.get("key", "").isalnum() else None,
    )
    try:
        release, made_now = visit.workspace.releases.make(asked)
        said = _said(visit, release, made_now)
    except DpstatsError as error:
        raise FormRefused(error, _again(request, visit, query, sent, error)) from error
    return done(request, f"/releases/{release['release_id']}", said)


def _said(visit: Visitor, release: Mapping[str, Any], made_now: bool) -> str:
    if not made_now:
        return f"This answer was already released on {day(release['created_at'])}. Showing it again is free."
    times = visit.workspace.releases.remaining_like(visit.identity, release)
    return f"This answer is new. What is left of the budget is {enough(times)}."


def _again(
    request: Request, visit: Visitor, query: Mapping[str, Any], sent: Mapping[str, str], error: Exception
) -> Any:
    faults = error.problems if isinstance(error, InvalidParameters) else {}

    def again(told: Told) -> Response:
        detail = without_commands(told.detail)
        wrong = "" if faults else f"{told.title}. {detail[:1].upper()}{detail[1:]}."
        return _question(request, visit, query, sent, status=told.status, wrong=wrong)

    return again


def _question(
    request: Request,
    visit: Visitor,
    query: Mapping[str, Any],
    typed: Mapping[str, str],
    *,
    status: int = HTTPStatus.OK,
    wrong: str = "",
) -> Response:
    values, faults = _expectation(visit, query, typed)
    dataset = visit.workspace.datasets.one(visit.identity, query["dataset"])
    return page(
        request,
        "question.html",
        status,
        query=query,
        dataset=dataset,
        fields=fields_of(query, typed, faults),
        faults={},  # they stand beside their fields
        key=secrets.token_hex(16),
        wrong=wrong,
        calls=calls_of(str(request.base_url).rstrip("/"), query["query"], parameters_of(query, typed)),
        **values,
    )


def _expectation(
    visit: Visitor, query: Mapping[str, Any], typed: Mapping[str, str]
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """What the answer to what was typed would be like; and what is wrong with it, field by field."""
    try:
        preview = visit.workspace.releases.preview(visit.identity, query["query"], parameters_of(query, typed))
    except InvalidParameters as error:
        return _nothing(""), error.problems
    except DpstatsError as error:
        return _nothing(str(error)), {}
    dataset = visit.workspace.datasets.one(visit.identity, query["dataset"])
    unit, grain = dataset["privacy_unit"], (dataset.get("blocks") or {}).get("every", "")
    earlier = earlier_of(visit, preview)
    told = expected(visit, query, preview, unit, earlier)
    values = {"preview": preview, "earlier": earlier, "told": told, "limits": limits(preview, unit)}
    return values | {"grain": grain, "why": ""}, {}


def _nothing(why: str) -> dict[str, Any]:
    return {"preview": None, "earlier": None, "told": [], "limits": [], "grain": "", "why": why}
