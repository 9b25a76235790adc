"""Routes of proposals: what one steward proposes and another confirms."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_ledger
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit

router = APIRouter(
    prefix="/v1/proposals", tags=["proposals"], route_class=StrictRoute, generate_unique_id_function=operation_id
)

DECISION = problems("not-found", "conflict")
"""What a decision may be refused with: one's own proposal, or one that was decided, is a conflict."""


@router.get("", response_model=answers_ledger.Proposals, responses=problems())
def list_proposals(visit: Visit) -> Response:
    """Every proposal that the token may see, and what became of it (steward)."""
    return JSONResponse({"items": visit.workspace.stewards.all(visit.identity), "next": None})


@router.post("/{proposal_id}/confirm", response_model=answers_ledger.Proposal, responses=DECISION)
def confirm_proposal(proposal_id: str, visit: Visit) -> Response:
    """Does what another steward proposed, in the name of both (steward)."""
    return JSONResponse(visit.workspace.stewards.confirm(visit.identity, proposal_id))


@router.post("/{proposal_id}/decline", response_model=answers_ledger.Proposal, responses=DECISION)
def decline_proposal(proposal_id: str, visit: Visit) -> Response:
    """Ends a proposal, one's own or another's (steward)."""
    return JSONResponse(visit.workspace.stewards.decline(visit.identity, proposal_id))
