"""What happens around every request, outermost first: `Watch`, `TokenFirst`, `SessionFirst` of the
pages, `RateLimit`, `WholeBody`.

Nothing of a request is looked at before its token. No log line holds a token, a parameter, a name that was asked for,
or the text of an exception.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dpstats.api.in_turn import InTurn
from dpstats.api.logs import outcome_fields
from dpstats.api.metrics import Metrics
from dpstats.api.oidc import Issuer, is_jwt
from dpstats.api.outcome import PEOPLES_OWN, PROBLEM, Outcome, asking_of, asks_below, outcome_of
from dpstats.api.problems import TOO_LARGE, RequestRefused, answer_to, internal_error, problem_of
from dpstats.errors import Unauthorized
from dpstats.ledger.asked import AskedLog
from dpstats.ledger.recent import FOREVER, Recent
from dpstats.ledger.tokens import Identity, secret_hash
from dpstats.workspace import Workspace

MAX_BODY_BYTES = 1024 * 1024
REQUEST_HEADER = "Dpstats-Request"
"""Names the request in the log."""

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# As they are sent: made once, for they are on every answer.
_HEALTH = "GET /health/"
_REQUEST_HEADER = REQUEST_HEADER.lower().encode()
_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

log = logging.getLogger("dpstats.api")


class Watch:
    """Names each request, logs, counts and notes its outcome, explains what failed, sets the security headers.

    What people ask for themselves is not counted: `/metrics` needs no token, and would show that one of them came.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, asked: AskedLog) -> None:
        self._app, self._metrics, self._asked = app, metrics, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(8)}"
        sent = _Sent(send, request_id)
        began = time.perf_counter()
        counts = not asks_below(scope, PEOPLES_OWN)
        if counts:
            self._metrics.begin()
        try:
            await self._answered(request_id, scope, receive, sent)
        finally:
            # Cancelled ones too: what was begun is ended.
            seconds = time.perf_counter() - began
            outcome = outcome_of(scope, request_id=request_id, status=sent.status, seconds=seconds)
            if counts:
                self._metrics.end(outcome)
            _log(outcome)
            asking = asking_of(scope, outcome)
            if asking is not None:
                self._asked.note(asking)

    async def _answered(self, request_id: str, scope: Scope, receive: Receive, sent: _Sent) -> None:
        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            await self._answer(error, request_id, scope, receive, sent)

    async def _answer(self, error: Exception, request_id: str, scope: Scope, receive: Receive, sent: _Sent) -> None:
        problem = problem_of(error)
        if problem is None:
            failed = outcome_of(scope, request_id=request_id, status=sent.status, seconds=0)
            log.error(
                "%s failed: %s, %s", failed.line, type(error).__name__, request_id, extra={"request_id": request_id}
            )
            problem = internal_error(request_id)
        scope[PROBLEM] = problem.slug
        if not sent.status:
            await answer_to(Request(scope), error, problem)(scope, receive, sent)


IDENTITIES_KNOWN = 10_000
"""Tokens that are remembered for as long as the ledger stays as it is."""
PUBLIC = "/v1/transparency"
"""The one address under `/v1` that is for everybody."""


class TokenFirst:
    """All else under `/v1`, even what is not there, needs a valid token; it is checked anew for each request.

    Of a token that was read since the ledger last changed, what it is is known (see `ledger.recent`): only that nothing
    changed, and that its time is not over, is checked.
    """

    def __init__(self, app: ASGIApp, workspace: Workspace, issuer: Issuer | None = None) -> None:
        self._app, self._tokens, self._issuer = app, workspace.store.tokens, issuer
        self._known: Recent[str, Identity] = Recent(
            workspace.store.commits, workspace.store.registry.now, IDENTITIES_KNOWN
        )
        self._reading: InTurn[str] = InTurn()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] + "/").startswith("/v1/") and scope["path"] != PUBLIC:
            scope.setdefault("state", {})["identity"] = await self._identity(Headers(scope=scope))
        await self._app(scope, receive, send)

    async def _identity(self, headers: Headers) -> Identity:
        token = _token(headers.getlist("authorization"))
        if token and self._issuer is not None and is_jwt(token):
            return await self._issuer.identity(token)
        if not token:
            raise Unauthorized
        secret = secret_hash(token)
        known = self._known.find(secret)
        if known is not None:
            return known
        if self._known.since() is None:  # nothing can be remembered: nobody would find what another read
            return await self._read(token, secret)
        async with self._reading.turn(secret):
            return self._known.find(secret) or await self._read(token, secret)

    async def _read(self, token: str, secret: str) -> Identity:
        since = self._known.since()
        found = await run_in_threadpool(self._tokens.recognise, token)
        if found is None:
            raise Unauthorized
        self._known.keep(secret, found.identity, since, found.until or FOREVER)
        return found.identity


class WholeBody:
    """Reads a request's body before anything else does, up to `MAX_BODY_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 15 or int(declared) > MAX_BODY_BYTES):
            raise RequestRefused(TOO_LARGE)
        body = await _read(receive)
        if body is not None:
            await self._app(scope, _Again(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None if the caller went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise RequestRefused(TOO_LARGE)
        if not message.get("more_body", False):
            return bytes(body)


class _Again:
    """Receives a body that was read already, then whatever comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._first: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        first, self._first = self._first, None
        return await self._receive() if first is None else first


class _Sent:
    """Sends on, with the headers that every response has, and remembers the status; 0 before there is one."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, given = message["status"], list(message["headers"])
            names = {name for name, _ in given}
            own = [header for header in _SECURITY_HEADERS if header[0] not in names]
            message = {**message, "headers": [*given, *own, (_REQUEST_HEADER, self._request_id.encode())]}
        await self._send(message)


def _token(headers: Iterable[str]) -> str | None:
    """The token of the one `Authorization` header, None if there is none, or more than one, or of another scheme."""
    match [header.split() for header in headers]:
        case [[scheme, token]] if scheme.lower() == "bearer":
            return str(token)
        case _:
            return None


def _log(outcome: Outcome) -> None:
    if not log.isEnabledFor(logging.INFO) or (outcome.line.startswith(_HEALTH) and outcome.status == 200):
        return  # a healthy service need not say so every few seconds
    fields = outcome_fields(outcome)
    said = (outcome.line, outcome.status, fields["ms"], outcome.request_id)
    # Made here, as `log.info` does, but for its walk through the stack: no line tells its place in the code.
    log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "%s %s %s ms %s", said, None, extra=fields))
