"""Every page: what `create_app` puts beside the API. A part of the pages adds its router to `ROUTERS`.

A page's function reads what was asked, calls the workspace as the API and the command line do, and renders:

    @router.get("/queries")
    def catalog(request: Request, visit: Visit) -> Response:
        queries = visit.workspace.review.all(visit.identity, approved_only=True)
        return page(request, "catalog.html", queries=queries)
"""

from __future__ import annotations

from fastapi import Request, Response
from starlette.routing import BaseRoute

from dpstats.web import answering, asking, comparing, opting_out, published, signing_in, steward, terms
from dpstats.web.assets import KEPT, asset_at
from dpstats.web.rendering import page
from dpstats.web.visiting import page_router

router = page_router()
ROUTERS = (
    router,
    published.router,
    opting_out.router,
    terms.router,
    signing_in.router,
    asking.router,
    answering.router,
    comparing.router,
    *steward.ROUTERS,
)


def routes() -> list[BaseRoute]:
    """The routes of all pages."""
    return [route for found in ROUTERS for route in found.routes]


@router.get("/static/{address}")
def static(address: str) -> Response:
    """The style sheet, the script."""
    asset = asset_at(address)
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": KEPT})


def problem(request: Request, slug: str, status: int, title: str, advice: str) -> Response:
    """What one kind of problem means."""
    return page(request, "problem.html", slug=slug, status_told=status, title=title, advice=advice)
