"""What a sandbox answers says so: a header on everything, `"sandbox": true` in JSON, a line on top of every page."""

from __future__ import annotations

import json
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "Dpstats-Sandbox"
LINE = b'<p class="sandbox" role="note"><strong>Sandbox.</strong> All data here are invented; no number is real.</p>'
_JSON = ("application/json", "application/problem+json")
_UNMARKED = ("/openapi.json",)
"""Its form is another's: it says in its title what it describes."""


class Marked:
    """Marks every answer of a sandbox, whichever route or middleware made it. Stands around all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Nothing is packed on the way: what is packed could not be marked.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, _Marking(send, scope["path"]))


class _Marking:
    """Sends on with the mark. JSON and pages are held back until they are whole; anything else passes through."""

    def __init__(self, send: Send, path: str) -> None:
        self._send, self._path = send, path
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers[HEADER] = "true"
            if _kind(headers) in (*_JSON, "text/html") and self._path not in _UNMARKED:
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._whole(self._start)
            return
        await self._send(message)

    async def _whole(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        body = _marked(bytes(self._body), _kind(headers))
        if self._body:  # the length of an answer to HEAD is not its own
            headers["Content-Length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _kind(headers: MutableHeaders) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip()


def _marked(body: bytes, kind: str) -> bytes:
    if kind == "text/html":
        titled = re.sub(rb"<title>", b"<title>Sandbox: ", body, count=1)
        return re.sub(rb"(<body[^>]*>)", lambda found: found[1] + b"\n" + LINE, titled, count=1)
    value = json.loads(body) if body else None
    if not isinstance(value, dict):
        return body
    return json.dumps({"sandbox": True} | value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
