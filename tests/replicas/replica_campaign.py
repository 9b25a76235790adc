"""Three services over one PostgreSQL ledger, while one is killed, one is stopped and one is cut off from the ledger.

Each replica is a `dpstats serve` of its own, with a way of its own to the database: a relay that the campaign can cut.
Callers ask without end, each question a new one with a key of its own, and go to the next replica when one does not
answer, as behind a load balancer. At the end the ledger is read without any of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from postgres_server import PostgresServer

from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("campaign")
REPLICAS = 3
CALLERS = 4
PATIENCE_S = 60
AT_MOST = 2000
"""Releases that the budget is for."""
DATASET = f"""
dataset: shop
privacy_unit: person
budget: {{epsilon: {AT_MOST / 1000}, delta: 0}}
tables:
  visits:
    columns:
      person: {{type: bigint}}
      amount: {{type: bigint, bounds: [0, 100]}}
"""
QUERY = """
query: spend
dataset: shop
sql: SELECT SUM(amount) AS spend FROM visits WHERE amount >= $n
parameters: {n: {type: integer, min: 0, max: 1000000000}}
bounds: {spend: [0, 100]}
cost: {epsilon: 0.001}
"""
SOCKET = ".s.PGSQL.5432"
Harm = Literal["killed", "stopped", "cut off"]
HARMS: tuple[Harm, ...] = ("killed", "stopped", "cut off")


class Relay:
    """A way to the database, a socket in `folder`, that can be cut: connections end, and new ones are refused."""

    def __init__(self, server: Path, folder: Path) -> None:
        folder.mkdir()
        self.folder, self._server, self._mended = folder, server / SOCKET, True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._way = self._loop.run_until_complete(asyncio.start_unix_server(self._relay, folder / SOCKET))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._mended = False
        self._loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in self._writers])

    def mend(self) -> None:
        self._mended = True

    def close(self) -> None:
        self.cut()
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ended(self) -> None:
        self._way.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._mended:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_unix_connection(self._server)
        both = {writer, there_writer}
        self._writers |= both
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            self._writers -= both


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Replica:
    """One service, on a port that it keeps, with its relay."""

    def __init__(self, home: Path, url: str, relay: Relay, log: Path) -> None:
        self.relay, self._log = relay, log
        self._environment = os.environ | {
            "DPSTATS_LEDGER_URL": url,
            "DPSTATS_LATENCY_STEP_MS": "0",
            "DPSTATS_CONSENT_EPOCH_AT": "never",
        }
        self._home, self._port = home, 0
        self.address = ""
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it says that it answers."""
        command = [sys.executable, "-m", "dpstats", "--home", str(self._home), "serve", "--port", str(self._port)]
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment
            )
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line.startswith("serving at "):
            raise RuntimeError(f"a replica did not start: {self._log.read_text()[-2000:]}")
        self.address = line.removeprefix("serving at ").strip()
        self._port = int(self.address.rpartition(":")[2])

    def harm(self, how: Harm) -> None:
        if how == "killed":
            self._end()
        elif how == "stopped":
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.relay.cut()

    def heal(self, how: Harm) -> None:
        if how == "killed":
            self.start()
        elif how == "stopped":
            self.process.send_signal(signal.SIGCONT)
        else:
            self.relay.mend()

    def close(self) -> None:
        self._end()
        self.relay.close()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass
class Told:
    """What callers were told: releases by id, how each request ended, and when the last release came."""

    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    last: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, body: dict[str, Any] | None = None) -> None:
        with self.lock:
            self.ended[what] += 1
            if body is not None:
                known = self.releases.setdefault(body["release_id"], body)
                assert known["rows"] == body["rows"], "one release, one draw"
                self.last = time.monotonic()


class ReplicaCampaign:
    """The replicas, their callers and what they were told."""

    def __init__(self, folder: Path, server: PostgresServer, seed: int = 0) -> None:
        self._home, self._random, self.told = folder / "home", random.Random(seed), Told()
        database = server.new_database()
        self._settings = read_settings(home=self._home, ledger_url=server.url(database))
        with closing(Workspace.open(self._settings)) as workspace:
            self.token = _made(workspace, folder)
        self.replicas = []
        self.harmed: Counter[str] = Counter()
        for place in range(REPLICAS):
            relay = Relay(server.folder, server.folder / f"relay{place}")
            through = server.url(database, relay.folder)
            self.replicas.append(Replica(self._home, through, relay, folder / f"replica{place}.log"))

    def run(self, harms: int, *, each_s: float) -> None:
        """Harms a replica at random so often, for so many seconds each, while callers ask."""
        ended = threading.Event()
        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [pool.submit(self._call, ended, number) for number in range(CALLERS)]
            try:
                for number in range(harms):
                    self._harm(HARMS[number % len(HARMS)], each_s)
            finally:
                ended.set()
                for caller in callers:
                    caller.result()

    def _harm(self, how: Harm, seconds: float) -> None:
        replica = self._random.choice(self.replicas)
        before = len(self.told.releases)
        replica.harm(how)
        until = time.monotonic() + PATIENCE_S
        time.sleep(seconds)
        while len(self.told.releases) == before and time.monotonic() < until:
            time.sleep(0.2)
        # Requests go on while it is out; a budget that is used up is the one reason why they may not.
        assert len(self.told.releases) > before or self.told.ended["budget-exhausted"], (
            f"nothing while one is {how}: {self.told.ended}"
        )
        replica.heal(how)
        self.harmed[how] += 1

    def _call(self, ended: threading.Event, number: int) -> None:
        random_ = random.Random(number)
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=5) as client:
            while not ended.is_set():
                self._ask(client, random_, random_.randrange(10**9))

    def _ask(self, client: httpx.Client, random_: random.Random, n: int) -> None:
        """One question under one key, from one replica after the other until one answers."""
        for replica in random_.sample(self.replicas, len(self.replicas)):
            try:
                answer = client.post(
                    f"{replica.address}/v1/queries/spend/releases",
                    json={"parameters": {"n": n}},
                    headers={"Idempotency-Key": f"key-{n}"},
                )
            except httpx.HTTPError as error:
                self.told.note(type(error).__name__)
                continue
            if answer.status_code in (200, 201):
                self.told.note("released", answer.json())
                return
            problem = answer.json()["type"].rpartition("/")[2]
            self.told.note(problem)
            if problem == "budget-exhausted":
                return
            assert problem in {"unavailable", "busy"}, answer.text

    def check(self) -> None:
        """Everything that must be true of the ledger now, read by a process that was not there."""
        with closing(Workspace.open(self._settings)) as workspace:
            store = workspace.store
            assert not store.ledger.verify().findings
            charges = [entry for entry in store.ledger.entries("shop") if entry.kind == "charge"]
            charged = {entry.release_id for entry in charges}
            assert len(charged) == len(charges) <= AT_MOST, "one charge a release, and none past the budget"
            assert self.told.releases.keys() <= charged, "what left was charged"
            for release_id, body in self.told.releases.items():
                stored = json.loads(store.ledger.release(release_id).body)
                assert stored["rows"] == body["rows"], "what left is what is stored"

    def close(self) -> None:
        for replica in self.replicas:
            replica.close()


def _made(workspace: Workspace, folder: Path) -> str:
    """The dataset, its approved query and a caller's token."""
    (folder / "visits.csv").write_text("\n".join(["person,amount", *(f"{i},{i % 100}" for i in range(500))]))
    (folder / "dataset.yaml").write_text(DATASET)
    (folder / "spend.yaml").write_text(QUERY)
    workspace.datasets.add(ME, folder / "dataset.yaml", {"visits": folder / "visits.csv"})
    workspace.review.approve(ME, "spend", workspace.review.submit(ME, folder / "spend.yaml")[1])
    return workspace.tokens.create(ME, "caller", "analyst")
