"""The client with an event loop: the same methods, the same answers, the same care not to pay twice."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from api_town import Town

from dpstats import AsyncClient
from dpstats.client import Client, errors


class Lossy(httpx.AsyncBaseTransport):
    """The town's service, whose first answers are lost or are what they are told to be."""

    def __init__(self, town: Town, *first: httpx.Response | None) -> None:
        self._through, self._first = httpx.ASGITransport(town.app), list(first)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        told = self._first.pop(0) if self._first else ...
        if isinstance(told, httpx.Response):
            return told
        answer = await self._through.handle_async_request(request)
        if told is None:
            raise httpx.ReadError("the connection broke")
        return answer


def asked(
    town: Town, what: Callable[[AsyncClient], Awaitable[Any]], *first: httpx.Response | None, role: str = "analyst"
) -> tuple[Any, Lossy]:
    """What a client with a token of the role gets, and the network it asked over."""
    network = Lossy(town, *first)
    token = town.token(role)

    async def main() -> Any:
        async with AsyncClient("http://town", token, transport=network) as client:
            return await what(client)

    return anyio.run(main), network


def public_names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    assert public_names(AsyncClient) - {"aclose"} == public_names(Client) - {"close"}
    for name in public_names(Client) - {"close"}:
        blocking, awaited = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(blocking) == inspect.signature(awaited)
        assert blocking.__doc__ == awaited.__doc__
        assert next(iter(inspect.signature(blocking).parameters)) == "self"


def test_a_release_is_the_same_whoever_asks_for_it(town: Town) -> None:
    async def twice(client: AsyncClient) -> Any:
        return await client.run("spend_by_band", since="2017-02-01"), await client.budget("town")

    (release, budget), _ = asked(town, twice)
    with Client("http://town", town.token(), transport=town.transport) as client:
        assert client.run("spend_by_band", since="2017-02-01").rows == release.rows
        assert client.budget("town") == budget


def test_many_tasks_share_one_client(town: Town) -> None:
    async def at_once(client: AsyncClient) -> list[str]:
        made: list[str] = []

        async def one(month: int) -> None:
            made.append((await client.run("spend_by_band", since=f"2017-0{month}-01")).release_id)

        async with anyio.create_task_group() as tasks:
            for month in range(1, 5):
                tasks.start_soon(one, month)
        return made

    made, _ = asked(town, at_once)
    assert len(set(made)) == 4
    assert town.charges() == 4


def test_an_answer_that_was_lost_is_not_paid_twice(town: Town) -> None:
    release, network = asked(town, lambda client: client.run("spend_by_band", reuse="never"), None, None)
    assert town.charges() == 1
    assert release.replayed is True
    assert len({request.headers["Idempotency-Key"] for request in network.requests}) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_says_when_is_asked_again_then(town: Town, status: int) -> None:
    busy = httpx.Response(
        status,
        headers={"Content-Type": "application/problem+json", "Retry-After": "0"},
        json={"type": "/problems/rate-limited" if status == 429 else "/problems/unavailable", "detail": "later"},
    )
    found, network = asked(town, lambda client: client.datasets(), busy)
    assert [item["dataset"] for item in found] == ["harbour", "town"]
    assert len(network.requests) == 2


def test_a_list_is_gone_through_page_by_page(town: Town) -> None:
    async def all_of(client: AsyncClient) -> Any:
        for month in (1, 2, 3):
            await client.run("spend_by_band", since=f"2017-0{month}-01")
        listed = [item["release_id"] for item in await client.releases()]
        return [item["release_id"] async for item in client.each_release("town")], listed

    (each, listed), _ = asked(town, all_of)
    assert each == listed
    assert len(each) == 3


def test_a_refusal_is_the_same_error(town: Town) -> None:
    with pytest.raises(errors.NotFound):
        asked(town, lambda client: client.run("nothing"))
    with pytest.raises(errors.Forbidden):
        asked(town, lambda client: client.ledger("town"))
    ledger, _ = asked(town, lambda client: client.ledger("town"), role="steward")
    assert ledger["head"]["hash"] == ledger["entries"][-1]["hash"]
