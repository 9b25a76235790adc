"""Replays, given again as they were sent while the ledger stays as it is.

A replay is a function of who asks, what is asked, the ledger and the clock: whether it may be given at all (the token's
datasets, the approval, a freeze, a withdrawal) and what it says of the budget are read from the ledger, and the rest of
it is stored there. So an answer that was made for the same caller, address, body and headers that count is the answer,
for as long as `ledger.recent` knows that nothing was committed since before it was made. Nothing else is remembered: a
new release, a refusal and whatever comes with an `Idempotency-Key` go all the way.

It stands behind the token's check, the rate limit and the body's, and before the log and the metrics, which see these
requests as any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dpstats.api.in_turn import InTurn
from dpstats.ledger.recent import Recent
from dpstats.ledger.tokens import Identity
from dpstats.workspace import Workspace

GIVEN_UNTIL = "dpstats.given_until"
"""Where a request's scope holds until when its answer may be given again, None if it may not."""

KEPT_BYTES = 32 * 1024 * 1024
"""Of all replays that one process remembers."""

_PATH = re.compile(r"/v1/queries/[^/]+/releases")
_COUNT = (b"accept", b"content-type")
"""Request headers that an answer depends on, beside the token."""
_OWN = 200
"""About what a remembered answer takes beside its bytes."""


@dataclass(frozen=True)
class _Asked:
    """Everything that a replay depends on, but the ledger and the clock."""

    identity: Identity
    path: str
    query_string: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def size(self) -> int:
        return len(self.path) + len(self.query_string) + _size(self.headers) + len(self.body)


@dataclass(frozen=True)
class _Sent:
    """An answer's headers and body, and the route that gave it."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    route: Any
    path_params: dict[str, Any]

    @property
    def size(self) -> int:
        return len(self.body) + _size(self.headers) + _OWN


class Replays:
    """Answers what was answered before from memory, if it would be answered the same. Stands behind `WholeBody`."""

    def __init__(self, app: ASGIApp, workspace: Workspace) -> None:
        self._app, store = app, workspace.store
        self._recent: Recent[_Asked, _Sent] = Recent(
            store.commits, store.registry.now, KEPT_BYTES, lambda asked, sent: asked.size + sent.size
        )
        self._reading: InTurn[_Asked] = InTurn()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_asked_for(scope):
            await self._app(scope, receive, send)
            return
        message = await receive()  # the whole body: `WholeBody` gives it at once
        asked = _asked(scope, message)
        found = self._recent.find(asked)
        if found is None:
            async with self._turn(asked):
                found = self._recent.find(asked)
                if found is None:
                    await self._answered(asked, scope, _Again(message, receive), send)
                    return
        await _give_again(found, scope, send)

    def _turn(self, asked: _Asked) -> AbstractAsyncContextManager[None]:
        """Who asks for what was a replay until the last commit takes turns; whoever may pay waits for nobody here."""
        return self._reading.turn(asked) if self._recent.had(asked) else nullcontext()

    async def _answered(self, asked: _Asked, scope: Scope, receive: Receive, send: Send) -> None:
        since, sending = self._recent.since(), _Sending(send)
        await self._app(scope, receive, sending)
        until = scope.get(GIVEN_UNTIL)
        if sending.body is not None and isinstance(until, datetime):
            self._recent.keep(
                asked,
                _Sent(sending.headers, sending.body, scope.get("route"), scope.get("path_params", {})),
                since,
                until,
            )


class _Again:
    """Receives a message that was received already, then whatever comes after it."""

    def __init__(self, message: Message, receive: Receive) -> None:
        self._first: Message | None = message
        self._receive = receive

    async def __call__(self) -> Message:
        first, self._first = self._first, None
        return await self._receive() if first is None else first


class _Sending:
    """Sends on, and keeps what was sent: `body` stays None unless it was one whole answer with status 200."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ok = False
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.body: bytes | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Copied now: what stands around may add headers of this one request.
            self._ok, self.headers = message["status"] == 200, tuple(message["headers"])
        elif message["type"] == "http.response.body" and self._ok:
            whole = self.body is None and not message.get("more_body", False)
            self.body, self._ok = (message.get("body", b""), True) if whole else (None, False)
        await self._send(message)


async def _give_again(sent: _Sent, scope: Scope, send: Send) -> None:
    scope["route"], scope["path_params"] = sent.route, sent.path_params
    await send({"type": "http.response.start", "status": 200, "headers": list(sent.headers)})
    await send({"type": "http.response.body", "body": sent.body})


def _size(headers: Sequence[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _is_asked_for(scope: Scope) -> bool:
    """Whether it asks for a release, by a caller who is known, without a key that binds it."""
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and _PATH.fullmatch(scope["path"]) is not None
        and isinstance(scope.get("state", {}).get("identity"), Identity)
        and not any(name == b"idempotency-key" for name, _ in scope["headers"])
    )


def _asked(scope: Scope, message: Message) -> _Asked:
    headers = tuple((name, value) for name, value in scope["headers"] if name in _COUNT)
    return _Asked(scope["state"]["identity"], scope["path"], scope["query_string"], headers, message.get("body", b""))
