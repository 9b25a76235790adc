"""A PostgreSQL backend that ends at COMMIT, by the server's word or by kill -9: who asked does not know the outcome.

What it gets is a charge that is there, or nothing; and asking again under the same key is charged once.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, HandClock, make_request, open_lineage, permit, question
from postgres_server import PostgresServer, binaries
from sqlalchemy import event
from sqlalchemy.engine import Connection

from dpstats.errors import Unavailable
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store, open_store

Kill = Callable[[PostgresServer, int], None]

CHARGES, CALLERS = 12, 4
WITHIN_MS = 3
"""So long after COMMIT is said a kill comes, at random: before the server has it, while it is carried out, or after."""


def terminate(server: PostgresServer, pid: int) -> None:
    """Ends the backend as an administrator does."""
    server.execute("postgres", f"SELECT pg_terminate_backend({pid})")


def kill_9(_: PostgresServer, pid: int) -> None:
    """Ends the backend as running out of memory does: the server throws everybody out and recovers from its log."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def own_server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server of these tests alone: a kill -9 throws out everybody."""
    folder = binaries()
    assert folder is not None
    server = PostgresServer(folder)
    yield server
    server.close()


@pytest.fixture
def served(own_server: PostgresServer, home: Path, clock: HandClock) -> Iterator[Store]:
    made = open_store(home, clock, url=own_server.url(own_server.new_database()))
    open_lineage(made)
    for i in range(CHARGES):
        permit(made, question(f"q{i}"))
    yield made
    made.close()


class Killer:
    """Kills the backend of every other COMMIT of a store, some before it is said and some at a moment after."""

    def __init__(self, store: Store, server: PostgresServer, kill: Kill) -> None:
        self._server, self._kill = server, kill
        self._random, self._count = random.Random(1), 0
        self.kills = 0
        self._threads: list[threading.Thread] = []
        event.listen(store.engine, "commit", self._commit)
        self._stop = lambda: event.remove(store.engine, "commit", self._commit)

    def stop(self) -> None:
        """Kills no more."""
        self._stop()
        for thread in self._threads:
            thread.join()

    def _commit(self, connection: Connection) -> None:
        writes = not connection.connection.dbapi_connection.read_only  # type: ignore[union-attr]
        self._count += writes
        if not writes or self._count % 2:
            return
        self.kills += 1
        pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        if self.kills % 2:
            self._kill(self._server, pid)
            return
        pause_s = self._random.random() * WITHIN_MS / 1000
        self._threads.append(threading.Thread(target=self._later, args=(pause_s, pid)))
        self._threads[-1].start()

    def _later(self, pause_s: float, pid: int) -> None:
        time.sleep(pause_s)
        with suppress(Exception):  # the server may be recovering from the kill before
            self._kill(self._server, pid)


@pytest.mark.parametrize("kill", [terminate, kill_9])
def test_a_backend_that_ends_at_a_commit_leaves_one_charge_a_key_and_no_answer_without_one(
    served: Store, own_server: PostgresServer, home: Path, clock: HandClock, kill: Kill
) -> None:
    def ask(i: int) -> tuple[str, int]:
        """The charge of one key, tried again until it is had; and how often it failed before."""
        for failures in range(60):
            try:
                given = served.ledger.charge(make_request(f"q{i}", idempotency_key=f"k{i}"))
            except Unavailable:
                time.sleep(0.05)
                continue
            assert isinstance(given, Charged)
            return given.release_id, failures
        raise AssertionError("it never came back")

    killer = Killer(served, own_server, kill)
    with ThreadPoolExecutor(CALLERS) as pool:
        given = list(pool.map(ask, range(CHARGES)))
    killer.stop()
    assert killer.kills >= 2
    served.close()
    own_server.wait()
    again = open_store(home, clock, url=str(served.engine.url.render_as_string(hide_password=False)))
    charges = Counter(entry.release_id for entry in again.ledger.entries(LINEAGE)[1:])
    assert charges == Counter(release_id for release_id, _ in given)
    assert again.ledger.budget(LINEAGE).spent.amount == CHARGES
    assert again.ledger.verify().ok
    again.close()


def test_a_charge_whose_backend_was_ended_before_its_commit_was_not_made(
    served: Store, own_server: PostgresServer
) -> None:
    def end(connection: Connection) -> None:
        terminate(own_server, connection.connection.dbapi_connection.info.backend_pid)  # type: ignore[union-attr]

    event.listen(served.engine, "commit", end, once=True)
    with pytest.raises(Unavailable):
        served.ledger.charge(make_request("q0", idempotency_key="k"))
    assert served.ledger.budget(LINEAGE).spent.amount == 0
    given = served.ledger.charge(make_request("q0", idempotency_key="k"))
    assert isinstance(given, Charged)
    assert not given.resumed
