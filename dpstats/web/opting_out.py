"""The opt-out form, for everybody: an id, one button, and a page that says what became of it."""

from __future__ import annotations

from fastapi import Request, Response

from dpstats.errors import InvalidParameters
from dpstats.web.rendering import page
from dpstats.web.visiting import OPT_OUT, Sent, page_router
from dpstats.workspace import Workspace

FIELDS = {"proof", "unit"}
"""All that is asked. Anything more is refused, and kept nowhere."""
SIGNAL = "sec-gpc"

router = page_router()


@router.get(OPT_OUT)
def form(request: Request) -> Response:
    """Asks for an id, and for nothing else; where a service provider holds the data, says whom to ask instead."""
    elsewhere = request.app.state.workspace.opting_out.elsewhere
    return page(request, "opt_out.html", signal=_has_signal(request), wrong="", unit="", elsewhere=elsewhere)


@router.post(OPT_OUT)
def refuse(request: Request, sent: Sent) -> Response:
    """Keeps the refusal, and shows its receipt."""
    request.app.state.opt_out_tries.take(request.client.host if request.client else "")
    workspace: Workspace = request.app.state.workspace
    if set(sent) - FIELDS:
        raise InvalidParameters({"form": "takes an id and nothing else"})
    unit = sent.get("unit", "").strip()
    try:
        receipt = workspace.opting_out.refuse(unit, source="gpc" if _has_signal(request) else "form")
    except InvalidParameters as error:
        wrong = error.problems.get("unit", "This cannot be kept.")
        told = {"wrong": f"The id {wrong}.", "unit": unit, "elsewhere": ""}
        return page(request, "opt_out.html", 422, signal=_has_signal(request), **told)
    return _status(request, workspace, receipt)


@router.get(OPT_OUT + "/{receipt}")
def status(request: Request, receipt: str) -> Response:
    """What became of a refusal."""
    return _status(request, request.app.state.workspace, receipt)


def _status(request: Request, workspace: Workspace, receipt: str) -> Response:
    return page(request, "opted_out.html", refusal=workspace.opting_out.status(receipt))


def _has_signal(request: Request) -> bool:
    """Whether the browser asks for it already: this page is ours, so the header is the visitor's own."""
    return request.headers.get(SIGNAL) == "1"
