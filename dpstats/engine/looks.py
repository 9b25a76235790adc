"""Looks at an owner's files that hold nobody for ever: a disk that hangs counts as files that are gone.

A thread of its own looks, so that whoever asks need not wait for a system call that does not come back. There is one
thread at a time; who asks meanwhile waits for the next look, which all of them share: what is said was looked at after
it was asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

PATIENCE_S = 5.0
"""How long the system may take to say something of one file: many files may take longer together."""


class Looks:
    """Whether all of a table's files are as they should be. Threads may share it.

    Args:
      each: says of every file in turn whether it is so; it may hang.
    """

    def __init__(self, each: Callable[[], Iterable[bool]], patience_s: float = PATIENCE_S) -> None:
        self._each, self._patience_s = each, patience_s
        self._moved = threading.Condition()
        self._begun = self._ended = 0
        self._heard_at, self._said = 0.0, False

    def are_so(self) -> bool:
        """What a look says that begins from now on; no, where the system says nothing for longer than its patience."""
        with self._moved:
            wanted = self._begun + 1
            while self._ended < wanted:
                if self._begun == self._ended:
                    self._begin()
                left = self._heard_at + self._patience_s - time.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(left)
            return self._said

    def _begin(self) -> None:
        self._heard_at = time.monotonic()
        threading.Thread(target=self._look, name="look at files in place", daemon=True).start()
        self._begun += 1  # if it could be started; it cannot end before whoever starts it lets go

    def _look(self) -> None:
        said = False
        try:
            said = all(map(self._heard, self._each()))
        finally:
            with self._moved:
                self._ended, self._said = self._begun, said
                self._moved.notify_all()

    def _heard(self, is_so: bool) -> bool:
        self._heard_at = time.monotonic()
        return is_so
