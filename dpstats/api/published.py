"""Routes for everybody: the transparency report, and the statement that Global Privacy Control is honoured."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_people
from dpstats.api.described import operation_id, unavailable
from dpstats.api.visit import OpenWorkspace

GPC_SINCE = "2026-11-25"
"""When the statement last changed: the day that this service first honoured the signal."""

router = APIRouter(tags=["public"], generate_unique_id_function=operation_id)


@router.get("/v1/transparency", response_model=answers_people.Transparency, responses=unavailable())
def get_transparency(workspace: OpenWorkspace) -> Response:
    """What may be asked of which data, what was spent, and every raise of a budget; needs no token."""
    return JSONResponse(workspace.publishing.transparency())


@router.get("/.well-known/gpc.json", response_model=answers_people.GlobalPrivacyControl)
async def get_gpc() -> Response:
    """Global Privacy Control signals are honoured; needs no token."""
    return JSONResponse({"gpc": True, "lastUpdate": GPC_SINCE})
