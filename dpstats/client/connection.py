"""Requests to one service: sent, sent again where that is safe, and every failure turned into one of our errors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

import dpstats
from dpstats.client.errors import BadAnswer, ClientError, ConnectionFailed, TimedOut, Unavailable, of_problem

PAUSES_S = (0.1, 0.5)
"""How long to wait, at least, before the second try and before the third, which is the last."""

LONGEST_PAUSE_S = 5.0

_WORTH_ANOTHER_TRY = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
_PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Call:
    """One request. `again`: sending it twice does no more than sending it once."""

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    again: bool = True


class Connection:
    """Sends requests with a token. Thread-safe."""

    def __init__(self, url: str, token: str, timeout_s: float, transport: httpx.BaseTransport | None) -> None:
        self.url = _checked(url)
        self._http = httpx.Client(
            base_url=self.url,
            headers={
                "Authorization": f"Bearer {_checked_token(token)}",
                "Accept": "application/json",
                "User-Agent": f"dpstats/{dpstats.__version__}",
            },
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,  # a token goes where it was meant to go, and nowhere else
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    def send(self, call: Call) -> Any:
        """The JSON of the answer, None if it has no body.

        Raises:
          ClientError: the service refused, did not answer, or answered something else.
        """
        for pause_s in PAUSES_S if call.again else ():
            try:
                return self._once(call)
            except (ConnectionFailed, Unavailable) as error:
                if error.retry_after_s is None:
                    raise
                time.sleep(max(pause_s, min(error.retry_after_s, LONGEST_PAUSE_S)))
        return self._once(call)

    def _once(self, call: Call) -> Any:
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._http.request(
                call.method, call.path, params=dict(call.params), content=call.body, headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError) as error:
            raise _ours(error, self.url) from error
        return _answer(response)


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
    if response.status_code == httpx.codes.NO_CONTENT:
        return None
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    try:
        body = json.loads(response.content) if kind in ("application/json", _PROBLEM) else None
    except ValueError:
        body = None
    if response.is_success and isinstance(body, dict):
        return body
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
