"""Prepares approved queries while the service runs: when data were loaded, made anew, or a query was approved.

Of a machine's processes, one does it, and answers come meanwhile from the plans as they are. Services on several
machines have data of their own, and prepare them each for itself.
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

LOCK = "prepare.lock"
"""The file of the workspace folder that whoever prepares holds; its lock ends with the process."""

log = logging.getLogger("dpstats.api")


@contextmanager
def preparing(workspace: Workspace, every: timedelta) -> Iterator[None]:
    """Looks every so often, in a thread of its own, for as long as the `with` lasts; the end waits for the dataset."""
    seen: dict[str, str] = {}
    work = partial(prepare_due, workspace, seen)
    with every_so_often("approved queries", every.total_seconds(), work, at_once=False):
        yield


def prepare_due(workspace: Workspace, seen: dict[str, str], ended: threading.Event) -> None:
    """Prepares each dataset whose data or approved queries are others than those of `seen`, which is brought up to it.

    What goes wrong is logged, and not tried again before something changes: it would fill the disk again. The log names
    datasets, never what is in them.
    """
    with only_one(workspace.home / LOCK) as mine:
        if not mine:
            return
        try:
            for dataset in workspace.datasets.all(TIMETABLE):
                if not ended.is_set():
                    _prepare(workspace, dataset["dataset"], seen, ended)
        except (DpstatsError, OSError) as error:
            log.error("approved queries not prepared: %s", error)


def _prepare(workspace: Workspace, name: str, seen: dict[str, str], ended: threading.Event) -> None:
    try:
        state = workspace.preparing.state(TIMETABLE, name)
        if not state or seen.get(name) == state:
            return
        seen[name] = state
        done = workspace.preparing.prepare(TIMETABLE, name, ended=ended.is_set)
    except (DpstatsError, OSError) as error:
        log.warning("dataset %s not prepared: %s", name, error)
        return
    made = [each for each in done if each.made is not None]
    if made:
        log.info("dataset %s prepared for %d of its approved queries", name, len(made))
