"""What a service does every so often begins at once, comes again, and ends with the service, which waits for it."""

from __future__ import annotations

import threading

from dpstats.api.timers import every_so_often


def test_work_begins_at_once_and_comes_again_until_the_end() -> None:
    thrice, times = threading.Event(), []

    def work(_: threading.Event) -> None:
        times.append(threading.current_thread().name)
        if len(times) == 3:
            thrice.set()

    with every_so_often("a timer", 0.001, work):
        assert thrice.wait(30)
    done = len(times)
    assert set(times) == {"a timer"}
    assert not any(thread.name == "a timer" for thread in threading.enumerate())
    assert len(times) == done


def test_the_end_is_told_to_work_that_is_under_way_and_waits_for_it() -> None:
    begun, finished = threading.Event(), threading.Event()

    def work(ended: threading.Event) -> None:
        begun.set()
        assert ended.wait(30)
        finished.set()

    with every_so_often("a timer", 3600, work):
        assert begun.wait(30)
    assert finished.is_set()
