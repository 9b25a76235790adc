"""What is done to one dataset after the other: one whose data cannot be made anew keeps it from no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from dpstats.errors import DpstatsError

T = TypeVar("T")
R = TypeVar("R")


def done_to_each(items: Iterable[T], do: Callable[[T], R]) -> tuple[R, ...]:
    """What `do` gives for each of them.

    Raises:
      DpstatsError: the first that was raised, once it was done to all of the others.
    """
    done: list[R] = []
    failed: list[DpstatsError] = []
    for item in items:
        try:
            done.append(do(item))
        except DpstatsError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return tuple(done)
