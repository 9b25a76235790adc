"""The landing page, signing in with a token, and signing out."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from fastapi import Request, Response

from dpstats.errors import Conflict, RateLimited
from dpstats.web.navigation import home_of
from dpstats.web.rendering import done, page
from dpstats.web.visiting import (
    DOORSTEP,
    SESSION,
    Sent,
    Visit,
    delete_cookie,
    page_router,
    sign_in_cookie,
    visitor_of,
)
from dpstats.workspace import Workspace

TRIES, SPAN_S = 20, 60
"""Sign-ins, and refusals on the opt-out page, that one address may try in a span, in each process."""
ADDRESSES_MAX = 10_000
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x1f]*")

router = page_router()


class Tries:
    """Counts one kind of form, by address, right and wrong ones alike. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._tried: dict[str, list[float]] = {}

    def take(self, address: str) -> None:
        """Counts one.

        Raises:
          RateLimited: there were too many lately; says in how many seconds there may be another.
        """
        now = self._clock()
        with self._lock:
            lately = [moment for moment in self._tried.pop(address, []) if now - moment < SPAN_S]
            self._tried[address] = lately
            if len(self._tried) > ADDRESSES_MAX:
                del self._tried[next(iter(self._tried))]
            if len(lately) >= TRIES:
                raise RateLimited(max(1, math.ceil(SPAN_S - (now - lately[0]))))
            lately.append(now)


@router.get("/")
def landing(request: Request) -> Response:
    """What this is, and the sign-in form; whoever is signed in begins where their work is."""
    visitor = visitor_of(request)
    if visitor is not None:
        return done(request, home_of(visitor.identity))
    return page(request, "landing.html", onward="/", wrong=False)


@router.get("/welcome")
def welcome(request: Request, visit: Visit) -> Response:
    """For whoever has no section of their own."""
    return page(request, "welcome.html", role=visit.identity.role)


@router.post("/sign-in")
def sign_in(request: Request, sent: Sent) -> Response:
    """Takes a token; one that is unknown, expired or revoked is refused in the same words."""
    workspace: Workspace = request.app.state.workspace
    request.app.state.sign_in_tries.take(request.client.host if request.client else "")
    onward = sent.get("onward", "/") if _LOCAL.fullmatch(sent.get("onward", "/")) else "/"
    secret = workspace.store.sessions.begin(sent.get("token", "").strip())
    if secret is None:
        return page(request, "sign_in.html", HTTPStatus.UNAUTHORIZED, onward=onward, ended=False, wrong=True)
    _accept(workspace, secret, sent.get("terms", ""))
    response = done(request, onward)
    sign_in_cookie(request, response, secret)
    delete_cookie(request, response, DOORSTEP)
    return response


def _accept(workspace: Workspace, secret: str, version: str) -> None:
    """Accepts the terms whose box was ticked; of a version that is not in force any more, nothing is accepted."""
    identity = workspace.store.sessions.find(secret)
    found = workspace.terms.public()
    if identity is not None and found is not None and version == str(found["version"]):
        with suppress(Conflict):
            workspace.terms.accept(identity, found["version"])


@router.post("/sign-out")
def sign_out(request: Request, visit: Visit) -> Response:
    """Ends the sign-in, here and wherever else its cookie may be."""
    visit.workspace.store.sessions.end(visit.secret)
    response = done(request, "/")
    delete_cookie(request, response, SESSION)
    return response
