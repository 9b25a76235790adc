"""The scheduler inside a service: what is due is renewed once, by one process, and never in the middle of stopping."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from feature_gym import SPAN, Gym

from dpstats.api.renewals import LOCK, renew_due, renewing
from dpstats.turns import only_one


def test_a_service_renews_what_is_due_when_it_starts_and_stops_when_it_is_told_to(gym: Gym) -> None:
    gym.submit(SPAN)
    with renewing(gym.workspace, timedelta(hours=1)):
        ends = time.monotonic() + 60
        while not gym.charges() and time.monotonic() < ends:
            time.sleep(0.01)
    assert len(gym.charges()) == 2
    assert gym.wide("first_half")["stale"] is False
    assert not any(thread.name == "feature views" for thread in threading.enumerate())


def test_of_several_processes_one_renews(gym: Gym) -> None:
    gym.submit(SPAN)
    with only_one(gym.workspace.home / LOCK) as mine:
        assert mine
        renew_due(gym.workspace, threading.Event())
        assert gym.charges() == []
    renew_due(gym.workspace, threading.Event())
    renew_due(gym.workspace, threading.Event())
    assert len(gym.charges()) == 2


def test_a_service_that_is_stopping_begins_no_renewal(gym: Gym) -> None:
    gym.submit(SPAN)
    ended = threading.Event()
    ended.set()
    renew_due(gym.workspace, ended)
    assert gym.charges() == []
