"""Pages for everybody: the privacy notice, and what was asked of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from markupsafe import Markup

from dpstats.rights.notice import read_in_place
from dpstats.rights.notice_text import NOBODY_SAID, acts_for, category_name, from_where, got_by, kept_for
from dpstats.rights.transparency_text import data_lines
from dpstats.web.assets import asset_named
from dpstats.web.rendering import environment, page
from dpstats.web.visiting import page_router
from dpstats.workspace import Workspace

LAYOUT = "base.html"
"""What the pages are set in when they are served; built to a file, they stand alone."""

_WORDS: dict[str, Any] = {
    "acts_for": acts_for,
    "kept_for": kept_for,
    "category_name": category_name,
    "from_where": from_where,
    "read_in_place": read_in_place,
    "got_by": got_by,
    "nobody_said": NOBODY_SAID,
}
"""How the notice's page says what the notice's text says too."""

router = page_router()


@router.get("/privacy")
def privacy(request: Request) -> Response:
    """What is collected, what for, for how long, and what people can do."""
    workspace: Workspace = request.app.state.workspace
    notice = workspace.publishing.notice()
    return page(request, "privacy.html", layout=LAYOUT, notice=notice, **_WORDS)


@router.get("/transparency")
def transparency(request: Request) -> Response:
    """Which questions are approved, what their answers cost, and what is left."""
    workspace: Workspace = request.app.state.workspace
    report = workspace.publishing.transparency()
    return page(request, "transparency.html", layout=LAYOUT, report=report, data_lines=data_lines)


def privacy_alone(notice: Mapping[str, Any]) -> str:
    """The notice as one HTML file that needs nothing else."""
    return _alone("privacy.html", notice=notice, **_WORDS)


def transparency_alone(report: Mapping[str, Any]) -> str:
    """The report as one HTML file that needs nothing else."""
    return _alone("transparency.html", report=report, data_lines=data_lines)


def _alone(template: str, **values: Any) -> str:
    style = Markup(asset_named("style.css").content.decode())  # noqa: S704 (our own style sheet)
    return environment().get_template(template).render(**values, layout="alone.html", style=style)
