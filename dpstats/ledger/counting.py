"""How many charges a lineage has, for whoever asks again and again: only what is new since the last time is read."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, func, select

from dpstats.ledger import schema
from dpstats.ledger.chain import Kind
from dpstats.ledger.database import reading

_ENTRIES = schema.entries.c


class ChargeCounts:
    """Counts charges by lineage. Thread-safe; each process counts for itself and comes to the same numbers.

    Why it may remember: entries are append-only and numbered without gaps, so what was counted up to an entry stays.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def of(self, lineage: str) -> int:
        """The charges of the lineage so far, 0 for an unknown one.

        Raises:
          LedgerBroken, Unavailable: the ledger cannot be read.
        """
        with self._lock:
            seq, charges = self._known.get(lineage, (0, 0))
            newer = (
                select(_ENTRIES.kind, func.count(), func.max(_ENTRIES.seq))
                .where(_ENTRIES.lineage == lineage, _ENTRIES.seq > seq)
                .group_by(_ENTRIES.kind)
            )
            with reading(self._engine) as connection:
                for kind, count, last in connection.execute(newer):
                    charges += count if kind == Kind.CHARGE else 0
                    seq = max(seq, last)
            self._known[lineage] = (seq, charges)
            return charges
