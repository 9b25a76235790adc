"""Closes consent epochs and sweeps what is past its time, on time, while the service runs.

Of several processes, the first one to come does it.
"""

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
            sweep_if_due(workspace)
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


def sweep_if_due(workspace: Workspace) -> None:
    """Erases what is past its time if it is time to. The log says that it was done, and nothing of what there was."""
    try:
        for swept in workspace.retaining.sweep_if_due(TIMETABLE, datetime.now(UTC)):
            log.info("retention swept: dataset %s, data version %s", swept["dataset"], swept["data_version"])
    except DpstatsError as error:
        log.error("retention not swept: %s", error)
