"""The public pages as HTML. Every value is escaped; a page names no dataset, query or person."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

import dpstats


def landing() -> str:
    """What this service is, and where to go on."""
    return _environment().get_template("landing.html").render(version=dpstats.__version__)


def problem(slug: str, status: int, title: str, advice: str) -> str:
    """What one kind of problem means."""
    page = _environment().get_template("problem.html")
    return page.render(version=dpstats.__version__, slug=slug, status=status, title=title, advice=advice)


@lru_cache(maxsize=1)
def style() -> str:
    """The one style sheet."""
    return (resources.files("dpstats.web") / "templates" / "style.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dpstats.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
