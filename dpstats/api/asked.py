"""The log of who asked what, for stewards: each of what they see."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_ledger
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit

router = APIRouter(prefix="/v1/log", tags=["log"], route_class=StrictRoute, generate_unique_id_function=operation_id)

After = Annotated[int, Query(ge=0, le=2**62, description="Only lines with larger numbers.")]
Name = Annotated[str, Query(max_length=200, description="Only lines that name it; empty for all.")]


@router.get("", response_model=answers_ledger.Askings, responses=problems())
def list_askings(visit: Visit, after: After = 0, actor: Name = "", query: Name = "") -> Response:
    """Who asked what, oldest first, and with what outcome: a line for each request of a known caller (steward).

    A steward of some datasets sees the lines that name one of them or a query of one.
    """
    return JSONResponse(visit.workspace.asked.after(visit.identity, after, actor=actor, query=query))
