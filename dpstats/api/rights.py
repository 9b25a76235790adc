"""Routes of rights requests, for stewards: what people ask about their own data."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_people, asking
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit
from dpstats.workspace.correcting import Wanted

router = APIRouter(
    prefix="/v1/rights", tags=["rights"], route_class=StrictRoute, generate_unique_id_function=operation_id
)

STEP = problems("not-found", "conflict")
"""What a step may be refused with: one that comes out of order is a conflict."""


@router.get(
    "/packages/{secret}",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}, **problems("not-found")},
)
def get_package(secret: str, visit: Visit) -> Response:
    """The package of a request to know, once, within a week (steward)."""
    content = visit.workspace.rights.package(visit.identity, secret)
    headers = {"Content-Disposition": 'attachment; filename="package.zip"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="application/zip")


@router.post(
    "/requests",
    status_code=HTTPStatus.CREATED,
    response_model=answers_people.RightsRequest,
    responses=problems("not-found"),
)
def open_request(body: asking.RightsOpening, visit: Visit) -> Response:
    """A new request, with its dates. The answer is the same whether or not the person is known (steward)."""
    opened = visit.workspace.rights.open(
        visit.identity,
        body.type,
        body.dataset,
        body.unit,
        agent=body.agent,
        permission=body.permission,
        waive=body.waive,
    )
    return JSONResponse(opened, HTTPStatus.CREATED)


@router.get("/requests", response_model=answers_people.RightsRequests, responses=problems())
def list_requests(visit: Visit) -> Response:
    """Every request, oldest first (steward)."""
    return JSONResponse({"items": visit.workspace.rights.all(visit.identity), "next": None})


@router.get("/requests/{request_id}", response_model=answers_people.RightsRequestWhole, responses=problems("not-found"))
def get_request(request_id: str, visit: Visit) -> Response:
    """A request, its steps, and the evidence once it is fulfilled (steward)."""
    return JSONResponse(visit.workspace.rights.one(visit.identity, request_id))


@router.post("/requests/{request_id}/confirm", response_model=answers_people.RightsRequest, responses=STEP)
def confirm_request(request_id: str, visit: Visit) -> Response:
    """The person was told that the request came (steward)."""
    return JSONResponse(visit.workspace.rights.confirm(visit.identity, request_id))


@router.post("/requests/{request_id}/verify", response_model=answers_people.RightsRequest, responses=STEP)
def verify_request(request_id: str, body: asking.Verification, visit: Visit) -> Response:
    """How sure the caller is of who asks, and how it was found out (steward)."""
    return JSONResponse(visit.workspace.rights.verify(visit.identity, request_id, body.level, body.method))


@router.post(
    "/requests/{request_id}/execute",
    response_model=answers_people.RightsRequestWhole,
    responses=STEP,
)
def execute_request(request_id: str, visit: Visit, body: asking.RightsExecution | None = None) -> Response:
    """Carries the request out; asked again after a crash, it goes on. One to correct says what is true (steward)."""
    said = body.correction if body else None
    wanted = Wanted(said.table, said.set, said.where) if said else None
    return JSONResponse(
        visit.workspace.rights.execute(visit.identity, request_id, wanted, body.exceptions if body else {})
    )


@router.post("/requests/{request_id}/extend", response_model=answers_people.RightsRequest, responses=STEP)
def extend_request(request_id: str, body: asking.RightsReason, visit: Visit) -> Response:
    """45 more days, once, inside the first 45 (steward)."""
    return JSONResponse(visit.workspace.rights.extend(visit.identity, request_id, body.reason))


@router.post("/requests/{request_id}/deny", response_model=answers_people.RightsRequest, responses=STEP)
def deny_request(request_id: str, body: asking.RightsReason, visit: Visit) -> Response:
    """Ends the request with a reason (steward)."""
    return JSONResponse(visit.workspace.rights.deny(visit.identity, request_id, body.reason))
