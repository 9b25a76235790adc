"""A look at an owner's files holds nobody for ever, is one at a time, and is never older than the question."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from dpstats.engine.looks import Looks

LONG_S = 120.0


def test_a_look_that_hangs_holds_nobody_and_no_second_one_begins_meanwhile() -> None:
    back, looks_begun = threading.Event(), []

    def hanging() -> Iterator[bool]:
        looks_begun.append(True)
        yield True
        back.wait(LONG_S)
        yield True

    looks = Looks(hanging, patience_s=0.05)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert not any(pool.map(lambda _: looks.are_so(), range(20)))
        assert len(looks_begun) == 1
    finally:
        back.set()
    until = time.monotonic() + LONG_S
    while not looks.are_so():
        assert time.monotonic() < until, "a disk that is back is looked at again"


def test_who_asks_while_a_look_goes_on_is_told_what_is_so_afterwards() -> None:
    is_so, looking, go_on = [True], threading.Event(), threading.Event()

    def each() -> Iterator[bool]:
        seen = is_so[0]
        looking.set()
        go_on.wait(LONG_S)
        yield seen

    looks = Looks(each, patience_s=LONG_S)
    with ThreadPoolExecutor(6) as pool:
        pool.submit(looks.are_so)  # is told what this look says, or a later one, if it is slow to wake
        assert looking.wait(LONG_S)
        is_so[0] = False
        later = [pool.submit(looks.are_so) for _ in range(5)]
        go_on.set()
        assert not any(asked.result() for asked in later)


def test_many_files_may_take_longer_together_than_the_patience_with_one() -> None:
    def slow() -> Iterator[bool]:
        for _ in range(5):
            time.sleep(0.3)
            yield True

    looks = Looks(slow, patience_s=1.0)
    assert any(looks.are_so() for _ in range(30)), "a slow machine may stop one of them for longer"


def test_one_file_that_is_not_as_noted_is_enough() -> None:
    assert not Looks(lambda: iter([True, False, True])).are_so()
    assert Looks(lambda: iter([True, True])).are_so()
