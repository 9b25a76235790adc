"""The self-test: whether what the guarantee stands on is what it must be, here and now.

Its parts are in the rooms that they test; a service runs it before it answers, in every process.
"""

from __future__ import annotations

from functools import lru_cache

from dpstats.engine import selftest as of_engine
from dpstats.errors import SelfTestFailed
from dpstats.ledger.store import Store
from dpstats.privacy import selftest as of_privacy
from dpstats.privacy.selftest import Check


def self_test(store: Store) -> None:
    """Lets pass a process and a ledger's clock that hold every check.

    Raises:
      SelfTestFailed: one does not; names the first.
    """
    for name in failed_checks(store):
        raise SelfTestFailed(name)


def failed_checks(store: Store) -> tuple[str, ...]:
    """The names of all checks that fail."""
    clock = Check("the clock, which must tell UTC and not be behind the ledger", store.ledger.clock_is_right)
    return (*failed_in_process(), *(check.name for check in (clock,) if not check.passes()))


@lru_cache(maxsize=1)
def failed_in_process() -> tuple[str, ...]:
    """The names of the checks that fail of noise and engine: looked at once, since a process does not get better."""
    checks = (*of_privacy.CHECKS, *of_engine.CHECKS)
    return tuple(check.name for check in checks if not check.passes())
