"""Whose turn it is to compute: twins one by one, only so many releases at once, and only so many callers who wait.

Callers of the same question take turns: the first one charges, computes and stores, and those who waited find what it
stored. In one process by a lock for each question; between processes on one machine by locks on bytes of one file,
which end with the process that holds them. Where such a lock cannot be had, two processes may compute the same answer:
under one charge, and one draw of it is stored.

Nobody waits for ever, and a wait ends for nothing but a caller's own turn or its deadline.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from dpstats.errors import Busy

PRIVATE = 0o600
POLL_S = 0.01
"""How often a lock that another process holds is asked for."""

_HELD = {errno.EACCES, errno.EAGAIN}

Acquire = Callable[[float], bool]
"""Tries for so many seconds (0: once) and says whether it has it."""


@dataclass(frozen=True)
class Limits:
    """How many releases one process computes at once, >= 1; how many callers wait, >= 0, and for how long each."""

    at_once: int = 2
    waiting: int = 32
    wait_s: float = 60.0


@dataclass
class _Twins:
    """Those who ask one question now."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    callers: int = 0


class Turns:
    """The turns of one process. Thread-safe.

    Args:
      shared: the file on which the processes of a workspace lock; made if it is missing.
    """

    def __init__(self, shared: Path, limits: Limits) -> None:
        self.limits = limits
        self._descriptor = os.open(shared, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        # Not before the last caller is through: its number could be another file's by then.
        weakref.finalize(self, os.close, self._descriptor)
        self._guard = threading.Lock()
        self._twins: dict[str, _Twins] = {}
        self._computing = threading.Semaphore(limits.at_once)
        self._waiting = 0

    def deadline(self) -> float:
        """Until when a caller who comes now waits, on the monotonic clock."""
        return time.monotonic() + self.limits.wait_s

    @contextmanager
    def alone(self, question: str, until: float) -> Iterator[None]:
        """A turn that no other caller of `question` has meanwhile.

        Args:
          until: when to give up, by `deadline`.

        Raises:
          Busy: it did not come in time, or too many wait already.
        """
        with self._asking(question) as twins:
            self._take(lambda timeout: twins.turn.acquire(timeout=timeout), until)
            try:
                with self._alone_on_this_machine(question, until):
                    yield
            finally:
                twins.turn.release()

    @contextmanager
    def computing(self, until: float) -> Iterator[None]:
        """A turn to compute.

        Args:
          until: when to give up, by `deadline`.

        Raises:
          Busy: it did not come in time, or too many wait already.
        """
        self._take(lambda timeout: self._computing.acquire(timeout=timeout), until)
        try:
            yield
        finally:
            self._computing.release()

    @contextmanager
    def _asking(self, question: str) -> Iterator[_Twins]:
        with self._guard:
            twins = self._twins.setdefault(question, _Twins())
            twins.callers += 1
        try:
            yield twins
        finally:
            with self._guard:
                twins.callers -= 1
                if not twins.callers:
                    del self._twins[question]

    def _take(self, acquire: Acquire, until: float) -> None:
        if acquire(0):
            return
        with self._room():
            if not acquire(max(0.0, until - time.monotonic())):
                raise Busy

    @contextmanager
    def _room(self) -> Iterator[None]:
        """A place among those who wait."""
        with self._guard:
            if self._waiting >= self.limits.waiting:
                raise Busy
            self._waiting += 1
        try:
            yield
        finally:
            with self._guard:
                self._waiting -= 1

    @contextmanager
    def _alone_on_this_machine(self, question: str, until: float) -> Iterator[None]:
        # Such locks belong to the process, so its threads must have taken turns before.
        place = int.from_bytes(hashlib.sha256(question.encode()).digest()[:7], "big")
        self._take(lambda timeout: self._locked(place, timeout), until)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def _locked(self, place: int, timeout: float) -> bool:
        ends = time.monotonic() + timeout
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError as error:
                if error.errno not in _HELD:
                    return True  # a file system without locks: the charge still makes it one
                if time.monotonic() >= ends:
                    return False
                time.sleep(POLL_S)
            else:
                return True


@contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Whether no other process on this machine holds `path` now; it is held until the `with` ends, or the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        yield _held(descriptor)
    finally:
        os.close(descriptor)


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD  # a file system without locks: what is done must bear being done twice
    return True


NO_TURN = nullcontext()
"""Of a caller who has no twins."""
