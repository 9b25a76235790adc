"""A service is killed while a client waits for an answer, and starts anew: the client gets it, and it is paid once."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx
import pytest
from api_town import ME

from dpstats import AsyncClient
from dpstats.client import Client, Release
from dpstats.ledger.chain import Kind
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

SERVE = "from dpstats.cli.main import main; main()"
HELD_MS = 60_000
"""Answers leave on a grid of so much: a charge is there long before its answer is stored or sent."""
PATIENCE_S = 90
"""Longer than a slow machine needs to start a service; a client waits no longer than it must."""


def of_a_client(address: str, token: str) -> Release:
    """A new answer, by the client that waits."""
    with Client(address, token, patience_s=PATIENCE_S) as client:
        return client.run("spend_by_band", reuse="never")


def of_an_async_client(address: str, token: str) -> Release:
    """The same, by the client that awaits."""

    async def main() -> Release:
        async with AsyncClient(address, token, patience_s=PATIENCE_S) as client:
            return await client.run("spend_by_band", reuse="never")

    return anyio.run(main)


class Service:
    """A workspace, and a service of it in a process of its own, at one address however often it starts."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home, self.address = home, f"http://127.0.0.1:{self.port}"
        self.workspace = Workspace.open(read_settings(home=home))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, latency_step_ms: int) -> subprocess.Popen[bytes]:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-c", SERVE, "--home", str(self.home), "serve", "--port", str(self.port)]
        environment = os.environ | {"DPSTATS_LATENCY_STEP_MS": str(latency_step_ms)}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers)
        return self._process

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health/ready", timeout=5).is_success
        except httpx.TransportError:
            return False

    def charges(self) -> int:
        """How often somebody paid."""
        return sum(entry.kind == Kind.CHARGE for entry in self.workspace.store.ledger.entries("town"))

    def released(self) -> set[str]:
        """The answers that there are."""
        return {release["release_id"] for release in self.workspace.releases.all(ME)["items"]}

    def close(self) -> None:
        self.workspace.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def wait_until(there: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for what another process does."""
    ends = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.05)


@pytest.fixture
def service(client_home: Path, tmp_path: Path) -> Iterator[Service]:
    """The town's workspace, of this test's own, with no service yet."""
    made = Service(Path(shutil.copytree(client_home / "home", tmp_path / "home")))
    yield made
    made.close()


def test_an_answer_is_paid_once_however_its_service_is_killed_and_started_anew(service: Service) -> None:
    token = service.workspace.tokens.create(ME, "ana", "analyst", datasets=("town",))
    process = service.start(HELD_MS)
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(asked, service.address, token) for asked in (of_a_client, of_an_async_client)]
        wait_until(lambda: service.charges() == 2)  # of each its own
        assert not any(each.done() for each in asking)
        kill(process)
        process = service.start(latency_step_ms=100)
        given = [each.result(timeout=60) for each in asking]
        assert service.charges() == 2
        assert {release.release_id for release in given} == service.released()

        process.send_signal(signal.SIGSTOP)  # the kernel takes the request, and nobody reads it
        unread = threads.submit(of_a_client, service.address, token)
        wait_until(lambda: waiting_at(service.port))
        kill(process)
        service.start(latency_step_ms=100)
        assert unread.result(timeout=60).rows
        assert service.charges() == 3


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends it at once, in the middle of whatever it does."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def waiting_at(port: int) -> bool:
    """Whether bytes lie unread at a connection to this port of this machine."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and int(row[4].split(":")[1], 16) > 1 for row in rows)
