"""Routes of queries: the catalog, previews and approvals."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers, asking
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit
from dpstats.errors import NotFound

router = APIRouter(
    prefix="/v1/queries", tags=["queries"], route_class=StrictRoute, generate_unique_id_function=operation_id
)


@router.get("", response_model=answers.Queries, responses=problems())
def list_queries(visit: Visit) -> Response:
    """The catalog: every approved query that the token may see."""
    return JSONResponse({"items": visit.workspace.review.all(visit.identity, approved_only=True), "next": None})


@router.get("/{query}", response_model=answers.Query, responses=problems("not-found", "not-approved"))
def get_query(query: str, visit: Visit) -> Response:
    """One query: what it counts, its parameters, keys, bounds and price."""
    return JSONResponse(visit.workspace.review.one(visit.identity, query))


@router.post(
    "/{query}/preview",
    response_model=answers.Preview,
    responses=problems("not-found", "not-approved", "frozen", "query-refused"),
)
def preview_query(query: str, visit: Visit, body: asking.PreviewBody = None) -> Response:
    """Cost and 95 % error of a release; reads nobody's data and charges nothing."""
    parameters = body.parameters if body else {}
    return JSONResponse(visit.workspace.releases.preview(visit.identity, query, parameters))


@router.post(
    "/{query}/approvals",
    status_code=HTTPStatus.CREATED,
    response_model=answers.Query,
    responses=problems("not-found", "conflict"),
)
def approve_query(query: str, approve: asking.ApproveRequest, visit: Visit) -> Response:
    """Approves the version that a steward reviewed, if it is the one that stands; gives the query (steward)."""
    visit.workspace.review.approve(visit.identity, query, approve.version)
    return JSONResponse(visit.workspace.review.one(visit.identity, query), HTTPStatus.CREATED)


@router.delete("/{query}/approvals/{version}", status_code=HTTPStatus.NO_CONTENT, responses=problems("not-found"))
def revoke_approval(query: str, version: str, visit: Visit) -> Response:
    """Ends the approval of a version: it answers nothing from now on, not even what it answered before (steward)."""
    if not visit.workspace.review.revoke(visit.identity, query, version):
        raise NotFound("approval", version)
    return Response(status_code=HTTPStatus.NO_CONTENT)
