"""Who was erased and must not come back: keyed hashes, looked at by every load, used for nothing else (1798.105(c)(2)).

Written before anything is erased, so that whatever is interrupted, or loaded again from an old file, leaves them out.
A person is kept out in the spelling of every type of id: datasets of the same people may declare theirs differently.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Column, Connection, Table, Text, func, insert, select

from dpstats.catalog.ids import id_text
from dpstats.catalog.types import ColumnType
from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata
from dpstats.rights.pseudonyms import Pseudonyms

_TYPES = tuple(ColumnType(name) for name in ("bigint", "varchar", "uuid"))
"""The types of id that are read differently."""

suppressions = Table(
    "suppressions",
    metadata,
    Column("lineage", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("since", Text, nullable=False),
    Column("request", Text, nullable=False),
)


class Suppressions:
    """The suppressed people of one workspace. There is no way to take one off: consent to be in again is new data."""

    def __init__(self, database: ConsentDatabase, pseudonyms: Pseudonyms) -> None:
        self._database, self._pseudonyms = database, pseudonyms

    def add(
        self,
        lineage: str,
        unit: str,
        *,
        request: str,
        now: datetime,
        also: Callable[[Connection], None] | None = None,
    ) -> int:
        """Suppresses the person of an id, as `id_text` writes it, among the people of a lineage; again: no change.

        Args:
          also: what is written in the same transaction.

        Returns:
          How many rows are new.
        """
        rows = [
            {
                "lineage": lineage,
                "unit": self._hashed(lineage, unit_type, unit),
                "since": stamp(now),
                "request": request,
            }
            for unit_type in _TYPES
        ]
        hashes = [row["unit"] for row in rows]
        query = select(suppressions.c.unit).where(suppressions.c.lineage == lineage, suppressions.c.unit.in_(hashes))
        with self._database.writing() as connection:
            there = set(connection.execute(query).scalars())
            new = [row for row in rows if row["unit"] not in there]
            if new:
                connection.execute(insert(suppressions), new)
            if also is not None:
                also(connection)
        return len(new)

    def any(self) -> bool:
        """Whether anybody is suppressed at all."""
        with self._database.reading() as connection:
            return connection.execute(select(suppressions.c.unit).limit(1)).first() is not None

    def newest(self, lineage: str) -> datetime | None:
        """When somebody was suppressed for the last time among the people of a lineage; None if nobody ever was."""
        query = select(func.max(suppressions.c.since)).where(suppressions.c.lineage == lineage)
        with self._database.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else moment_of(found)

    def since(self, lineage: str, unit: str) -> datetime | None:
        """When the person of an id, as `id_text` writes it, was suppressed in every spelling; None if in not all."""
        hashes = {self._hashed(lineage, unit_type, unit) for unit_type in _TYPES}
        query = select(suppressions.c.since).where(
            suppressions.c.lineage == lineage, suppressions.c.unit.in_(sorted(hashes))
        )
        with self._database.reading() as connection:
            found = list(connection.execute(query).scalars())
        return moment_of(max(found)) if len(found) == len(hashes) else None

    def left_out(self, lineage: str, unit_type: ColumnType) -> Callable[[str], bool] | None:
        """Says of an id whether its person is suppressed, as of now; None if nobody of the lineage is."""
        query = select(suppressions.c.unit).where(suppressions.c.lineage == lineage)
        with self._database.reading() as connection:
            found = frozenset(connection.execute(query).scalars())
        if not found:
            return None
        return lambda unit: self._hashed(lineage, unit_type, unit) in found

    def _hashed(self, lineage: str, unit_type: ColumnType, unit: str) -> str:
        """A hash of its own for each type, so that 007 in whole numbers takes no 7 out of texts that hold both."""
        kind = "bigint" if unit_type.is_integer else unit_type.name
        return self._pseudonyms.hashed("suppressed", lineage, kind, id_text(unit_type, unit))
