"""Makes ready what the first visitor would wait for: a process's first chart takes seconds, because it starts Vega."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dpstats.web import charts


@contextmanager
def warming_charts() -> Iterator[None]:
    """Draws a chart that nobody sees, in a thread of its own; the end of the `with` waits for it."""
    thread = threading.Thread(target=charts.warm, name="first chart", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
