"""The terms for recipients: for everybody to read, and to accept for whoever is signed in."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response

from dpstats.errors import InvalidParameters
from dpstats.web.rendering import done, page
from dpstats.web.visiting import Sent, Visit, page_router, visitor_of
from dpstats.workspace import Workspace

router = page_router()


@router.get("/terms")
def read(request: Request) -> Response:
    """The terms in force, and the way to accept them."""
    return terms_page(request)


def terms_page(request: Request, status: int = HTTPStatus.OK) -> Response:
    """The terms; in place of a page whose visitor has not accepted them yet, with that page's refusal as status."""
    workspace: Workspace = request.app.state.workspace
    visitor = visitor_of(request)
    owed = visitor is not None and workspace.terms.one(visitor.identity)["owed"]
    return page(request, "terms.html", status, found=workspace.terms.public(), owed=owed)


@router.post("/terms")
def accept(request: Request, visit: Visit, sent: Sent) -> Response:
    """Accepts the version that was read; refused if another one is in force by now."""
    version = sent.get("version", "")
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise InvalidParameters({"version": "must be the number of the terms in force"})
    visit.workspace.terms.accept(visit.identity, int(version))
    return done(request, "/", f"You accepted version {version} of the terms.")
