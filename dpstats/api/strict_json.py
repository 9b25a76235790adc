"""Request bodies, read strictly: JSON and nothing else, numbers exact, each key once, text that is text."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from dpstats.api.problems import NOT_JSON, RequestRefused


def parse(body: bytes) -> Any:
    """The value of a JSON text; numbers with a point or an exponent are `Decimal`, exactly as written.

    Raises:
      JSONDecodeError: it is not JSON, a key comes twice, a number is too long, a text holds half a character, or it
        is nested too deep.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_float=_number, parse_constant=_no_number, object_pairs_hook=_object)
        # A lone surrogate is no character: no database and no answer could hold it.
        json.dumps(value, default=str, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError:
        raise
    except UnicodeError:
        raise json.JSONDecodeError("text that is not Unicode", "", 0) from None
    except RecursionError:
        raise json.JSONDecodeError("nested too deep", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(
            str(error) if isinstance(error, _Refused) else "a number is too long", "", 0
        ) from None
    return value


class StrictRoute(APIRoute):
    """A route whose body is read by `parse`, and refused if it is not sent as JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def read_strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            if await strict.body() and not _is_json(request.headers.get("content-type", "")):
                raise RequestRefused(NOT_JSON)
            return await handler(strict)

        return read_strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse(await self.body())


class _Refused(ValueError):
    """JSON that Python reads and we do not."""


def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    kind = message.get_content_type()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _number(text: str) -> Decimal:
    if len(text) > 100:
        raise _Refused("a number is too long")
    return Decimal(text)


def _no_number(name: str) -> Any:
    raise _Refused(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("a key comes twice")
    return found
