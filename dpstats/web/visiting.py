"""Who visits the pages: the sign-in in a cookie, the proof that a form is the visitor's, and routes that ask for it.

The cookie is HttpOnly, SameSite=Strict, and Secure under HTTPS. It holds a secret of the sign-in's own, never the
token; what a form must hold is made from that secret, so no other site can send one. `PageRoute` checks every POST.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from dpstats.errors import ForeignForm, InvalidParameters, Unauthorized
from dpstats.ledger.sessions import LIFE
from dpstats.ledger.tokens import Identity
from dpstats.workspace import Workspace

SESSION, DOORSTEP = "dpstats-session", "dpstats-doorstep"
"""Cookies: a sign-in's secret; and one that only ties the sign-in form to the browser that it was shown to."""
NO_VISITORS = ("/v1/", "/health/", "/metrics/", "/static/", "/openapi.json/")
"""What is not a page: cookies count for nothing there."""
FIELDS_MAX = 1000

OPT_OUT = "/opt-out"
DOORSTEP_FORMS = {"/sign-in", OPT_OUT}
"""Forms that may be sent without being signed in: each is tied to the cookie of the doorstep."""

Form = Mapping[str, str]
"""A form's fields; of a field that came twice, the last."""


@dataclass(frozen=True)
class Visitor:
    """Whose pages these are. `workspace` has the methods that the API and the command line call too."""

    workspace: Workspace
    identity: Identity
    secret: str

    def __repr__(self) -> str:
        return f"Visitor({self.identity.name})"


def is_page(path: str) -> bool:
    """Whether an address is one for people."""
    return not f"{path}/".startswith(NO_VISITORS)


class SessionFirst:
    """Finds out who visits a page, anew for each request: a token that was revoked ends its sign-ins at once."""

    def __init__(self, app: ASGIApp, workspace: Workspace) -> None:
        self._app, self._workspace = app, workspace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_page(scope["path"]):
            secret = cookie(Request(scope), SESSION)
            identity = await run_in_threadpool(self._workspace.store.sessions.find, secret) if secret else None
            if identity is not None:
                visitor = Visitor(self._workspace, identity, secret)
                scope.setdefault("state", {}).update(visitor=visitor, identity=identity)
        await self._app(scope, receive, send)


def visitor_of(request: Request) -> Visitor | None:
    """Who visits, None if nobody is signed in."""
    found = getattr(request.state, "visitor", None)
    return found if isinstance(found, Visitor) else None


def proof(secret: str, what: str = "form") -> str:
    """What only a page that knows a cookie's secret can hold."""
    return hmac.new(secret.encode(), f"dpstats {what}".encode(), hashlib.sha256).hexdigest()


class PageRoute(APIRoute):
    """A route of pages. A POST holds a form with the proof that a page of this very browser sent it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method == "POST":
                form = _fields(await request.body())
                _check(request, form)
                request.state.form = form
            return await handle(request)

        return checked


def page_router() -> APIRouter:
    """A router whose routes are pages: not in OpenAPI, every POST checked."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
    except ValueError:
        raise InvalidParameters({"form": "cannot be read"}) from None


def _check(request: Request, form: Form) -> None:
    """Refuses a form from elsewhere: what needs no sign-in is tied to the doorstep's cookie, all else to the sign-in.

    Raises:
      Unauthorized: nobody is signed in, or not any more. ForeignForm: it is from elsewhere.
    """
    visitor = visitor_of(request)
    secret = visitor.secret if visitor else cookie(request, DOORSTEP)
    if visitor is None and request.url.path not in DOORSTEP_FORMS:
        raise Unauthorized
    elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}
    if elsewhere or not secret or not hmac.compare_digest(proof(secret).encode(), form.get("proof", "").encode()):
        raise ForeignForm


async def _visit(request: Request) -> Visitor:
    visitor = visitor_of(request)
    if visitor is None:
        raise Unauthorized
    return visitor


async def _form(request: Request) -> Form:
    found: Form = request.state.form
    return found


Visit = Annotated[Visitor, Depends(_visit)]
"""Whoever is signed in; nobody else gets past it."""
Sent = Annotated[Form, Depends(_form)]
"""The fields of a form that was sent, already known to be the visitor's own."""


def cookie(request: Request, name: str) -> str:
    """What a cookie holds; empty if it did not come."""
    return request.cookies.get(_named(request, name), "")


def set_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Sets a cookie that no script reads and no other site sends."""
    secure = _is_https(request)
    response.set_cookie(
        _named(request, name), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict"
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Has the browser forget a cookie."""
    response.delete_cookie(_named(request, name), path="/")


def _named(request: Request, name: str) -> str:
    # A browser sends cookies to every port of a host: a sandbox beside the real service must not end its sign-ins.
    return f"{name}-sandbox" if request.app.state.workspace.sandbox else name


def sign_in_cookie(request: Request, response: Response, secret: str) -> None:
    """The cookie of a sign-in, for as long as that lives."""
    set_cookie(request, response, SESSION, secret, seconds=int(LIFE.total_seconds()))


def _is_https(request: Request) -> bool:
    # Behind a proxy that ends TLS. Whoever forges the header only keeps their own cookie from themselves.
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "")}
