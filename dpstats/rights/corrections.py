"""What people had corrected: by pseudonym, sealed with a key outside the database, replayed until the source confirms.

A correction is personal information. What it says goes when the source says it too, when a later one of the same cells
takes its place, and when its person is erased; that there was one stays in the log of requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Column, Connection, Index, Integer, RowMapping, Table, Text, delete, insert, select, update

from dpstats.ledger.chain import canonical_json
from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata
from dpstats.rights.pseudonyms import Pseudonyms

_KEY = "key of corrections"

corrections = Table(
    "corrections",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("request", Text, nullable=False, unique=True),
    Column("lineage", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("sealed", Text),
    Column("since", Text, nullable=False),
    Column("confirmed_at", Text),
    Index("corrections_unit", "lineage", "unit"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class Said:
    """What is corrected: in the rows of `table` in which every cell of `where` holds, `put` is what is true."""

    table: str
    where: Mapping[str, str] = field(repr=False)
    put: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Correction:
    """A correction as it is kept. `said`: None once the source confirmed it, at `confirmed_at`."""

    number: int
    request: str
    dataset: str
    unit: str
    said: Said | None
    since: datetime
    confirmed_at: datetime | None


class Corrections:
    """The corrections of one workspace."""

    def __init__(self, database: ConsentDatabase, pseudonyms: Pseudonyms) -> None:
        self._database, self._pseudonyms = database, pseudonyms

    def add(self, request: str, lineage: str, dataset: str, unit: str, said: Said, now: datetime) -> Correction:
        """Keeps a request's correction of a person, by pseudonym; one that there is of the request stays as it is.

        It takes the place of earlier ones that change no other cell of the same rows.
        """
        with self._database.writing() as connection:
            if not _those(connection, request):
                self._replace(connection, lineage, dataset, unit, said)
                row = {"request": request, "lineage": lineage, "dataset": dataset, "unit": unit, "since": stamp(now)}
                connection.execute(insert(corrections).values(**row, sealed=self._sealed(request, said)))
            (kept,) = _those(connection, request)
        self._database.empty_log()
        return self._opened(kept)

    def of_request(self, request: str) -> Correction | None:
        """The correction of a request; None if there is none, or none any more."""
        with self._database.reading() as connection:
            return next((self._opened(row) for row in _those(connection, request)), None)

    def standing(self, lineage: str, dataset: str) -> tuple[Correction, ...]:
        """The corrections that still stand in for what a dataset's sources say, in the order in which they came."""
        table = corrections.c
        query = select(corrections).where(table.lineage == lineage, table.dataset == dataset, table.sealed.is_not(None))
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(table.number)).mappings().all()
        return tuple(self._opened(row) for row in found)

    def of_person(self, lineage: str, units: Iterable[str]) -> tuple[Correction, ...]:
        """The corrections of a person of these pseudonyms, in the order in which they came."""
        table = corrections.c
        query = select(corrections).where(table.lineage == lineage, table.unit.in_(list(units))).order_by(table.number)
        with self._database.reading() as connection:
            return tuple(self._opened(row) for row in connection.execute(query).mappings())

    def confirm(self, numbers: Iterable[int], now: datetime) -> None:
        """Closes corrections that a source says as well: what they said goes, that it was confirmed stays."""
        table = corrections.c
        with self._database.writing() as connection:
            there = update(corrections).where(table.number.in_(list(numbers)), table.confirmed_at.is_(None))
            connection.execute(there.values(sealed=None, confirmed_at=stamp(now)))
        self._database.empty_log()

    def forget(self, numbers: Iterable[int]) -> None:
        """Removes corrections of cells that may be held no longer."""
        with self._database.writing() as connection:
            connection.execute(delete(corrections).where(corrections.c.number.in_(list(numbers))))
        self._database.empty_log()

    def drop(self, lineage: str, unit: str) -> None:
        """Removes everything of a person, by pseudonym."""
        with self._database.writing() as connection:
            connection.execute(delete(corrections).where(corrections.c.lineage == lineage, corrections.c.unit == unit))
        self._database.empty_log()

    def _replace(self, connection: Connection, lineage: str, dataset: str, unit: str, said: Said) -> None:
        table = corrections.c
        query = select(corrections).where(table.lineage == lineage, table.dataset == dataset, table.unit == unit)
        for row in connection.execute(query.where(table.sealed.is_not(None))).mappings().all():
            earlier = self._opened(row).said
            if earlier is not None and _replaces(said, earlier):
                connection.execute(delete(corrections).where(table.number == row["number"]))

    def _sealed(self, request: str, said: Said) -> str:
        content = canonical_json({"table": said.table, "where": dict(said.where), "put": dict(said.put)})
        return self._pseudonyms.sealed(_KEY, request, content)

    def _opened(self, row: RowMapping) -> Correction:
        said = None
        if row["sealed"] is not None:
            said = Said(**json.loads(self._pseudonyms.opened(_KEY, row["request"], row["sealed"])))
        confirmed_at = moment_of(row["confirmed_at"]) if row["confirmed_at"] else None
        number, request, dataset, unit = row["number"], row["request"], row["dataset"], row["unit"]
        return Correction(number, request, dataset, unit, said, moment_of(row["since"]), confirmed_at)


def _replaces(later: Said, earlier: Said) -> bool:
    same_rows = (later.table, dict(later.where)) == (earlier.table, dict(earlier.where))
    return same_rows and set(earlier.put) <= set(later.put)


def _those(connection: Connection, request: str) -> Sequence[RowMapping]:
    """The correction of a request, or none."""
    return connection.execute(select(corrections).where(corrections.c.request == request)).mappings().all()
