"""What every peer is asked, and how it answers: JSON in by the first argument, JSON out on the last line.

The peers run in virtual environments of their own, so nothing of dpstats is imported here.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """Counts and sums by 1,000 declared groups, each at half of (epsilon, delta), or of rho.

    `noise`: "gaussian" or "laplace". `count` and `sum` have `groups` (a customer), `rows` (of a customer in a group),
    `rows_of_unit` (of a customer in all) and `sum` also `high` (a row's amount) and `total` (a customer's in a group);
    each peer enforces the ones that it knows.
    """

    parquet: str
    noise: str
    epsilon: float
    delta: float
    rho: float
    count: dict[str, float]
    sum: dict[str, float]
    groups: int = 1000
    regions: int = 50


_began: list[float] = []


def asked() -> Asked:
    """The question in the first argument. From now on it is timed."""
    began()
    return Asked(**json.loads(sys.argv[1]))


def began() -> None:
    """Times the work from now on: what a peer needs once, before any question, is not the work."""
    _began[:] = [time.perf_counter()]


def answer(**parts: Any) -> None:
    """`count` and `sum`: {"scale": sigma or b, "answers": a number a group}; whatever else is worth printing."""
    seconds = time.perf_counter() - _began[0]
    sys.stdout.flush()
    print("\n" + json.dumps({"seconds": seconds, **parts}), flush=True)
