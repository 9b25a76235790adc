"""`dpstats bench serve` measures real processes; how fast they are is for people to read."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from typer.testing import CliRunner

from dpstats.bench.load import Target, rate
from dpstats.cli.main import app


def test_everything_is_measured_and_the_share_is_of_the_two_rates() -> None:
    options = ["--rows", "1200", "--seconds", "0.3", "--workers", "1", "--requests", "200", "--json"]
    ended = CliRunner().invoke(app, ["bench", "serve", *options])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert [found.pop(name) for name in ("rows", "workers", "requests")] == [1200, 1, 200]
    memory = found.pop("memory_mib")
    assert list(memory) == ["20", "100", "200"]
    assert set(found) == {
        "seconds",
        "trivial_per_s",
        "replays_per_s",
        "new_ms",
        "engine_ms",
        "many_ms",
        "many_at_once_ms",
    }
    assert all(value > 0 for value in (*found.values(), *memory.values()))


def test_an_answer_of_another_status_is_no_answer() -> None:
    """A service that refuses is fast."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")

        refusing = threading.Thread(target=refuse)
        refusing.start()
        with pytest.raises(RuntimeError, match="429, not 200"):
            rate(Target("127.0.0.1", listener.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n"), connections=1, seconds=5)
        refusing.join()
