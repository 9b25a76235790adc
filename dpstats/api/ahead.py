"""Draws noise ahead while the service runs: for its approved queries, and for whatever else was asked for lately.

Each worker process has noise of its own, from when it serves until it stops.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from dpstats.api.timers import TIMETABLE, every_so_often
from dpstats.engine.ahead import AHEAD
from dpstats.errors import DpstatsError
from dpstats.workspace import Workspace

LOOKS_EVERY_S = 60.0
"""Seconds after which a query that was approved meanwhile is noticed."""

log = logging.getLogger("dpstats.api")


@contextmanager
def drawing_ahead(workspace: Workspace) -> Iterator[None]:
    """Keeps noise ready for as long as the `with` lasts."""
    seen: set[str] = set()
    with AHEAD.filled(), every_so_often("noise wanted", LOOKS_EVERY_S, partial(look, workspace, seen)):
        yield


def look(workspace: Workspace, seen: set[str], ended: threading.Event) -> None:
    """Has noise drawn for each approved query that is not `seen` yet, which is brought up to it."""
    try:
        for draws in workspace.drawing.wanted(TIMETABLE, seen):
            if ended.is_set():
                return
            AHEAD.want(draws)
    except (DpstatsError, OSError) as error:
        log.warning("approved queries not looked at for their noise: %s", error)
