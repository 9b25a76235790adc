"""Noise that is drawn before it is asked for, so that an answer need not wait for it.

A `DrawnAhead` keeps draws of additive noise around 0, by noise and exact scale, and adds them to the next vector that
asks for that noise. It is filled by one thread, in a process that serves, for the scales that plans want; it is empty
everywhere else.

Claim: a vector answered from it is released as `mechanism.draw` releases it, at the same price.
Argument: for 64-bit whole numbers the measurement is x -> min(max(x + Z, -2^63), 2^63 - 1), entry by entry, with Z of
one distribution on the whole numbers, whatever x is, independent of all else. So its call on 0 gives Z (within 64 bits:
see `SCALE_LARGEST`), and x + Z, saturated as there, has the measurement's distribution at x. Whether Z was drawn
before or after x was known does not matter, because nothing that is drawn, kept or taken looks at x.

What that stands on, each held by a test: a draw is taken out, under a lock, before it is used, and there is no way to
put one back, so of a release that fails its draws are gone; the key is the noise and the very double that OpenDP is
given; a process that is forked starts with nothing; no draw is written, pickled or shown.

How full it is shows in time: an answer that finds its draws is sooner. That depends on how many were taken, so draws
are taken for plans alone whose number of cells is public: all keys declared. It tells one caller that another asked
for that noise lately, never what the rows hold, but for a run that fails and takes none; and the grid in time hides
most of it. What no process can know: a machine whose memory is saved while it serves and started twice from there gives
both the same draws. Restart the service after such a restore, as for any other secret in its memory.
"""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn, final

from dpstats.plan.plan import Plan
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity, draw, saturate

Kind = tuple[Noise, float]
"""What decides the distribution of a draw around 0: the noise, and the very double that is its scale."""

PIECE = 512
"""Draws that are made in one go, in some 10 ms: whoever answers meanwhile is not kept longer."""
MOST_KINDS = 64
MOST_OF_A_KIND = 2**15
MOST_DRAWS = 2**18
"""Bounds of what is kept: noises of one scale, draws of one, and draws in all (2 MiB, 4 to 8 s of drawing)."""
LEAVES_S = 0.02
"""Seconds that it leaves to the answer for which draws were taken, before it makes others in their place."""
SCALE_LARGEST = 2.0**40
"""Of a larger scale nothing is kept. Up to it the noise leaves 64 bits with a chance below exp(-2^22): never."""


def wanted(plan: Plan) -> dict[Kind, int]:
    """How many draws of which noise a release of a plan takes from what is drawn ahead; none where keys are private.

    It depends on declared keys and the plan alone. Selections draw for themselves.
    """
    found: dict[Kind, int] = {}
    if plan.private_keys:
        return found
    groups = plan.groups if plan.top is None else min(plan.groups, plan.top.k)
    for each in plan.draws:
        if not each.mechanism.noise.selects and each.mechanism.scale <= SCALE_LARGEST:
            kind = _kind(each.mechanism)
            found[kind] = found.get(kind, 0) + groups * each.entries
    return found


def _kind(mechanism: Mechanism) -> Kind:
    return mechanism.noise, mechanism.scale


@final
class DrawnAhead:
    """Draws around 0, each used once. Thread-safe; it has no text, copy or length."""

    _changed: threading.Condition
    _serves: bool
    _levels: dict[Kind, int]
    _drawn: dict[Kind, array[int]]

    def __init__(self) -> None:
        self._forget()

    def __repr__(self) -> str:
        return "<DrawnAhead>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("noise is neither copied nor stored")

    def __getstate__(self) -> NoReturn:
        raise TypeError("noise is neither copied nor stored")

    def draw(self, mechanism: Mechanism, exact: Sequence[int]) -> list[int]:
        """The noisy vector, as `mechanism.draw` gives it: with draws that are there, and with new ones for the rest.

        Raises:
          ValueError: the mechanism selects instead.
        """
        ready = self._taken(_kind(mechanism), len(exact))
        if not ready:
            return draw(mechanism, exact)
        first = saturate(exact[: len(ready)])
        noisy = [max(-(2**63), min(2**63 - 1, value + noise)) for value, noise in zip(first, ready, strict=True)]
        return noisy + draw(mechanism, exact[len(ready) :])

    def _taken(self, kind: Kind, most: int) -> Sequence[int]:
        """Up to so many draws, which nobody else gets."""
        with self._changed:
            there = self._drawn.get(kind)
            if not there or most < 1:
                return ()
            taken = there[-most:]
            del there[-most:]
            self._changed.notify_all()
            return taken

    def want(self, draws: Mapping[Kind, int]) -> None:
        """Keeps so many of each kind from now on, or as many as were wanted before, within the bounds.

        The kinds that were wanted longest ago are forgotten first. Nothing is kept while nothing fills it.
        """
        with self._changed:
            if not self._serves:
                return
            for kind, count in draws.items():
                level = min(max(count, self._levels.pop(kind, 0)), MOST_OF_A_KIND)
                self._levels[kind] = level
            while len(self._levels) > MOST_KINDS or sum(self._levels.values()) > MOST_DRAWS:
                oldest = next(iter(self._levels))
                del self._levels[oldest]
                self._drawn.pop(oldest, None)
            self._changed.notify_all()

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Fills it in a thread of its own for as long as the `with` lasts; then it is empty. Not to be nested."""
        with self._changed:
            self._serves = True
        thread = threading.Thread(target=self._fill, name="dpstats-ahead", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end()
            thread.join()

    def wait_until_full(self, timeout_s: float) -> bool:
        """Whether everything that is wanted is there, now or within so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._serves or self._missing() is None, timeout_s)
            return self._serves and self._missing() is None

    def _fill(self) -> None:
        try:
            while (missing := self._next_missing()) is not None:
                kind, count = missing
                self._keep(kind, draw(Mechanism(*kind, Sensitivity(1, 1)), [0] * min(count, PIECE)))
        except Exception:  # whoever asks then draws for itself, and is told what is wrong
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._serves, self._levels, self._drawn = False, {}, {}
            self._changed.notify_all()

    def _next_missing(self) -> tuple[Kind, int] | None:
        """What is to be drawn next; waits until there is something. None: no more is."""
        with self._changed:
            if self._missing() is None:
                self._changed.wait_for(lambda: not self._serves or self._missing() is not None)
                self._changed.wait_for(lambda: not self._serves, LEAVES_S)
            return self._missing() if self._serves else None

    def _missing(self) -> tuple[Kind, int] | None:
        for kind, level in self._levels.items():
            count = level - len(self._drawn.get(kind, ()))
            if count > 0:
                return kind, count
        return None

    def _keep(self, kind: Kind, drawn: Sequence[int]) -> None:
        with self._changed:
            if kind in self._levels:
                self._drawn.setdefault(kind, array("q")).extend(drawn)
            self._changed.notify_all()

    def _forget(self) -> None:
        """As it was made, with a lock of its own: in a forked child another thread may hold the old one for ever."""
        self._changed = threading.Condition()
        self._serves, self._levels, self._drawn = False, {}, {}


AHEAD = DrawnAhead()
"""The process's own."""
os.register_at_fork(after_in_child=AHEAD._forget)
