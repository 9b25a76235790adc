"""Routes that need no token: health, metrics, the landing page, and a page for each kind of problem."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

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


@router.get("/", include_in_schema=False)
def landing() -> Response:
    """What this is."""
    return HTMLResponse(pages.landing())


@router.get("/style.css", include_in_schema=False)
def style() -> Response:
    """How the pages look."""
    return Response(pages.style(), media_type="text/css")


@router.get("/problems/{slug}", include_in_schema=False)
def problem(slug: str) -> Response:
    """What a problem's `type` means."""
    kind = KINDS.get(slug)
    if kind is None:
        raise NotFound("problem", slug)
    return HTMLResponse(pages.problem(slug, kind.status, kind.title, kind.advice))
