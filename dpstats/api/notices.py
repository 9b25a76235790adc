"""Sends alarms and notices while the service runs; of several processes, each message is taken by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dpstats.access import operator
from dpstats.api.timers import every_so_often
from dpstats.errors import DpstatsError
from dpstats.workspace import Workspace

POLL_S = 60.0
"""How often it is looked whether something is to be sent."""
SENDER = operator("notices")

log = logging.getLogger("dpstats.api")


@contextmanager
def sending_notices(workspace: Workspace) -> Iterator[None]:
    """Sends what waits, in a thread of its own, for as long as the `with` lasts; none where nobody is told anything."""
    if not workspace.notifying.tells_somebody:
        yield
        return
    with every_so_often("notices", POLL_S, lambda _: send(workspace)):
        yield


def send(workspace: Workspace) -> None:
    """Sends what waits. What goes wrong is logged, and tried again; the log names nobody."""
    try:
        done = workspace.notifying.notify(SENDER)
        if any(done.values()):
            log.info("notices: %d delivered, %d to be tried again", done["delivered"], done["to_be_tried_again"])
    except DpstatsError as error:
        log.error("notices not sent: %s", error)
