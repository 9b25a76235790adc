"""Group commit: callers who come while one transaction is under way share the next one, in the order they came.

No thread of its own: the caller at the head of the queue writes for those behind it, finishes what is to be finished
before they are told, then wakes the next head. So none waits for more than the group before its own, and a lone caller
waits for nobody. That the next group is not written while this one finishes makes it a larger one, which costs less:
two small groups under way at once made 32 callers a third slower, on a quick disk and on a slow one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from dpstats.errors import Unavailable

Asked = TypeVar("Asked")
Told = TypeVar("Told")

MOST = 64
"""Callers that one transaction serves: it bounds how long it holds the writers' lock."""


class _Place(Generic[Asked, Told]):
    """One caller's place in the queue, and what became of what it asked."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.leads = self.ended = False
        self.told: Told | Exception | None = None
        self._asleep = threading.Lock()  # an event's condition costs as much as what is asked
        self._asleep.acquire()

    def sleep(self) -> None:
        """Until it is woken: it leads, or its question has ended."""
        self._asleep.acquire()

    def wake(self) -> None:
        """Once at most."""
        self._asleep.release()


class Groups(Generic[Asked, Told]):
    """A queue before `write`, which answers or refuses each of a group, or raises for all of them.

    Args:
      write: gets 1 to `MOST` of what was asked, oldest first, and gives as many answers or exceptions in their order.
        It is alone.
      finish: gets what `write` gave, before any of the group is told. If it raises, all of the group are told that.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Asked]], Sequence[Told | Exception]],
        finish: Callable[[Sequence[Told | Exception]], None] = lambda _: None,
    ) -> None:
        self._write, self._finish = write, finish
        self._guard = threading.Lock()
        self._places: deque[_Place[Asked, Told]] = deque()
        self._led = False

    def ask(self, asked: Asked) -> Told:
        """What `write` answers; raises what it refused this one with, or what it raised for all."""
        place: _Place[Asked, Told] = _Place(asked)
        with self._guard:
            self._places.append(place)
            place.leads, self._led = not self._led, True
        if not place.leads:
            self._wait(place)
        if not place.ended:
            self._lead()
        if isinstance(place.told, Exception):
            raise place.told
        return cast(Told, place.told)

    def _wait(self, place: _Place[Asked, Told]) -> None:
        try:
            place.sleep()
        except BaseException:  # an interrupt: whoever leaves must not take the lead along
            with self._guard:
                leads = place.leads and not place.ended
                if place in self._places:
                    self._places.remove(place)
            if leads:
                self._pass_on()
            raise

    def _lead(self) -> None:
        with self._guard:
            group = [self._places.popleft() for _ in range(min(MOST, len(self._places)))]
        try:
            self._answer(group)
        finally:
            for place in group:
                place.ended = True
                if not place.leads:
                    place.wake()

    def _answer(self, group: Sequence[_Place[Asked, Told]]) -> None:
        for place in group:
            place.told = Unavailable()  # what holds if it is interrupted
        told: Sequence[Told | Exception]
        try:
            try:
                told = self._write([place.asked for place in group])
                self._finish(told)
            finally:
                self._pass_on()
        except Exception as error:
            told = [error] * len(group)
        for place, one in zip(group, told, strict=True):
            place.told = one

    def _pass_on(self) -> None:
        with self._guard:
            if self._places:
                self._places[0].leads = True
                self._places[0].wake()
            else:
                self._led = False
