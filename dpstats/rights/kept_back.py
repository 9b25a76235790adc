"""What a business must keep of whom it was asked to delete: by column, sealed, apart from all data (1798.105(d)).

Restricted (11 CCR 7022(f)): no load, query, release or package ever reads it, only a steward, by the request that it is
of. The key is outside the database. What is kept goes when a steward ends it, or its person asks again without that
exception; that there was something stays in the log of requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Index, Integer, RowMapping, Table, Text, delete, insert, select

from dpstats.catalog.ids import id_text
from dpstats.catalog.types import ColumnType
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata
from dpstats.rights.pseudonyms import Pseudonyms

Cell = tuple[str, str | None]
"""A row's privacy unit, and what stands in the column there."""
Also = Callable[[Connection], None]
"""Something written in another's transaction."""

_KEY = "key of what is kept back"

columns = Table(
    "kept_columns",
    metadata,
    Column("request", Text, primary_key=True),
    Column("column_name", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("cells", Integer, nullable=False),
    Column("sealed", Text, nullable=False),
)
people = Table(
    "kept_people",
    metadata,
    Column("request", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Index("kept_people_unit", "unit"),
)
"""Whose it is: the hashes of every id that the person had (`unit_of`)."""


@dataclass(frozen=True)
class KeptColumn:
    """A column, as `table.column`, of which `cells` cells are kept, by the exception `code`, since a deletion."""

    request: str
    dataset: str
    column: str
    code: str
    since: datetime
    cells: int


class KeptBack:
    """What is kept back in one workspace."""

    def __init__(self, database: ConsentDatabase, pseudonyms: Pseudonyms) -> None:
        self._database, self._pseudonyms = database, pseudonyms

    def put(
        self,
        connection: Connection,
        kept: Sequence[KeptColumn],
        cells: Mapping[str, Sequence[Cell]],
        units: Iterable[str],
    ) -> None:
        """Keeps a request's columns, in the transaction in which its person, of these hashes, is suppressed."""
        for each in kept:
            sealed = self._pseudonyms.sealed(
                _KEY, _about(each.request, each.column), canonical_json(cells[each.column])
            )
            said = {"request": each.request, "column_name": each.column, "dataset": each.dataset, "code": each.code}
            row = said | {"since": stamp(each.since), "cells": each.cells, "sealed": sealed}
            connection.execute(insert(columns).values(row))
        for request in {each.request for each in kept}:
            connection.execute(insert(people), [{"request": request, "unit": unit} for unit in sorted(set(units))])

    def also_of(self, units: Iterable[str]) -> None:
        """Notes that what is kept of one of these hashes is of one person with all of them."""
        theirs = set(units)
        of_any = select(people.c.request).where(people.c.unit.in_(sorted(theirs))).distinct()
        with self._database.reading() as connection:
            if not connection.execute(of_any).first():
                return
        with self._database.writing() as connection:
            for request in connection.execute(of_any).scalars().all():
                known = connection.execute(select(people.c.unit).where(people.c.request == request)).scalars()
                new = sorted(theirs - set(known))
                if new:
                    connection.execute(insert(people), [{"request": request, "unit": unit} for unit in new])

    def remove(self, connection: Connection, request: str, names: Collection[str]) -> None:
        """Ends what is kept of columns of a request, in the transaction in which that is noted."""
        connection.execute(delete(columns).where(columns.c.request == request, columns.c.column_name.in_(list(names))))
        left = select(columns.c.request)
        connection.execute(delete(people).where(people.c.request.not_in(left)))

    def all(self) -> tuple[KeptColumn, ...]:
        """Everything that is kept, oldest first."""
        with self._database.reading() as connection:
            return tuple(_kept(row) for row in connection.execute(_UNOPENED).mappings())

    def of_request(self, request: str) -> tuple[KeptColumn, ...]:
        """What is kept of a request."""
        return tuple(each for each in self.all() if each.request == request)

    def of_person(self, units: Iterable[str]) -> tuple[KeptColumn, ...]:
        """What is kept of a person of these hashes (`unit_of`)."""
        with self._database.reading() as connection:
            query = select(people.c.request).where(people.c.unit.in_(list(units)))
            requests = frozenset(connection.execute(query).scalars())
        return tuple(each for each in self.all() if each.request in requests)

    def cells(self, request: str) -> Mapping[str, Sequence[Cell]]:
        """The cells that are kept of a request, by column; those of one table's columns are of the same rows in order.

        Raises:
          FileError: the key is another one.
        """
        query = select(columns.c.column_name, columns.c.sealed).where(columns.c.request == request)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(columns.c.column_name)).all()
        opened = {name: self._pseudonyms.opened(_KEY, _about(request, name), sealed) for name, sealed in rows}
        return {name: [(unit, cell) for unit, cell in json.loads(content)] for name, content in opened.items()}


def unit_of(pseudonyms: Pseudonyms, lineage: str, unit_type: ColumnType, unit: str) -> str:
    """The keyed hash of an id by which what is kept of its person is found: another for each type of id.

    So 007 and 7 are two people where ids are text, though both are 7 in whole numbers.
    """
    kind = "bigint" if unit_type.is_integer else unit_type.name
    return pseudonyms.hashed("kept", lineage, kind, id_text(unit_type, unit))


_UNOPENED = select(*(each for each in columns.c if each.name != "sealed")).order_by(
    columns.c.since, columns.c.request, columns.c.column_name
)


def _about(request: str, column: str) -> str:
    return f"{request} {column}"


def _kept(row: RowMapping) -> KeptColumn:
    request, dataset, column, code = row["request"], row["dataset"], row["column_name"], row["code"]
    return KeptColumn(request, dataset, column, code, moment_of(row["since"]), row["cells"])
