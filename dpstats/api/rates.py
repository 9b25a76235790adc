"""How often a caller may ask: a bucket for each token, or each subject of an OIDC issuer, in this process.

Each worker counts for itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from dpstats.errors import RateLimited
from dpstats.ledger.tokens import Identity

MOST_BUCKETS = 10_000
"""Callers that are counted at once; beyond that, those that asked least lately start anew."""


@dataclass
class _Bucket:
    left: float
    at: float


class Rates:
    """Buckets that hold a minute's requests and fill evenly. `clock` gives seconds that never go back.

    Called on the event loop alone, so it needs no lock.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: dict[str, _Bucket] = {}  # least recently asked first

    def take(self, caller: str) -> None:
        """Counts one request.

        Raises:
          RateLimited: the bucket is empty; says in how many seconds it is not.
        """
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(float(self._per_minute), now)
        self._buckets[caller] = bucket
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        bucket.left = min(float(self._per_minute), bucket.left + (now - bucket.at) * self._per_minute / 60)
        bucket.at = now
        if bucket.left < 1:
            raise RateLimited(max(1, math.ceil((1 - bucket.left) * 60 / self._per_minute)))
        bucket.left -= 1


class RateLimit:
    """Lets no caller ask more often than `per_minute`; None: as often as it likes. Stands behind `TokenFirst`."""

    def __init__(self, app: ASGIApp, per_minute: int | None) -> None:
        self._app, self._rates = app, None if per_minute is None else Rates(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = scope.get("state", {}).get("identity")
        if self._rates is not None and isinstance(identity, Identity):
            # Whoever an issuer vouches for has no token of ours, and a name that no token's id can be.
            self._rates.take(identity.token_id or identity.name)
        await self._app(scope, receive, send)
