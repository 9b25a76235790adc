"""A process with noise drawn ahead that forks: prints what it, its child, and its child's own store give, as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading

from dpstats.engine.ahead import AHEAD
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity

WIDE = Mechanism(Noise.LAPLACE, 2.0**40, Sensitivity(1, 1))
KIND, COUNT = (WIDE.noise, WIDE.scale), 64


def drawn() -> list[int]:
    return AHEAD.draw(WIDE, [0] * COUNT)


def refilled() -> list[int]:
    """What a store that is filled here gives."""
    with AHEAD.filled():
        AHEAD.want({KIND: COUNT})
        if not AHEAD.wait_until_full(60):
            raise SystemExit("not filled")
        return drawn()


def forked() -> list[list[int]]:
    """The child's: how many draws it starts with, what it gives, and what it gives of a store of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        there = sum(map(len, AHEAD._drawn.values()))
        os.write(writer, json.dumps([[there], drawn(), refilled()]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        found: list[list[int]] = json.loads(said.read())
    os.waitpid(child, 0)
    return found


def main() -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with AHEAD._changed:
            held.set()
            release.wait()

    with AHEAD.filled():
        AHEAD.want({KIND: COUNT})
        if not AHEAD.wait_until_full(60):
            raise SystemExit("not filled")
        # The child is forked while another thread is in the middle of taking: its own lock must be free.
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        (there,), *child = forked()
        release.set()
        thread.join()
        parent = drawn()
    json.dump({"there": there, "draws": [parent, *child, refilled()]}, sys.stdout)


if __name__ == "__main__":
    main()
