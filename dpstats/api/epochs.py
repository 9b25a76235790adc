"""Closes consent epochs and sweeps what is past its time, on time, while the service runs.

Of several processes, the first one to come does it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from dpstats.api.timers import TIMETABLE, every_so_often
from dpstats.errors import DpstatsError
from dpstats.workspace import Workspace

POLL_S = 30.0
"""How often it is looked whether an epoch is due."""

log = logging.getLogger("dpstats.api")


@contextmanager
def closing_epochs(workspace: Workspace) -> Iterator[None]:
    """Looks after the timetable, in a thread of its own, for as long as the `with` lasts."""
    with every_so_often("consent epochs", POLL_S, lambda _: _keep_time(workspace)):
        yield


def _keep_time(workspace: Workspace) -> None:
    close_if_due(workspace)
    sweep_if_due(workspace)


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
