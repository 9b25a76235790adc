"""Renews feature views while the service runs, where a setting says how often; of a machine's processes, one does it.

Services on several machines may renew at once: a renewal is charged under a key that they share, so it is paid once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from dpstats.api.timers import TIMETABLE, every_so_often
from dpstats.errors import DpstatsError
from dpstats.turns import only_one
from dpstats.workspace import Workspace

LOCK = "refresh.lock"
"""The file of the workspace folder that whoever renews holds; its lock ends with the process."""

log = logging.getLogger("dpstats.api")


@contextmanager
def renewing(workspace: Workspace, every: timedelta) -> Iterator[None]:
    """Renews at once and then every so often, in a thread of its own, for as long as the `with` lasts.

    The end waits for the view that is being renewed, which is whole or not at all, and begins no other.
    """
    with every_so_often("feature views", every.total_seconds(), partial(renew_due, workspace)):
        yield


def renew_due(workspace: Workspace, ended: threading.Event) -> None:
    """Renews what is due, unless another process of this machine is at it. What goes wrong is logged, and tried again.

    The log names views, never what is in them.
    """
    with only_one(workspace.home / LOCK) as mine:
        if not mine:
            return
        try:
            for view in workspace.features.all(TIMETABLE):
                if ended.is_set():
                    return
                _renew(workspace, view["view"])
        except DpstatsError as error:
            log.error("feature views not renewed: %s", error)


def _renew(workspace: Workspace, view: str) -> None:
    for done in workspace.refreshing.refresh(TIMETABLE, [view]):
        if done.state == "refused":
            log.warning("feature view %s not renewed: %s", view, done.why)
        elif done.state == "renewed":
            log.info("feature view %s renewed: %d new releases", view, len(done.releases))
