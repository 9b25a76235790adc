"""How many ids were suppressed among the people of a lineage, and of how many a data version's load knew.

Counted, since clocks tell nothing of a load that was under way meanwhile: nobody is ever taken off, so a version whose
load knew of fewer may hold somebody. Every release asks: what was counted is kept until somebody more is suppressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Integer, Table, Text, func, insert, literal_column, select

from dpstats.ledger.clock import moment_of
from dpstats.rights.consent_schema import ConsentDatabase, metadata
from dpstats.rights.suppression import suppressions

LINKED = "linked"
"""The request of ids that a load found linked to somebody who was erased.

It left them out itself, and knows of them; what was loaded before of other datasets may hold them, and does not.
"""


@dataclass(frozen=True)
class Erased:
    """What was suppressed in one lineage: how many rows, and when the last one."""

    count: int
    last: datetime


known_to = Table(
    "erasures_known_to",
    metadata,
    Column("data_version", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)
"""How many suppressed rows the load of a data version knew: those that there were as it began, and its own."""


class Erasures:
    """The erasures of one workspace, as whoever answers asks about them."""

    def __init__(self, database: ConsentDatabase) -> None:
        self._database = database
        self._counted: tuple[int, Mapping[str, Erased]] = (0, {})

    def of(self, lineage: str) -> Erased | None:
        """What was suppressed among the people of a lineage, by now; None if nobody was."""
        with self._database.reading() as connection:
            # Rows only ever come, each under a higher number than all before.
            newest = connection.execute(select(func.max(_NUMBER)).select_from(suppressions)).scalar() or 0
            number, counted = self._counted
            if number != newest:
                counted = {row.lineage: Erased(row.n, moment_of(row.last)) for row in connection.execute(_BY_LINEAGE)}
                self._counted = newest, counted
        return counted.get(lineage)

    def note(self, data_version: str, erased: Erased | None, found: int) -> None:
        """Keeps what a data version's load knew, before the version is entered; `found`: the rows that it added."""
        count = found if erased is None else erased.count + found
        with self._database.writing() as connection:
            connection.execute(insert(known_to).values(data_version=data_version, count=count))

    def came_after(self, lineage: str, data_version: str, made_at: datetime) -> bool:
        """Whether somebody was erased of whom a data version's load knew nothing; `made_at`: if it was not noted."""
        erased = self.of(lineage)
        if erased is None:
            return False
        query = select(known_to.c.count).where(known_to.c.data_version == data_version)
        with self._database.reading() as connection:
            known = connection.execute(query).scalar()
        return made_at < erased.last if known is None else known < erased.count


_NUMBER: ColumnElement[int] = literal_column("rowid")
_BY_LINEAGE = select(
    suppressions.c.lineage, func.count().label("n"), func.max(suppressions.c.since).label("last")
).group_by(suppressions.c.lineage)
