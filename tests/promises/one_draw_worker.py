"""Processes that the tests start: `one_draw_worker.py MODE HOME QUERY ...`. Each forks before it opens anything."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import duckdb  # noqa: F401 - loaded once, for every fork
import opendp.prelude  # noqa: F401

from dpstats.access import operator
from dpstats.errors import BudgetExhausted
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("worker")


def digest(body: bytes) -> str:
    """A stored release in short."""
    return hashlib.sha256(body).hexdigest()


def forked(work: Callable[[IO[str]], None]) -> tuple[int, IO[str]]:
    """Runs `work` in a process of its own, with a pipe to write lines to; gives the process and what it writes."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        with os.fdopen(writer, "w", buffering=1) as lines:
            work(lines)
        os._exit(0)
    os.close(writer)
    return process, os.fdopen(reader)


def opened(home: Path) -> Workspace:
    return Workspace.open(read_settings(home=home, threads=1))


def together(home: Path, query: str, processes: int) -> None:
    """Several processes ask one question at one moment; prints the release that each got, and whether it made it."""
    start, go = os.pipe()

    def ask(lines: IO[str]) -> None:
        workspace = opened(home)
        lines.write("ready\n")
        os.read(start, 1)
        answer = workspace.releases._road.release(Ask(ME, query, {}))
        lines.write(f"{answer.stored.release_id} {digest(answer.stored.body)} {answer.made_now}\n")

    children = [forked(ask) for _ in range(processes)]
    for _, lines in children:
        lines.readline()
    os.write(go, b"!" * processes)
    for process, lines in children:
        print(lines.readline(), end="", flush=True)
        os.waitpid(process, 0)


def killed(home: Path, query: str, rounds: int) -> None:
    """Again and again a process makes releases until it is killed; prints each release that it gave out."""
    moments = random.Random(4)
    for number in range(rounds):

        def make(lines: IO[str], number: int = number) -> None:
            workspace = opened(home)
            for n in itertools.count(100 * number):
                try:
                    answer = workspace.releases._road.release(Ask(ME, query, {"n": n}))
                    lines.write(f"{answer.stored.release_id} {digest(answer.stored.body)}\n")
                except BudgetExhausted:
                    lines.write("exhausted\n")

        process, lines = forked(make)
        print(lines.readline(), end="")  # it is under way
        time.sleep(moments.uniform(0, 0.06))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        print(*(line for line in lines if line.endswith("\n")), sep="", end="", flush=True)
        lines.close()


def once(home: Path, query: str, _: int) -> None:
    """Asks once."""
    opened(home).releases.make(Ask(ME, query, {}))


if __name__ == "__main__":
    mode, folder, name, count = sys.argv[1:]
    {"together": together, "killed": killed, "once": once}[mode](Path(folder), name, int(count))
