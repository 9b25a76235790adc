"""The service as a process of its own: ready when it says so, sharing one ledger, gone when told to."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from api_town import MARKER, ME, InMemory, Town, exact_spend

import dpstats
from dpstats.api import app_of_home
from dpstats.api.server import serve
from dpstats.errors import FileError, LedgerBroken
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

RUN = "/v1/queries/spend_by_band/releases"
HERE = Path(__file__).parent
Start = Callable[[Path, int], "Served"]


class Served:
    """A running service; its logs go to a file."""

    def __init__(self, home: Path, workers: int) -> None:
        self.log = home / "stderr.log"
        root = Path(dpstats.__file__).parents[1]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", str(HERE / "serving.py"), str(home), str(workers)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONPATH": str(root)},
            )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status, and what else it printed."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture(autouse=True)
def logging_kept() -> Iterator[None]:
    """Serving sets up logging for the whole process: here it is set back."""
    loggers = [
        logging.getLogger(name) for name in ("dpstats", "opentelemetry", "uvicorn", "uvicorn.error", "uvicorn.access")
    ]
    kept = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in kept:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Served] = []

    def start_(home: Path, workers: int) -> Served:
        started.append(Served(home, workers))
        return started[-1]

    yield start_
    for served in started:
        if served.process.poll() is None:
            served.stop()
        assert served.process.stdout is not None
        served.process.stdout.close()


def test_two_workers_share_one_ledger_and_see_what_is_done_beside_them(home: Path, start: Start) -> None:
    workspace = Workspace.open(read_settings(home=home))
    token = workspace.tokens.create(ME, "ana", "analyst")
    served = start(home, 2)
    with httpx.Client(base_url=served.address, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.get("/health/ready").json() == {"status": "ready"}
        answers: list[httpx.Response] = []
        path = "/v1/queries/spend_by_band/releases"
        # Connections of their own, so that both workers get some.
        threads = [
            threading.Thread(
                target=lambda: answers.append(httpx.post(f"{served.address}{path}", headers=client.headers))
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told_apart = [answer.text for answer in answers if answer.status_code not in {200, 201}]
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 7}, told_apart
        assert len({str(answer.json()["rows"]) for answer in answers}) == 1
        assert sum(entry["kind"] == "charge" for entry in workspace.budgets.entries(ME, "town")["entries"]) == 1
        # Each scrape is a connection of its own: whichever worker takes it, it tells what both have done.
        told = [_counted(served.address) for _ in range(6)]
        assert told == [{"201": 1.0, "200": 7.0}] * 6
        workspace.budgets.freeze(ME, "town", frozen=True)
        assert client.post(path).json()["type"] == "/problems/frozen"
        workspace.tokens.revoke(ME, "ana")
        assert client.get("/v1/datasets").status_code == 401
    assert workspace.budgets.verify(ME).findings == ()
    workspace.close()
    assert served.stop() == (0, "ended\n")
    log = served.log.read_text()
    for secret in (token, MARKER, "Traceback", "spend_by_band", *exact_spend()):
        assert secret not in log


def test_a_token_that_one_process_ends_is_over_in_every_process_at_once(home: Path, start: Start) -> None:
    workspace = Workspace.open(read_settings(home=home))
    services = [start(home, 1), start(home, 1)]

    def statuses(token: str) -> list[int]:
        headers = {"Authorization": f"Bearer {token}"}
        return [httpx.get(f"{served.address}/v1/datasets", headers=headers).status_code for served in services]

    old, gone = (workspace.tokens.create(ME, name, "analyst") for name in ("ana", "bo"))
    assert statuses(old) == statuses(gone) == [200, 200]
    new = workspace.tokens.rotate(ME, "ana")
    assert (statuses(old), statuses(new)) == ([401, 401], [200, 200])
    workspace.tokens.revoke(ME, "bo")
    assert statuses(gone) == [401, 401]
    workspace.close()
    for served in services:
        assert served.stop() == (0, "ended\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_process_stops_cleanly_when_told_to(home: Path, start: Start, number: int) -> None:
    served = start(home, 1)
    assert served.address.startswith("http://127.0.0.1:")
    assert httpx.get(f"{served.address}/health/live").status_code == 200
    assert served.stop(number) == (0, "ended\n")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.address}/health/live")


def test_a_request_that_runs_is_finished_before_the_end(home: Path, start: Start) -> None:
    workspace = Workspace.open(read_settings(home=home))
    token = workspace.tokens.create(ME, "ana", "analyst")
    workspace.close()
    served = start(home, 1)
    port = int(served.address.rpartition(":")[2])
    head = (
        "POST /v1/queries/costly/releases HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + b"{")
        httpx.get(f"{served.address}/health/live")  # by now the other request has begun
        served.process.send_signal(signal.SIGTERM)
        connection.sendall(b"}")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 201")
    assert served.process.wait(timeout=30) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_charged_is_finished_before_the_end(
    home: Path, start: Start, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grid's step holds the release between its charge and its store: long enough to be told to stop there."""
    monkeypatch.setenv("DPSTATS_LATENCY_STEP_MS", "2000")
    workspace = Workspace.open(read_settings(home=home))
    headers = {"Authorization": f"Bearer {workspace.tokens.create(ME, 'ana', 'analyst')}", "Idempotency-Key": "monday"}
    served = start(home, workers)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{served.address}{RUN}", headers=headers, timeout=30)
        while len(workspace.budgets.entries(ME, "town")["entries"]) < 2:
            threading.Event().wait(0.01)
        assert workspace.releases.all(ME)["items"] == []
        assert served.stop() == (0, "ended\n")
        answer = asked.result()
    assert answer.status_code == 201
    assert [item["release_id"] for item in workspace.releases.all(ME)["items"]] == [answer.json()["release_id"]]
    again = httpx.post(f"{start(home, 1).address}{RUN}", headers=headers, timeout=30)
    assert (again.status_code, again.json()["rows"]) == (200, answer.json()["rows"])
    assert len(workspace.budgets.entries(ME, "town")["entries"]) == 2
    workspace.close()


def test_what_was_charged_when_the_process_died_is_made_by_the_next_try(
    home: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPSTATS_LATENCY_STEP_MS", "2000")
    workspace = Workspace.open(read_settings(home=home))
    headers = {"Authorization": f"Bearer {workspace.tokens.create(ME, 'ana', 'analyst')}", "Idempotency-Key": "monday"}
    served = start(home, 1)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{served.address}{RUN}", headers=headers, timeout=30)
        while len(workspace.budgets.entries(ME, "town")["entries"]) < 2:
            threading.Event().wait(0.01)
        served.process.kill()
        served.process.wait(30)
        assert isinstance(asked.exception(), httpx.TransportError)
    assert workspace.releases.all(ME)["items"] == []
    again = httpx.post(f"{start(home, 1).address}{RUN}", headers=headers, timeout=30)
    assert again.status_code == 201
    assert len(workspace.budgets.entries(ME, "town")["entries"]) == 2
    workspace.close()


def test_an_address_in_use_is_said_in_one_line_that_names_the_setting(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FileError, match=f"DPSTATS_PORT.*{port}.*in use"):
            serve(read_settings(home=home, port=port), _never)


def test_a_host_that_is_none_is_said_in_one_line(home: Path) -> None:
    with pytest.raises(FileError, match=r"DPSTATS_HOST.*no\.such\.host\.invalid"):
        serve(read_settings(home=home, host="no.such.host.invalid", port=0), _never)


def test_a_broken_ledger_is_not_served(home: Path) -> None:
    (home / "ledger.db").write_bytes(b"not a database" * 1000)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (home / name).unlink(missing_ok=True)
    with pytest.raises(LedgerBroken):
        serve(read_settings(home=home, port=0), _never)


def test_one_dataset_that_cannot_be_opened_does_not_keep_the_others_from_being_served(
    home: Path, town_files: Path
) -> None:
    next((home / "data" / "harbour").glob("*.duckdb")).write_bytes(b"not a database")
    app = app_of_home(read_settings(home=home))
    workspace = app.state.workspace
    with start_blocking_portal() as portal:
        town = Town(workspace, app, InMemory(app, portal), town_files)
        assert town.run().status_code == 201
        assert town.run("boats").status_code == 503
    workspace.close()


def test_the_signal_handlers_are_as_before_in_the_end(home: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    told: list[str] = []

    def stop(address: str) -> None:
        told.append(address)
        os.kill(os.getpid(), signal.SIGTERM)

    serve(read_settings(home=home, port=0), stop)
    assert len(told) == 1
    assert {number: signal.getsignal(number) for number in before} == before


def _counted(address: str) -> dict[str, float]:
    """How often releases were answered with each status, by `/metrics`, once all eight are counted."""
    sample = re.compile(r'^dpstats_requests_total{method="POST",route="[^"]*/releases",status="(\d+)"} (\S+)$', re.M)
    for _ in range(1000):
        text = httpx.get(f"{address}/metrics").text
        found = {status: float(count) for status, count in sample.findall(text)}
        if sum(found.values()) >= 8:
            assert '\ndpstats_charges_total{dataset="town"} 1.0\n' in text
            return found
    return {}


def _never(address: str) -> None:
    raise AssertionError(f"nothing is served at {address}")
