"""Routes of features: wide tables by segment for jobs, feature views, and the rules of their segments."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_features, asking, described
from dpstats.api.described import operation_id, problems
from dpstats.api.negotiation import Wanted
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit
from dpstats.formats import Format, rest_ascii
from dpstats.workspace.features_table import Wide, encode

RELEASE_HEADER = "Dpstats-Release"

IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=4000, description="the `ETag`s that the caller has: 304 if it has this"),
]

router = APIRouter(
    prefix="/v1/features", tags=["features"], route_class=StrictRoute, generate_unique_id_function=operation_id
)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=answers_features.WideTable,
    responses={
        **described.wide_tables(made=True),
        **problems("not-found", "not-acceptable", "not-approved", "budget-exhausted", "frozen", "query-refused"),
    },
)
def make_features(visit: Visit, form: Wanted, body: asking.FeaturesRequest) -> Response:
    """One wide table by segment of the named queries, all or nothing: new and charged (201), or made before (200)."""
    wide, made_now = visit.workspace.features.make(visit.identity, body.queries, body.parameters)
    return _sent(wide, form, HTTPStatus.CREATED if made_now else HTTPStatus.OK)


@router.get("", response_model=answers_features.FeatureViews, responses=problems())
def list_features(visit: Visit) -> Response:
    """The feature views that the token may see, without their numbers."""
    return JSONResponse({"items": visit.workspace.features.all(visit.identity), "next": None})


@router.get(
    "/{view}",
    response_model=answers_features.WideTable,
    responses={
        **described.wide_tables(made=False),
        **problems("not-found", "not-acceptable", "not-approved", "frozen"),
        304: {"description": "The caller has it already"},
    },
)
def get_features(view: str, visit: Visit, form: Wanted, if_none_match: IfNoneMatch = None) -> Response:
    """A feature view as it was last renewed; free, and never charged."""
    features = visit.workspace.features
    found = features.find(visit.identity, view)
    tag = found.tag(form)
    headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": "private, no-cache"}
    if _has(if_none_match, tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return _sent(features.wide(found), form, HTTPStatus.OK, headers)


@router.get(
    "/{view}/segments",
    response_model=answers_features.Segments,
    responses=problems("not-found", "not-approved", "frozen", "query-refused"),
)
def get_segments(view: str, visit: Visit) -> Response:
    """The rule that puts a customer into a view's segment, for the job's own customers; nobody is asked about."""
    return JSONResponse(visit.workspace.features.segments(visit.identity, view))


def _has(if_none_match: str | None, tag: str) -> bool:
    """RFC 9110, 13.1.2: by weak comparison."""
    tags = [item.strip() for item in (if_none_match or "").split(",")]
    return "*" in tags or tag.removeprefix("W/") in {item.removeprefix("W/") for item in tags}


def _sent(wide: Wide, form: Format, status: int, headers: dict[str, str] | None = None) -> Response:
    told = {RELEASE_HEADER: rest_ascii(wide.head), "Vary": "Accept"} | (headers or {})
    return Response(encode(wide, form), status, told, media_type=form.media_type)
