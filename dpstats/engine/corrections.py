"""What people had corrected, put in place of what a source still says, at every load until the source confirms it.

A correction is looked up by its person's ids and changes that person's rows alone, each by its own cells, before rows
are counted, ranked or bounded: the data version is the one that a corrected source would have given, so the bounds of
one unit hold as they are. The new file never holds the old value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dpstats.catalog.dataset import Table
from dpstats.engine.cells import clean
from dpstats.engine.names import quoted


@dataclass(frozen=True)
class Fix:
    """One correction: in a person's rows of `table` in which every cell of `where` holds, `put` is what is true.

    `number`: what tells it apart; later ones have larger numbers. Values are text, as `clean` reads a source's.
    """

    number: int
    table: str
    where: Mapping[str, str] = field(repr=False)
    put: Mapping[str, str] = field(repr=False)


FixesOf = Callable[[Iterable[str]], Sequence[Fix]]
"""The corrections of the person of these ids, in the order in which they came."""
Overlay = Mapping[str, FixesOf]
"""Those that still stand, by table; a table that has none is not in it."""


@dataclass(frozen=True)
class Stated:
    """A correction in SQL on one table: how its rows are found, what is put, and the values that are bound."""

    matches: str
    differs: str
    right: str
    puts: str
    readable: str
    binds: Mapping[str, str] = field(repr=False)


def stated(table: Table, fix: Fix) -> Stated | None:
    """A correction in SQL; None if the table has no longer all of its columns.

    `matches`: the cells are those of a row to correct; `differs`: what is to be put is not there; `right`: the row is
    as the correction leaves it; `readable`: every value is one of its column's type.
    """
    if not {*fix.where, *fix.put} <= set(table.columns):
        return None
    where = {column: _value(table, column, f"dp_w{place}") for place, column in enumerate(fix.where)}
    put = {column: _value(table, column, f"dp_p{place}") for place, column in enumerate(fix.put)}
    binds = {f"dp_w{place}": text for place, text in enumerate(fix.where.values())}
    binds |= {f"dp_p{place}": text for place, text in enumerate(fix.put.values())}
    kept = [f"{quoted(column)} = {value}" for column, value in where.items()]
    left = [f"{quoted(column)} = {value}" for column, value in (where | put).items()]
    return Stated(
        matches=" AND ".join(kept) or "true",
        differs=" OR ".join(f"{quoted(column)} IS DISTINCT FROM {value}" for column, value in put.items()),
        right=" AND ".join(left),
        puts=", ".join(f"{quoted(column)} = {value}" for column, value in put.items()),
        readable=" AND ".join(f"{value} IS NOT NULL" for value in (*where.values(), *put.values())),
        binds=binds,
    )


def replayed(rows: str, unit: str, said: Stated) -> str:
    """SQL that puts a correction in place in the table `rows`, of the units in `$dp_units`."""
    return f"UPDATE {rows} SET {said.puts} WHERE {_theirs(unit)} AND {said.matches} AND {said.readable}"


def confirmed(rows: str, unit: str, said: Stated) -> str:
    """SQL for whether a source's rows, as they came, say of the units in `$dp_units` what a correction says.

    They do if a row is as the correction leaves it, and none is as it was before.
    """
    old = f"count(*) FILTER (WHERE {said.matches} AND ({said.differs}))"
    new = f"count(*) FILTER (WHERE {said.right})"
    return f"SELECT {old} = 0 AND {new} > 0 FROM {rows} WHERE {_theirs(unit)} AND {said.readable}"


def _theirs(unit: str) -> str:
    return f"CAST({quoted(unit)} AS VARCHAR) IN (SELECT unnest($dp_units))"


def _value(table: Table, column: str, bind: str) -> str:
    return clean(f"CAST(${bind} AS VARCHAR)", "VARCHAR", table.columns[column].type)
