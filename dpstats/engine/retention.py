"""What is past its time: rows and cells that a data version may hold no longer, by the retention of their columns.

A cell is as old as its row's time, where its table has a column that says it, else as the load that brought the table.
A row goes when its unit's column or its time's is past its retention, or when all of the others are; any other cell
that is past its own becomes NULL. Each by its row's own time and the public clock alone, so that one unit's rows decide
nothing about another's, and the bounds of one unit hold as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.erasure import Held
from dpstats.engine.names import literal, quoted
from dpstats.engine.opened import HELD, opened

TEXTS_MAX = 100
"""Ids and values, of each kind, that a scan looks for: what is past its time may be most of a file."""
_NEVER = timedelta.max


@dataclass(frozen=True)
class Ages:
    """What ages are counted by: the moment it is, and when each table's rows were brought, both with a zone.

    A table of which it is not known when it was brought is not past its time.
    """

    now: datetime
    brought: Mapping[str, datetime]


@dataclass(frozen=True)
class Past:
    """SQL on a row of one table. `row`: it is past its time; `cells`: the same of a cell, by column."""

    row: str
    cells: Mapping[str, str]


def past(dataset: DatasetFile, name: str, ages: Ages) -> Past | None:
    """What is past its time in a table, in SQL; None if nothing of it ever is."""
    table, time = dataset.tables[name], dataset.time_of(name)
    lives = {column: spec.retention for column, spec in table.columns.items() if spec.retention is not None}
    if table.public or not lives:
        return None
    whose = {dataset.privacy_unit, *([time] if time else [])}
    others = [lives.get(column, _NEVER) for column in table.columns if column not in whose]
    row_life = min([*(lives[column] for column in whose if column in lives), max(others, default=_NEVER)])
    cells = {column: life for column, life in lives.items() if column not in whose and life < row_life}
    brought = ages.brought.get(name, ages.now)
    of_row = _older(time, brought, ages.now, row_life)
    return Past(of_row, {column: _older(time, brought, ages.now, life) for column, life in cells.items()})


def past_in(dataset: DatasetFile, file: Path, ages: Ages) -> Held:
    """The rows of a data version that are past their time or have cells that are, and what must be gone with them.

    Looked for are ids of which nothing else is left, and values that nothing else holds: some of them, where there are
    many.

    Raises:
      FileError: the file cannot be read as a data version of the dataset.
    """
    rules = {name: rule for name in _copies(dataset) if (rule := past(dataset, name, ages)) is not None}
    texts: set[str] = set()
    with opened(file) as connection:
        rows = {}
        for name, rule in rules.items():
            stale = " OR ".join(f"({each})" for each in (rule.row, *(_filled(*c) for c in rule.cells.items())))
            sql = f"SELECT count(*) FROM {HELD}.{quoted(name)} WHERE {stale}"
            ((rows[name],),) = connection.execute(sql).fetchall()
            for column, old in rule.cells.items():
                texts |= _only_in(connection, name, column, f"({rule.row}) OR ({old})")
        texts |= {text for (text,) in connection.execute(_gone_units(dataset, rules)).fetchall()} if rules else set()
    return Held(rows, frozenset(texts))


def _only_in(connection: duckdb.DuckDBPyConnection, table: str, column: str, old: str) -> set[str]:
    cell, source = f"CAST({quoted(column)} AS VARCHAR)", f"{HELD}.{quoted(table)}"
    kept = f"SELECT {cell} FROM {source} WHERE ({old}) IS NOT TRUE"
    sql = f"SELECT {cell} FROM {source} WHERE ({old}) AND {cell} IS NOT NULL EXCEPT {kept}"
    return {text for (text,) in connection.execute(f"{sql} LIMIT {TEXTS_MAX}").fetchall()}


def _gone_units(dataset: DatasetFile, rules: Mapping[str, Past]) -> str:
    """SQL for units of which every row is past its time."""
    unit = f"CAST({quoted(dataset.privacy_unit)} AS VARCHAR)"
    sources = {name: f"SELECT {unit} FROM {HELD}.{quoted(name)}" for name in _copies(dataset)}
    gone = " UNION ".join(f"{sources[name]} WHERE {rule.row}" for name, rule in rules.items())
    kept = " UNION ".join(
        f"{sql} WHERE ({rules[name].row}) IS NOT TRUE" if name in rules else sql for name, sql in sources.items()
    )
    return f"({gone}) EXCEPT ({kept}) LIMIT {TEXTS_MAX}"


def _copies(dataset: DatasetFile) -> list[str]:
    """The personal tables whose rows a data version holds: of one in place, nothing is erased."""
    return [name for name, table in dataset.personal_tables.items() if not table.in_place]


def _filled(column: str, old: str) -> str:
    return f"{old} AND {quoted(column)} IS NOT NULL"


def _older(time: str | None, brought: datetime, now: datetime, life: timedelta) -> str:
    """SQL for whether a row is older than `life`; a row without a time is as old as the load that brought it."""
    if life == _NEVER:
        return "false"
    end = _moment(now - life)
    was_brought = _moment(brought)
    return f"{was_brought} < {end}" if time is None else f"coalesce({_time(time)}, {was_brought}) < {end}"


def _time(column: str) -> str:
    return f"TRY_CAST({quoted(column)} AS TIMESTAMP)"  # a far date of an older load has no place among timestamps


def _moment(at: datetime) -> str:
    return f"TIMESTAMP {literal(at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='seconds'))}"
