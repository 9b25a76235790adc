"""Templates to responses: every value escaped, nothing taken from elsewhere, the visitor's navigation around it."""

from __future__ import annotations

import base64
import hmac
import secrets
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

import dpstats
from dpstats.web import words
from dpstats.web.assets import address_of
from dpstats.web.navigation import sections_of
from dpstats.web.visiting import DOORSTEP, Visitor, cookie, delete_cookie, proof, set_cookie, visitor_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SAID = "dpstats-said"
"""The cookie with what was done, shown once on the next page."""


def page(request: Request, template: str, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """A page for whoever visits. Templates know `visitor` (None outside), `path`, `proof` and what is in `values`.

    `terms()` gives what recipients accept, None if nobody is asked: only a page that shows it looks it up.
    """
    visitor, doorstep = visitor_of(request), cookie(request, DOORSTEP) or secrets.token_urlsafe(32)
    body = (
        environment()
        .get_template(template)
        .render(
            **values,
            visitor=visitor,
            sections=sections_of(visitor.identity) if visitor else (),
            path=request.url.path,
            proof=proof(visitor.secret if visitor else doorstep),
            said=_said(request, visitor),
            terms=request.app.state.workspace.terms.public,
        )
    )
    response = HTMLResponse(body, status, {"Content-Security-Policy": CONTENT_SECURITY_POLICY})
    if visitor is None:
        set_cookie(request, response, DOORSTEP, doorstep)
    if cookie(request, SAID):
        delete_cookie(request, response, SAID)
    return response


def fragment(template: str, **values: Any) -> Response:
    """A part of a page, for the script that puts it there."""
    body = environment().get_template(template).render(**values)
    return HTMLResponse(body, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def done(request: Request, path: str, said: str = "") -> Response:
    """Leads on after a form was done, to a page that says once what was done."""
    response = RedirectResponse(path, HTTPStatus.SEE_OTHER)
    visitor = visitor_of(request)
    if said and visitor:
        text = base64.urlsafe_b64encode(said.encode()).decode()
        set_cookie(request, response, SAID, f"{text}.{proof(visitor.secret, text)}", seconds=60)
    return response


def _said(request: Request, visitor: Visitor | None) -> str:
    """What was done, if this sign-in wrote it."""
    text, _, signed = cookie(request, SAID).partition(".")
    if visitor is None or not hmac.compare_digest(signed.encode(), proof(visitor.secret, text).encode()):
        return ""
    return base64.urlsafe_b64decode(text).decode()


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates."""
    made = Environment(
        loader=PackageLoader("dpstats.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"asset": address_of, "version": dpstats.__version__}
    made.filters |= words.FILTERS
    return made
