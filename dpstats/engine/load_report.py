"""What a load kept of its sources and what it dropped, counted exactly, for the steward on the host alone.

The counts lie in the data version's own file, in a table that no query can name (`dp_` is reserved to dpstats), and go
when it goes. They are exact: no answer, page, log, release or entry of the ledger may hold one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from dpstats.catalog.dataset import Table
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.names import literal, quoted
from dpstats.errors import FileError

READ, CARRIED, KEPT = "read", "carried_over", "kept"
"""Rows of the source, rows of the data version before, and rows of this one."""
NOBODYS, ERASED, TIMELESS, LATER, LATE, OVER_CAP = "nobodys", "erased", "no_time", "later", "late", "over_cap"
PAST = "past_retention"
DROPPED = (NOBODYS, ERASED, PAST, TIMELESS, LATER, LATE, OVER_CAP)
"""Why rows were dropped, in this order: each row for the first reason that holds.

Without an id, of a unit that was erased, past its retention, without a time in a table with blocks, of a block after
the load's, of one too long before it, beyond what is kept of one unit. `READ` and `CARRIED` together are `KEPT` and all
of these.
"""
REPORT = "dp_load_report"


@dataclass(frozen=True)
class TableReport:
    """One table. `rows`: by the names above. `emptied`, `out_of_bounds`, `unlisted`: cells, by column.

    Emptied are cells of the source, in rows of somebody, that are not of their column's type, or no number; of the
    unit's column, in any row. Out of bounds are cells that were kept: a query counts each as the nearest bound.
    Unlisted are kept too, and none of their column's declared `values`: no group by that column has their rows.
    """

    rows: Mapping[str, int]
    emptied: Mapping[str, int]
    out_of_bounds: Mapping[str, int]
    unlisted: Mapping[str, int] = field(default_factory=dict)  # reports of before have none


@dataclass
class Tally:
    """The counts of one table while it is loaded."""

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys((READ, CARRIED, KEPT, *DROPPED), 0))
    emptied: dict[str, int] = field(default_factory=dict)
    out_of_bounds: dict[str, int] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)

    def report(self) -> TableReport:
        """What was counted."""
        return TableReport(self.rows, self.emptied, self.out_of_bounds, self.unlisted)


def given_cells(cells: Mapping[str, str], unit: str, somebodys: str) -> str:
    """SQL for a row of counts: rows, and of each of `cells` how many are not NULL in the file.

    Args:
      cells: SQL of a cell as it is given, by column.
      unit: the unit's column; empty if the rows are nobody's.
      somebodys: SQL for whether a row has a usable id; in other rows, only cells of the unit's column are counted.
    """
    counts = (
        f"count({cell})" if column == unit or not unit else f"count({cell}) FILTER (WHERE {somebodys})"
        for column, cell in cells.items()
    )
    return f"SELECT {', '.join(('count(*)', *counts))}"


def out_of_bounds(table: Table, rows: str) -> tuple[tuple[str, ...], str]:
    """The columns that have bounds, and SQL for a row of how many of their cells are beyond them, in `rows`."""
    bounds = {name: spec.bounds for name, spec in table.columns.items() if spec.bounds}
    # As floating-point numbers, which no bound and no cell is too large for.
    counts = (
        f"count(*) FILTER (WHERE CAST({quoted(name)} AS DOUBLE) NOT BETWEEN {_double(low)} AND {_double(high)})"
        for name, (low, high) in bounds.items()
    )
    return tuple(bounds), f"SELECT {', '.join(counts)} FROM {rows}"


def unlisted(table: Table, rows: str) -> tuple[tuple[str, ...], str]:
    """The columns that have declared values, and SQL for a row of how many cells in `rows` are none of these."""
    listed = {name: spec for name, spec in table.columns.items() if spec.values}
    counts = []
    for name, spec in listed.items():
        values = ", ".join(f"CAST({literal(str(value))} AS {spec.type})" for value in spec.values or ())
        # By value: a listed column has few, and each is compared with the list once (a WHERE would be pushed below).
        of_each = f"SELECT {quoted(name)} AS cell, count(*) AS n FROM {rows} GROUP BY cell"
        counts.append(f"(SELECT coalesce(sum(n) FILTER (WHERE cell NOT IN ({values})), 0)::BIGINT FROM ({of_each}))")
    return tuple(listed), f"SELECT {', '.join(counts)}"


def _double(bound: object) -> str:
    return f"CAST({literal(str(bound))} AS DOUBLE)"


def write_report(connection: duckdb.DuckDBPyConnection, schema: str, tallies: Mapping[str, Tally]) -> None:
    """Writes the counts by table to `schema`, an SQL name."""
    content = {name: vars(tally.report()) for name, tally in tallies.items()}
    connection.execute(f"CREATE TABLE {schema}.{REPORT} (content VARCHAR NOT NULL)")
    connection.execute(f"INSERT INTO {schema}.{REPORT} VALUES (?)", [json.dumps(content)])


def read_report(file: Path) -> Mapping[str, TableReport]:
    """What the load that made a data version counted, by table.

    Raises:
      FileError: the file cannot be read, or was made by a dpstats that counted nothing.
    """
    try:
        with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
            connection.execute(f"ATTACH {literal(file)} AS dp_reported (READ_ONLY)")
            ((content,),) = connection.execute(f"FROM dp_reported.main.{REPORT}").fetchall()
    except duckdb.Error:
        raise FileError(str(file), "holds no load report: load the dataset again") from None
    return {name: TableReport(**counts) for name, counts in json.loads(content).items()}
