"""Closes consent epochs on time while the service runs; of several processes, the first one to come does it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from dpstats.access import operator
from dpstats.errors import DpstatsError
from dpstats.workspace import Workspace

POLL_S = 30.0
"""How often it is looked whether an epoch is due."""
TIMETABLE = operator("timetable")

log = logging.getLogger("dpstats.api")


@contextmanager
def closing_epochs(workspace: Workspace) -> Iterator[None]:
    """Looks after the timetable, in a thread of its own, for as long as the `with` lasts."""
    ended = threading.Event()

    def keep() -> None:
        while True:
            close_if_due(workspace)
            if ended.wait(POLL_S):
                return

    thread = threading.Thread(target=keep, name="consent epochs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def close_if_due(workspace: Workspace) -> None:
    """Closes the running epoch if it is time. What goes wrong is logged, and tried again; the log names nobody."""
    try:
        for renewed in workspace.epochs.close_if_due(TIMETABLE, datetime.now(UTC)):
            log.info("consent epoch closed: dataset %s, data version %s", renewed.dataset, renewed.data_version or "-")
    except DpstatsError as error:
        log.error("consent epoch not closed: %s", error)
