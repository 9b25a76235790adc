"""The process whose children are killed: it opens nothing, and forks one worker for each line on stdin.

A worker does one work on a real workspace and writes what leaves it to stdout, a JSON object a line. A profiler in it
knows when a point is reached.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import alembic.command
import alembic.config  # noqa: F401 - what is loaded when it is first needed is loaded once, for every fork
import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
import forkable  # noqa: F401 - before OpenDP
import opendp.prelude  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401
import sqlglot.dialects
import sqlglot.optimizer

from dpstats.access import operator
from dpstats.engine.load import load
from dpstats.errors import BudgetExhausted, DpstatsError
from dpstats.formats import Format, encode
from dpstats.ledger.backup import back_up, restore
from dpstats.ledger.store import open_store
from dpstats.privacy.loss import Loss, Measure
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("worker")
READING = ("call", "dpstats.engine.duck", "DuckEngine.run")
SPILLING_MB = 40
"""Memory of a load that must spill."""
LOAD_MEMORY_MB = 200
WATCHED_S = 2

Task = Mapping[str, Any]


def say(**told: Any) -> None:
    """One line, in one write: a kill leaves it whole or not at all."""
    os.write(1, (json.dumps(told) + "\n").encode())


class Watcher:
    """Sees functions called and returned from: kills this process at a point, and waits before rows are read."""

    def __init__(self, steps: Sequence[Sequence[str]], within_ms: int) -> None:
        self._left, self._within_ms = [tuple(step) for step in steps], within_ms
        self._kills = bool(steps)
        self._names = {name.rpartition(".")[2] for _, _, name in (*steps, READING)}

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_name not in self._names or event not in ("call", "return"):
            return
        step = (event, frame.f_globals.get("__name__", ""), frame.f_code.co_qualname)
        if step == READING:
            say(reading=True)
            sys.stdin.readline()
        if self._left and step == self._left[0]:
            del self._left[0]
            if not self._left and self._kills:
                kill_soon(self._within_ms)


def kill_soon(within_ms: int) -> None:
    """Ends this process as `kill -9` does: now, or from a thread at a moment within so long."""
    if not within_ms:
        os.kill(os.getpid(), signal.SIGKILL)

    def later() -> None:
        time.sleep(random.uniform(0, within_ms / 1000))
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=later, daemon=True).start()


def kill_when_changed(folder: Path, pattern: str) -> None:
    """Ends this process once a file that fits the pattern is written to."""

    def seen() -> dict[Path, int]:
        found = {}
        for path in folder.glob(pattern):
            try:
                found[path] = path.stat().st_mtime_ns if path.stat().st_size else 0
            except FileNotFoundError:
                continue
        return {path: changed for path, changed in found.items() if changed}

    before = seen()

    def watch() -> None:
        while seen() == before:
            time.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


# -- works -----------------------------------------------------------------------------------------------------------


def release(task: Task) -> None:
    """Asks for one release, so often, and writes every answer."""
    workspace = _opened(task)
    for _ in range(task["times"]):
        identity = workspace.store.tokens.authenticate(task["token"])
        assert identity
        try:
            ask = Ask(identity, "spend", {"n": task["n"]}, idempotency_key=task["key"])
            answer, made_now = workspace.releases.make(ask)
        except BudgetExhausted:
            say(exhausted=True)
        else:
            respond(made_now, encode(answer, Format.JSON))
    workspace.close()


def respond(made_now: bool, body: bytes) -> None:
    """Here the answer leaves."""
    say(made_now=made_now, body=body.decode())


def checkpoint(task: Task) -> None:
    """Fills the log and closes the database, whose last connection carries the log into the file."""
    release(task)


def new_data(task: Task) -> None:
    """Loads the dataset anew."""
    assert load.__kwdefaults__
    load.__kwdefaults__["memory_limit_mb"] = SPILLING_MB if task["spills"] else LOAD_MEMORY_MB
    workspace = _opened(task)
    workspace.datasets.load(ME, "shop", {"visits": Path(task["source"])})
    workspace.close()


def grant(task: Task) -> None:
    """Adds a step to the budget."""
    store = open_store(Path(task["home"]), url=task["url"])
    store.ledger.grant("shop", Loss(Measure.PURE, 1), epsilon=1, actor="worker", reason=task["key"])
    store.close()


def backup(task: Task) -> None:
    """Saves the ledger."""
    store = open_store(Path(task["home"]), url=task["url"])
    heads = back_up(store.engine, Path(task["home"]), Path(task["file"]), keys=True)
    say(saved=[head.seq for head in heads])
    store.close()


def restored(task: Task) -> None:
    """Restores a backup."""
    told = restore(Path(task["home"]), Path(task["file"]), url=task["url"])
    say(restored=[head.seq for head in told.heads])


def migration(task: Task) -> None:
    """Opens an older ledger, which brings it up to date."""
    open_store(Path(task["home"]), url=task["url"]).close()


WORKS: dict[str, Callable[[Task], None]] = {
    "release": release,
    "checkpoint": checkpoint,
    "load": new_data,
    "grant": grant,
    "backup": backup,
    "restore": restored,
    "migration": migration,
}


def _opened(task: Task) -> Workspace:
    settings = read_settings(home=Path(task["home"]), ledger_url=task["url"], threads=1, latency_step_ms=0)
    return Workspace.open(settings, served=True)


def work(task: Task) -> None:
    """Does it, watched; a refusal is told by its kind alone."""
    watcher = Watcher(task["steps"], task["within_ms"])
    threading.setprofile(watcher)
    sys.setprofile(watcher)
    if task["watched"]:
        kill_when_changed(Path(task["home"]), task["watched"])
    if task["within_ms"] and not task["steps"]:
        kill_soon(task["within_ms"])
    try:
        WORKS[task["work"]](task)
    except DpstatsError as error:
        say(refused=type(error).__name__)
    if task["watched"]:
        time.sleep(WATCHED_S)  # on a busy machine the watching thread may not have had its turn yet


def load_everything() -> None:
    """Imports what a fork would import for itself each time."""
    for package in ("dpstats.ledger", "dpstats.engine", "dpstats.privacy", "dpstats.plan", "dpstats.catalog"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name != "migrations":
                importlib.import_module(f"{package}.{module.name}")
    for package in (sqlglot.dialects, sqlglot.optimizer):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


def main() -> None:
    """Forks a worker for each task, one after the other, and tells how it ended."""
    load_everything()
    for line in iter(sys.stdin.readline, ""):
        if not line.strip():  # a leave to read that came to a worker which was dead by then
            continue
        process = os.fork()
        if not process:
            work(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        say(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
