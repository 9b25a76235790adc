"""Which charges were answered, noted outside the database: whoever has the database alone cannot have one drawn twice.

A charge that has no answer stored is taken up again by whoever asks next, as its answer was never made, or never told.
If a stored answer could be taken out of the database unseen, one charge would show a second draw, and a third. So each
answer that is stored is noted in the workspace, by its release's id, after it is stored: a note means that the answer
was there. Notes are not synced to the disk one by one: a power cut may lose the last seconds' of them, which takes
nothing from an answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, select

from dpstats.errors import DpstatsError
from dpstats.ledger import schema
from dpstats.ledger.chain import Kind
from dpstats.ledger.database import reading
from dpstats.ledger.files import PRIVATE, create_durably

_ENTRIES = schema.entries.c


class Answered:
    """The notes of one workspace in `file`, a release's id a line; those of all its processes."""

    def __init__(self, file: Path, engine: Engine) -> None:
        self._file, self._engine = file, engine

    def begin(self) -> None:
        """Notes the answers of a ledger from before there were notes; none of one that cannot be read."""
        if not self._file.exists():
            with suppress(DpstatsError), reading(self._engine) as connection:
                stored = connection.execute(select(schema.releases.c.release_id)).scalars().all()
                if stored:
                    create_durably(self._file, "".join(f"{release_id}\n" for release_id in stored).encode())

    def note(self, release_id: str) -> None:
        """Notes that an answer is stored. One that cannot be noted is given out all the same: it was paid for."""
        with suppress(OSError):
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
            try:
                os.write(descriptor, f"{release_id}\n".encode())  # in one piece, whoever else appends
            finally:
                os.close(descriptor)

    def __contains__(self, release_id: str) -> bool:
        """Whether an answer was ever stored under this id."""
        return release_id in self._noted()

    def gone(self, lineages: Iterable[str]) -> tuple[str, ...]:
        """A line for each charge of these lineages whose answer was stored and is not there; withdrawn ones are not."""
        noted = self._noted()  # before the database is read: what is noted is stored by then
        if not noted:
            return ()
        unanswered = (
            select(_ENTRIES.lineage, _ENTRIES.seq, _ENTRIES.release_id)
            .where(_ENTRIES.kind == Kind.CHARGE, _ENTRIES.lineage.in_(tuple(lineages)))
            .where(_ENTRIES.release_id.not_in(select(schema.releases.c.release_id)))
            .where(_ENTRIES.release_id.not_in(select(schema.withdrawals.c.release_id)))
            .order_by(_ENTRIES.lineage, _ENTRIES.seq)
        )
        with reading(self._engine) as connection:
            found = connection.execute(unanswered).all()
        return tuple(
            f"{lineage}: the answer that entry {seq} paid for, release {release_id}, was stored and is gone"
            for lineage, seq, release_id in found
            if release_id in noted
        )

    def _noted(self) -> frozenset[str]:
        try:
            return frozenset(self._file.read_text(encoding="ascii", errors="replace").split("\n")) - {""}
        except OSError:
            return frozenset()
