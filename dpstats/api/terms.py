"""Routes of the recipients' terms: what is in force, and the acceptance of it."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_people, asking
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit

router = APIRouter(
    prefix="/v1/terms", tags=["terms"], route_class=StrictRoute, generate_unique_id_function=operation_id
)


@router.get("", response_model=answers_people.RecipientTerms, responses=problems())
def get_terms(visit: Visit) -> Response:
    """The terms in force, and whether this token's holder still owes their acceptance; null where none are in force."""
    return JSONResponse(visit.workspace.terms.one(visit.identity))


@router.post("/acceptance", response_model=answers_people.TermsAccepted, responses=problems("conflict"))
def accept_terms(body: asking.TermsAcceptance, visit: Visit) -> Response:
    """The token's holder accepts the version in force, and is given data from then on; again changes nothing."""
    return JSONResponse(visit.workspace.terms.accept(visit.identity, body.version))
