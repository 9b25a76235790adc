"""Routes that need no token: health, metrics, and a page for each kind of problem."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers
from dpstats.api.described import operation_id, unavailable
from dpstats.api.metrics import CONTENT_TYPE
from dpstats.api.problems import KINDS
from dpstats.api.visit import OpenWorkspace
from dpstats.errors import NotFound
from dpstats.web import pages

router = APIRouter(generate_unique_id_function=operation_id)


@router.get("/health/live", tags=["health"], response_model=answers.Health)
async def live() -> Response:
    """The process answers, even when every thread is busy."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready", tags=["health"], response_model=answers.Health, responses=unavailable())
def ready(workspace: OpenWorkspace) -> Response:
    """The ledger can be read and the self-test holds, so requests can be answered."""
    workspace.store.registry.datasets()
    workspace.self_test()
    return JSONResponse({"status": "ready"})


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """How the service does, for Prometheus."""
    return Response(request.app.state.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


@router.get("/problems/{slug}", include_in_schema=False)
def problem(slug: str, request: Request) -> Response:
    """What a problem's `type` means."""
    kind = KINDS.get(slug)
    if kind is None:
        raise NotFound("problem", slug)
    return pages.problem(request, slug, kind.status, kind.title, kind.advice)
