"""Writes whom a data version's purposes count: one row a unit, from that unit's own ids alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import duckdb

from dpstats.catalog.consented import CONSENT, UNIT
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.in_place import people_of
from dpstats.engine.links import TABLE
from dpstats.engine.names import quoted

AT_ONCE = 10_000


class Roll(Protocol):
    """Whom each purpose counts, as `rights` knows it."""

    @property
    def closed_at(self) -> datetime:
        """When the epoch was closed as of which it holds."""

    @property
    def rules(self) -> str:
        """What the truths were worked out by."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What each truth says."""

    @property
    def unknown(self) -> tuple[bool, ...]:
        """The truths of a unit of which nothing is known."""

    def truths(self, ids: Iterable[object]) -> tuple[bool, ...]:
        """The truths of the unit to which all these ids belong."""


def write_consent(connection: duckdb.DuckDBPyConnection, schema: str, dataset: DatasetFile, roll: Roll) -> None:
    """Creates the table `CONSENT` in `schema`, an SQL name, with a row for each unit of its personal tables.

    Raises:
      duckdb.Error: it cannot be written.
    """
    unit, kind = quoted(dataset.privacy_unit), dataset.unit_type.sql
    theirs = {
        name: f"unit AS {UNIT} FROM {schema}.{quoted(people_of(name))}" if table.in_place
        else f"{unit} AS {UNIT} FROM {schema}.{quoted(name)}"
        for name, table in dataset.personal_tables.items()
    }  # fmt: skip
    every = " UNION ALL ".join(f"SELECT {each}" for each in theirs.values())
    units = f"SELECT DISTINCT {UNIT} FROM ({every})"
    columns = ", ".join(f"{quoted(column)} BOOLEAN" for column in roll.columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE dp_known ({UNIT} {kind}, {columns})")
    ids = _ids(units, schema) if dataset.links else f"SELECT {UNIT}, [] FROM ({units})"
    known = [
        (each, *found)
        for each, linked in _all(connection, ids)
        if (found := roll.truths({str(each), *linked})) != roll.unknown
    ]
    for start in range(0, len(known), AT_ONCE):
        _insert(connection, kind, known[start : start + AT_ONCE])
    truths = ", ".join(
        f"coalesce(dp_known.{quoted(column)}, {unsaid}) AS {quoted(column)}"
        for column, unsaid in zip(roll.columns, roll.unknown, strict=True)
    )
    joined = f"({units}) AS dp_all LEFT JOIN dp_known USING ({UNIT})"
    connection.execute(f"CREATE TABLE {schema}.{CONSENT} AS SELECT {UNIT}, {truths} FROM {joined} ORDER BY {UNIT}")
    connection.execute("DROP TABLE dp_known")


def _ids(units: str, schema: str) -> str:
    """SQL for each unit, and a list of the ids that are linked to it."""
    linked = f"LEFT JOIN {schema}.{TABLE} AS dp_l ON dp_l.unit = dp_all.{UNIT}"
    ids = "coalesce(list(dp_l.id) FILTER (WHERE dp_l.id IS NOT NULL), [])"
    return f"SELECT {UNIT}, {ids} FROM ({units}) AS dp_all {linked} GROUP BY {UNIT}"


def _all(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[Any, ...]]:
    connection.execute(sql)
    while rows := connection.fetchmany(AT_ONCE):
        yield from rows


def _insert(connection: duckdb.DuckDBPyConnection, kind: str, rows: Sequence[tuple[Any, ...]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[0] = [str(unit) for unit in columns[0]]
    lists = ", ".join(f"unnest($dp_{place}::BOOLEAN[])" for place in range(1, len(columns)))
    sql = f"INSERT INTO dp_known SELECT CAST(unnest($dp_0::VARCHAR[]) AS {kind}), {lists}"
    connection.execute(sql, {f"dp_{place}": column for place, column in enumerate(columns)})
