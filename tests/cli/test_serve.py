"""The service as a command."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from cli_running import PROCESS, Run


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_address_is_printed_once_it_answers_and_a_signal_ends_it(shop: Path, dpstats: Run, stop: int) -> None:
    token = dpstats("token", "create", "ann", "--role", "analyst").done().out.strip()
    command = [*PROCESS, "--home", str(shop / "home"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("serving at ").strip()
        queries = httpx.get(f"{address}/v1/queries", headers={"Authorization": f"Bearer {token}"}).json()
        server.send_signal(stop)
        out, err = server.communicate(timeout=30)
    assert [item["query"] for item in queries["items"]] == ["by_town"]
    assert server.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err


def test_an_address_that_cannot_be_had_is_refused(dpstats: Run) -> None:
    dpstats("serve", "--host", "192.0.2.1", "--port", "0").refused("192.0.2.1")
