"""A grid in time: work whose duration may depend on rows ends on one of few moments, whatever becomes of it.

It mitigates and promises nothing: work that takes longer than a step ends a step later, and the machine's load shows
elsewhere. See "Timing is mitigated" in the README.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Moments `step_s` apart, counted from where the work begins; 0: no grid.

    `clock` gives seconds that never go back, `pause` waits for so many.
    """

    step_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ends on the grid, also where the work fails."""
        began = self.clock()
        try:
            yield
        finally:
            if self.step_s > 0:
                self.pause(self.step_s - (self.clock() - began) % self.step_s)


NO_GRID = Grid()
"""Where nobody outside can measure: the command line, on the host itself."""
