"""A load of HTTP requests over connections that stay open: for some seconds, or so many of them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A request that is sent again and again: `raw` is its bytes, `status` what every answer must have."""

    host: str
    port: int
    raw: bytes
    status: int = 200


def rate(target: Target, *, connections: int, seconds: float) -> float:
    """Answers a second: each connection's first at least, so that a rate is never of nothing on a machine that stalls.

    Raises:
      RuntimeError: an answer had another status.
    """
    return asyncio.run(_rate(target, connections, seconds))


def ask(targets: Sequence[Target], requests: int, *, connections: int) -> None:
    """Sends so many requests, the targets' in turn, over all connections at once.

    Raises:
      RuntimeError: an answer had another status than its target's.
    """
    asyncio.run(_all(itertools.islice(itertools.cycle(targets), requests), connections))


async def _all(waiting: Iterator[Target], connections: int) -> None:
    # The connections take from one queue, whatever each of them comes to.
    await asyncio.gather(*(_ask_waiting(waiting) for _ in range(connections)))


async def _ask_waiting(waiting: Iterator[Target]) -> None:
    first = next(waiting, None)
    if first is None:
        return
    reader, writer = await asyncio.open_connection(first.host, first.port)
    try:
        for target in itertools.chain([first], waiting):
            writer.write(target.raw)
            await _answer(reader, target.status)
    finally:
        writer.close()
        await writer.wait_closed()


async def _rate(target: Target, connections: int, seconds: float) -> float:
    began = time.perf_counter()
    until = began + seconds
    counts = await asyncio.gather(*(_ask(target, until) for _ in range(connections)))
    return sum(counts) / (time.perf_counter() - began)


async def _ask(target: Target, until: float) -> int:
    reader, writer = await asyncio.open_connection(target.host, target.port)
    answered = 0
    try:
        while not answered or time.perf_counter() < until:
            writer.write(target.raw)
            await _answer(reader, target.status)
            answered += 1
    finally:
        writer.close()
        await writer.wait_closed()
    return answered


async def _answer(reader: asyncio.StreamReader, status: int) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if int(head[9:12]) != status:
        raise RuntimeError(f"an answer was {head[9:12].decode()}, not {status}")
    (length,) = (line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length))
