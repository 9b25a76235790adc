"""Tables that only grow: rows numbered from 1 for each owner (a dataset, a query), of which the newest holds.

A table's `info` names its owner's column and its number's. Every function works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Select, Table, bindparam, func, insert, select

from dpstats.errors import NotFound
from dpstats.ledger.prepared import Prepared, Row


def newest(connection: Connection, table: Table, owner: str) -> Row | None:
    """The owner's newest row, None if it has none."""
    return _newest(table).one(connection, owner=owner)


def known(connection: Connection, table: Table, owner: str) -> Row:
    """The owner's newest row.

    Raises:
      NotFound: it has none.
    """
    row = newest(connection, table, owner)
    if row is None:
        raise NotFound(str(table.info["owner"]), owner)
    return row


def numbered(connection: Connection, table: Table, owner: str, number: int) -> RowMapping:
    """The owner's row of that number.

    Raises:
      NotFound: there is none.
    """
    column, order = _columns(table)
    row = connection.execute(select(table).where(column == owner, order == number)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"{table.info['owner']} revision", f"{owner} {number}")
    return row


def every(connection: Connection, table: Table, owner: str) -> Sequence[RowMapping]:
    """All rows of the owner, oldest first."""
    return connection.execute(_every(table), {"owner": owner}).mappings().all()


def newest_of_each(connection: Connection, table: Table) -> Sequence[RowMapping]:
    """Every owner's newest row, by owner."""
    column, number = _columns(table)
    tops = select(column.label("owner"), func.max(number).label("top")).group_by(column).subquery()
    query = select(table).join(tops, (column == tops.c.owner) & (number == tops.c.top)).order_by(column)
    return connection.execute(query).mappings().all()


def append(connection: Connection, table: Table, owner: str, values: Mapping[str, object]) -> None:
    """Adds the owner's next row. The caller's is a write transaction, so the number cannot be taken meanwhile."""
    column, number = _columns(table)
    last = connection.execute(select(func.max(number)).where(column == owner)).scalar() or 0
    connection.execute(insert(table).values({column.name: owner, number.name: last + 1, **values}))


# Made once for each table: making a statement takes longer than SQLite takes to carry it out.
@cache
def _newest(table: Table) -> Prepared:
    return Prepared(_every(table).order_by(None).order_by(_columns(table)[1].desc()).limit(1))


@cache
def _every(table: Table) -> Select[Any]:
    column, number = _columns(table)
    return select(table).where(column == bindparam("owner")).order_by(number)


def _columns(table: Table) -> tuple[Column[Any], Column[Any]]:
    return table.c[table.info["owner"]], table.c[table.info["number"]]
