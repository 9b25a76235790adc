"""The generator of load: a rate is of something, however slow the machine is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from dpstats.bench.load import Target, ask, rate

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture
def answered() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers 200 to all, its port and what it was asked."""
    heads: list[bytes] = []
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except asyncio.IncompleteReadError:
            writer.close()

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1], heads
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


def test_a_rate_has_an_answer_of_each_connection_though_the_time_is_over(answered: tuple[int, list[bytes]]) -> None:
    port, heads = answered
    assert rate(Target("127.0.0.1", port, REQUEST), connections=3, seconds=0) > 0
    assert len(heads) == 3


def test_so_many_requests_are_sent_over_all_connections(answered: tuple[int, list[bytes]]) -> None:
    port, heads = answered
    ask([Target("127.0.0.1", port, REQUEST)], 7, connections=3)
    assert len(heads) == 7


def test_another_status_than_its_target_s_is_told(answered: tuple[int, list[bytes]]) -> None:
    port, _ = answered
    with pytest.raises(RuntimeError, match="an answer was 200, not 404"):
        rate(Target("127.0.0.1", port, REQUEST, 404), connections=1, seconds=0)
