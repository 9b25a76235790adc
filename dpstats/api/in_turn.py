"""Callers who want the same thing read at the same moment: one reads it, and the others find what was read.

Whenever something is committed to the ledger, all that was remembered of it is forgotten, and everybody who asks just
then would read the same again. It saves work and decides nothing: whoever has waited looks for what was read, and reads
for itself if that is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

PATIENCE_S = 1.0
"""How long one waits for another before it goes on alone."""


class InTurn(Generic[Key]):
    """The turns of each key, on one event loop; first come, first served."""

    def __init__(self) -> None:
        self._turns: dict[Key, asyncio.Lock] = {}
        self._callers: dict[Key, int] = {}

    @asynccontextmanager
    async def turn(self, key: Key) -> AsyncIterator[None]:
        """A turn that no other caller of `key` has meanwhile, unless it lasts longer than `PATIENCE_S`."""
        lock = self._turns.setdefault(key, asyncio.Lock())
        self._callers[key] = self._callers.get(key, 0) + 1
        has_it = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    has_it = await lock.acquire()
            yield
        finally:
            if has_it:
                lock.release()
            self._callers[key] -= 1
            if not self._callers[key]:
                del self._callers[key], self._turns[key]
