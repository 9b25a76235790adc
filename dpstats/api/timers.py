"""What a service does every so often while it serves, each thing in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dpstats.access import operator

TIMETABLE = operator("timetable")
"""Who does it, in logs and in the ledger."""


@contextmanager
def every_so_often(
    name: str, seconds: float, work: Callable[[threading.Event], None], *, at_once: bool = True
) -> Iterator[None]:
    """Does `work` at once and then every so many seconds, for as long as the `with` lasts.

    Args:
      name: of the thread.
      at_once: if not, the first time comes after so many seconds too: a start has enough to do.
      work: is given what is set when the end has come; the end waits for it.
    """
    ended = threading.Event()

    def keep() -> None:
        if not at_once:
            ended.wait(seconds)
        while not ended.is_set():
            work(ended)
            ended.wait(seconds)

    thread = threading.Thread(target=keep, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
