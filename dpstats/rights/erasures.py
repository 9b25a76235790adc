"""How many erasures there were of the people of a lineage: data that were made before the last one answer nobody.

Every release asks, so what was counted is kept for as long as nobody is suppressed in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, literal_column, select

from dpstats.ledger.clock import moment_of
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.suppression import suppressions

LINKED = "linked"
"""The request of ids that a load found linked to somebody who was erased: it left them out itself."""


@dataclass(frozen=True)
class Erased:
    """What was suppressed by requests in one lineage: how many rows, and when the last one."""

    count: int
    last: datetime


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


_NUMBER: ColumnElement[int] = literal_column("rowid")
_BY_LINEAGE = (
    select(suppressions.c.lineage, func.count().label("n"), func.max(suppressions.c.since).label("last"))
    .where(suppressions.c.request != LINKED)
    .group_by(suppressions.c.lineage)
)
