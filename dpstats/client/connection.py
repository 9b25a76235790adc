"""Requests to one service: sent, sent again where that is safe, and every failure turned into one of our errors.

`Connection` waits and `AsyncConnection` awaits; what is sent, what an answer means and when it is worth another try are
the same functions for both.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Iterator
from secrets import SystemRandom
from typing import Any, TypeVar

import anyio
import httpx

import dpstats
from dpstats.client.calls import Answer, Call, Flow, Paged
from dpstats.client.errors import (
    BadAnswer,
    ClientError,
    ConnectionFailed,
    RateLimited,
    TimedOut,
    Unavailable,
    of_problem,
)

T = TypeVar("T")

PAUSES_S = (0.1, 0.5)
"""How long to wait, at least, before the second try and before the third, which is the last."""

PAUSES_ONCE_HEARD_S = (0.1, 0.5, 1.0, 2.0, 4.0)
"""The same where a connection broke that was there: the service may start anew. The last is of all after it."""

LONGEST_PAUSE_S = 30.0
"""A service that asks for a longer pause is not waited for: the caller is told, and decides."""

_NOT_HEARD = (httpx.ConnectError, httpx.ConnectTimeout)
_WORTH_ANOTHER_TRY = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
_HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
_PROBLEM = "application/problem+json"
_CHANCE = SystemRandom()


class Connection:
    """Sends requests with a token. Thread-safe."""

    def __init__(
        self, url: str, token: str, timeout_s: float, patience_s: float, transport: httpx.BaseTransport | None
    ) -> None:
        self.url, self._patience_s = _checked(url), patience_s
        self._http = httpx.Client(transport=transport, **_how(self.url, token, timeout_s))

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    def carry(self, flow: Flow[T]) -> T:
        """Carries a flow out: sends what it asks, gives it the answers, returns what it returns."""
        answer: Any = None
        while True:
            try:
                call = flow.send(answer)
            except StopIteration as ended:
                value: T = ended.value
                return value
            answer = self.send(call)

    def each(self, paged: Paged) -> Iterator[dict[str, Any]]:
        """The items of a list, a page at a time."""
        call: Call | None = paged.first
        while call is not None:
            items, call = paged.read(call, self.send(call))
            yield from items

    def send(self, call: Call) -> Any:
        """The JSON of the answer, None if it has no body.

        Raises:
          ClientError: the service refused, did not answer, or answered something else.
        """
        tries = Tries(call, self._patience_s)
        while True:
            try:
                return self._once(call)
            except ClientError as error:
                pause = tries.pause_s(error)
                if pause is None:
                    raise
            time.sleep(pause)

    def _once(self, call: Call) -> Any:
        try:
            response = self._http.request(call.method, call.path, **_sent(call))
        except _HTTPX_ERRORS as error:
            raise _ours(error, self.url) from error
        return _answer(response)


class AsyncConnection:
    """The same for a caller with an event loop, asyncio's or trio's."""

    def __init__(
        self, url: str, token: str, timeout_s: float, patience_s: float, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.url, self._patience_s = _checked(url), patience_s
        self._http = httpx.AsyncClient(transport=transport, **_how(self.url, token, timeout_s))

    async def close(self) -> None:
        """Closes every connection."""
        await self._http.aclose()

    async def carry(self, flow: Flow[T]) -> T:
        """Carries a flow out: sends what it asks, gives it the answers, returns what it returns."""
        answer: Any = None
        while True:
            try:
                call = flow.send(answer)
            except StopIteration as ended:
                value: T = ended.value
                return value
            answer = await self.send(call)

    async def each(self, paged: Paged) -> AsyncIterator[dict[str, Any]]:
        """The items of a list, a page at a time."""
        call: Call | None = paged.first
        while call is not None:
            items, call = paged.read(call, await self.send(call))
            for item in items:
                yield item

    async def send(self, call: Call) -> Any:
        """The JSON of the answer, None if it has no body.

        Raises:
          ClientError: the service refused, did not answer, or answered something else.
        """
        tries = Tries(call, self._patience_s)
        while True:
            try:
                return await self._once(call)
            except ClientError as error:
                pause = tries.pause_s(error)
                if pause is None:
                    raise
            await anyio.sleep(pause)

    async def _once(self, call: Call) -> Any:
        try:
            response = await self._http.request(call.method, call.path, **_sent(call))
        except _HTTPX_ERRORS as error:
            raise _ours(error, self.url) from error
        return _answer(response)


class Tries:
    """How often one call was sent, and whether it is sent again.

    A service that was never reached is tried three times. Once a connection broke that was there, it is looked for
    until `patience_s` are over.
    """

    def __init__(self, call: Call, patience_s: float) -> None:
        self._call, self._patience_s = call, patience_s
        self._tried, self._broke_at = 0, math.inf

    def pause_s(self, error: ClientError) -> float | None:
        """Seconds to wait before the call is sent again, after this error; None: never.

        At least what the service asks for, and a little more by chance: callers that were turned away together come
        back one by one.
        """
        if not self._call.again or error.retry_after_s is None or error.retry_after_s > LONGEST_PAUSE_S:
            return None
        if not isinstance(error, ConnectionFailed | Unavailable | RateLimited):
            return None
        now, heard = time.monotonic(), not isinstance(error.__cause__, _NOT_HEARD)
        if heard and isinstance(error, ConnectionFailed):
            self._broke_at = min(self._broke_at, now)
        pauses = PAUSES_S if math.isinf(self._broke_at) else PAUSES_ONCE_HEARD_S
        if self._tried >= len(PAUSES_S) and not now < self._broke_at + self._patience_s < math.inf:
            return None
        least = pauses[min(self._tried, len(pauses) - 1)]
        self._tried += 1
        return max(error.retry_after_s, least) + least * _CHANCE.random()


def _how(url: str, token: str, timeout_s: float) -> dict[str, Any]:
    return {
        "base_url": url,
        "headers": {
            "Authorization": f"Bearer {_checked_token(token)}",
            "Accept": "application/json",
            "User-Agent": f"dpstats/{dpstats.__version__}",
        },
        "timeout": timeout_s,
        "follow_redirects": False,  # a token goes where it was meant to go, and nowhere else
    }


def _sent(call: Call) -> dict[str, Any]:
    json_body = {} if call.body is None else {"Content-Type": "application/json"}
    return {"params": dict(call.params), "content": call.body, "headers": {**call.headers, **json_body}}


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not the address of a service: give one like http://127.0.0.1:8471")
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("that is not a token: a steward makes one with `dpstats token create`")
    return token


def _ours(error: Exception, url: str) -> ClientError:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    ours: ClientError
    match error:
        case httpx.TimeoutException():
            ours = TimedOut(f"{url} did not answer in time ({what}): try again, or give a longer timeout_s")
        case httpx.TransportError():
            ours = ConnectionFailed(f"{url} was not reached ({what}): is the service running there?")
        case _:
            ours = BadAnswer(f"{url} answered something that cannot be read ({what}): is it a dpstats service?")
    if isinstance(error, _WORTH_ANOTHER_TRY):
        ours.retry_after_s = 0
    return ours


def _answer(response: httpx.Response) -> Any:
    if response.status_code in (httpx.codes.NO_CONTENT, httpx.codes.NOT_MODIFIED):
        return None
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    try:
        body = json.loads(response.content) if kind in ("application/json", _PROBLEM) else None
    except ValueError:
        body = None
    if response.is_success and isinstance(body, dict):
        answer = Answer(body)
        answer.etag = response.headers.get("ETag", "")
        return answer
    if kind == _PROBLEM and isinstance(body, dict):
        error = of_problem(body, response.status_code)
        asked = response.headers.get("Retry-After", "")
        error.retry_after_s = float(asked) if asked.isdecimal() else None
        raise error
    raise BadAnswer(
        f"{response.url.copy_with(query=None)} answered status {response.status_code} as {kind or 'nothing'}: "
        "is it a dpstats service?",
        status=response.status_code,
    )
