"""Callers who want the same thing at the same moment: one reads it, and nobody waits long for another."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from api_town import Town

from dpstats.api import in_turn
from dpstats.api.in_turn import InTurn
from dpstats.api.replays import GIVEN_UNTIL, Replays
from dpstats.ledger.recent import FOREVER


class Reading:
    """Something that is read, and found by whoever comes after."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self.reads = 0
        self.turns: InTurn[str] = InTurn()

    async def read(self, key: str, lasts_s: float = 0.0) -> None:
        async with self.turns.turn(key):
            if key not in self.found:
                self.reads += 1
                await asyncio.sleep(lasts_s)
                self.found[key] = self.reads


def test_of_those_who_come_at_once_one_reads_for_each_key() -> None:
    reading = Reading()

    async def all_at_once() -> None:
        await asyncio.gather(*(reading.read(key) for key in "aabbab"))

    asyncio.run(all_at_once())
    assert reading.reads == 2
    assert not reading.turns._turns
    assert not reading.turns._callers


def test_whoever_goes_away_takes_no_turn_along() -> None:
    reading = Reading()

    async def two_leave() -> None:
        first, second, third = (asyncio.ensure_future(reading.read("a", 60)) for _ in range(3))
        await asyncio.sleep(0)
        reading.found["a"] = 0  # the third finds it, once it has its turn: the first would read for a minute
        for leaves in (second, first):
            leaves.cancel()
            with suppress(asyncio.CancelledError):
                await leaves
        await asyncio.wait_for(third, 30)

    asyncio.run(two_leave())
    assert not reading.turns._turns


def test_nobody_waits_for_one_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "PATIENCE_S", 0.01)
    reading = Reading()

    async def one_takes_long() -> None:
        long = asyncio.ensure_future(reading.read("a", 60))
        await asyncio.sleep(0)
        await reading.read("a")
        long.cancel()

    asyncio.run(one_takes_long())
    assert reading.reads == 2


def test_after_a_commit_a_replay_is_read_once_for_all_who_ask_at_once(town: Town) -> None:
    identity = town.workspace.store.tokens.recognise(town.token())
    assert identity is not None
    computed: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        computed.append((await receive())["body"])
        await asyncio.sleep(0)
        scope[GIVEN_UNTIL] = FOREVER
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a replay"})

    replays, sent = Replays(app, town.workspace), []

    async def ask(body: bytes) -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message.get("body"))

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/queries/q/releases",
            "query_string": b"",
            "headers": [],
            "state": {"identity": identity.identity},
        }
        await replays(scope, receive, send)

    async def ask_at_once() -> None:
        await asyncio.gather(*(ask(json.dumps({"n": n % 2}).encode()) for n in range(8)))

    asyncio.run(ask_at_once())  # not known yet: each of them might have paid
    asyncio.run(ask_at_once())
    town.token("job")  # a commit
    before = len(computed)
    asyncio.run(ask_at_once())
    assert sorted(computed[before:]) == [b'{"n": 0}', b'{"n": 1}']
    assert sent.count(b"a replay") == 24
