"""The clients: what can be asked, what it costs, the answers; and for stewards, budgets and approvals."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from dpstats.client import calls
from dpstats.client.calls import Flow, Paged
from dpstats.client.connection import AsyncConnection, Connection

P = ParamSpec("P")
T = TypeVar("T")
Item = dict[str, Any]


def _waiting(flow: Callable[P, Flow[T]]) -> Callable[Concatenate[Client, P], T]:
    """The method of `Client` that carries a flow out."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._connection.carry(flow(*args, **kwargs))

    return _like(method, flow)


def _awaiting(flow: Callable[P, Flow[T]]) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    """The method of `AsyncClient` that carries a flow out."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._connection.carry(flow(*args, **kwargs))

    return _like(method, flow)


def _each(paged: Callable[P, Paged]) -> Callable[Concatenate[Client, P], Iterator[Item]]:
    """The method of `Client` that goes through a list."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        return self._connection.each(paged(*args, **kwargs))

    return _like(method, paged)


def _each_awaiting(paged: Callable[P, Paged]) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Item]]:
    """The method of `AsyncClient` that goes through a list, with `async for`."""

    def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Item]:
        return self._connection.each(paged(*args, **kwargs))

    return _like(method, paged)


def _like(method: Callable[P, T], written: Callable[..., Any]) -> Callable[P, T]:
    """Gives a method the name, words and signature of the function that it stands for, with `self` before them."""
    functools.update_wrapper(method, written)
    del method.__wrapped__  # type: ignore[attr-defined]  # it has no `self`, and a signature would be read off it
    signature = inspect.signature(written)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    told = str(signature.return_annotation).removeprefix("Flow[").removesuffix("]")
    told = "Iterator[dict[str, Any]]" if told == "Paged" else told
    parameters = [itself, *signature.parameters.values()]
    method.__signature__ = signature.replace(parameters=parameters, return_annotation=told)  # type: ignore[attr-defined]
    return method


class Client:
    """A dpstats service, asked with one token. Thread-safe; close it, or use it in a `with`.

    Args:
      url: the service's address, such as `http://127.0.0.1:8471`.
      token: made by a steward with `dpstats token create`.
      timeout_s: seconds to wait for an answer.
      patience_s: seconds to look for the service again where a connection broke, as when it starts anew. What would be
        paid twice is not sent again.
      transport: another way to the service than the network.

    Every method raises `dpstats.client.errors.ClientError` if it does not get what it asks for.

    Raises:
      ValueError: the address or the token is not one.
    """

    def __init__(
        self,
        url: str,
        token: str,
        timeout_s: float = 60,
        *,
        patience_s: float = 10,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(url, token, timeout_s, patience_s, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def close(self) -> None:
        """Closes every connection."""
        self._connection.close()

    datasets = _waiting(calls.datasets)
    dataset = _waiting(calls.dataset)
    budget = _waiting(calls.budget)
    queries = _waiting(calls.queries)
    query = _waiting(calls.query)
    preview = _waiting(calls.preview)
    run = _waiting(calls.run)
    releases = _waiting(calls.releases)
    each_release = _each(calls.each_release)
    release = _waiting(calls.release)
    feature_views = _waiting(calls.feature_views)
    features = _waiting(calls.features)
    make_features = _waiting(calls.make_features)
    segments = _waiting(calls.segments)
    signals = _waiting(calls.signals)
    ledger = _waiting(calls.ledger)
    each_entry = _each(calls.each_entry)
    grant = _waiting(calls.grant)
    freeze = _waiting(calls.freeze)
    thaw = _waiting(calls.thaw)
    approve = _waiting(calls.approve)
    revoke = _waiting(calls.revoke)
    terms = _waiting(calls.terms)
    accept_terms = _waiting(calls.accept_terms)


class AsyncClient:
    """The same service for a program with an event loop (asyncio or trio): every method of `Client`, awaited.

    Any number of tasks may share one. Close it with `aclose`, or use it in an `async with`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        timeout_s: float = 60,
        *,
        patience_s: float = 10,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = AsyncConnection(url, token, timeout_s, patience_s, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self._connection.url!r})"

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._connection.close()

    datasets = _awaiting(calls.datasets)
    dataset = _awaiting(calls.dataset)
    budget = _awaiting(calls.budget)
    queries = _awaiting(calls.queries)
    query = _awaiting(calls.query)
    preview = _awaiting(calls.preview)
    run = _awaiting(calls.run)
    releases = _awaiting(calls.releases)
    each_release = _each_awaiting(calls.each_release)
    release = _awaiting(calls.release)
    feature_views = _awaiting(calls.feature_views)
    features = _awaiting(calls.features)
    make_features = _awaiting(calls.make_features)
    segments = _awaiting(calls.segments)
    signals = _awaiting(calls.signals)
    ledger = _awaiting(calls.ledger)
    each_entry = _each_awaiting(calls.each_entry)
    grant = _awaiting(calls.grant)
    freeze = _awaiting(calls.freeze)
    thaw = _awaiting(calls.thaw)
    approve = _awaiting(calls.approve)
    revoke = _awaiting(calls.revoke)
    terms = _awaiting(calls.terms)
    accept_terms = _awaiting(calls.accept_terms)
