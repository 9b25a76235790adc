"""One answer in several passes, each over the rows of some units: the same whole numbers, in a fraction of the memory.

Claim: the answers of the passes, added group by group, are the plan's own answer to the last digit. So everything that
is proved of it (`plan/sql.py`) holds, however many passes there are.

Precondition: the plan has `by_unit`: what is in its SQL up to `dp_kept` and `dp_cells` treats each unit alone
(`plan/relations.py`), and each number of the answer is a sum over units of whole numbers. COUNT(DISTINCT value) is no
such sum, since two units may have one value between them.
Argument: (1) A pass reads, in the place of every personal table, those of its rows whose unit lies in the pass's range;
all else, the keyed hash among it, is the same. (2) The ranges between rising cuts c1 <= c2 <= .. are u < c1,
c1 <= u < c2, .., c_last <= u: each unit is in one of them and no other, with all its rows of all personal tables, since
these have its id in one type. That holds whatever the cuts are. NULL is nobody, in a pass as in the plan. (3) The plan
treats each unit alone, so what it keeps of a unit in that unit's pass is what it keeps of it with everybody there. (4)
Each number is a sum of these over units, in whole numbers that Python adds without an end: in any order, the same.

What can be seen. How many passes there are follows from the number of rows, and of entries that the plan declares; the
cuts from where units' rows lie in the file. Both choose how the work is divided, as DuckDB divides it by row groups
and by the sizes of its hash tables, and show nowhere but in how long a plan runs, which ends on the grid (`grid.py`).
One unit with most of the rows makes no fewer passes: those between equal cuts are empty.

Passes have one deadline together, and none begins after it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb

from dpstats.engine.names import quoted
from dpstats.plan.plan import ByUnit, Plan

ROWS_A_PASS = 2**20
"""Rows of a pass, or up to twice as many: fewer are answered in one, as bounding them takes some 100 MiB."""
ENTRIES_MAX = 2**21
"""Whole numbers that passes may answer together, at most, where keys are declared: each takes a microsecond to add."""


@dataclass(frozen=True)
class Pass:
    """The SQL of one pass, and what it binds besides the plan's own binds."""

    sql: str
    binds: dict[str, Any] = field(default_factory=dict)


class TableRows:
    """How many rows the tables of one data version have, counted once: a data version never changes. Thread-safe."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}

    def of(self, cursor: duckdb.DuckDBPyConnection, table: str) -> int:
        """The rows of a table, through a cursor on that data version."""
        if table not in self._counted:
            ((count,),) = cursor.execute(f"SELECT count(*) FROM main.{quoted(table)}").fetchall()
            self._counted[table] = int(count)
        return self._counted[table]


def passes_of(cursor: duckdb.DuckDBPyConnection, plan: Plan, rows_a_pass: int, counts: TableRows) -> list[Pass]:
    """The passes that answer a plan; one, the plan's own SQL, where there is nothing to win.

    Args:
      cursor: on the data version.
      rows_a_pass: about how many rows of personal tables each reads, >= 1.
      counts: those of this data version.
    """
    by_unit = plan.by_unit
    if by_unit is None:
        return [Pass(plan.sql)]
    rows = {table: counts.of(cursor, table) for table in by_unit.tables}
    count = min(sum(rows.values()) // rows_a_pass, ENTRIES_MAX // _entries(plan))
    if count <= 1:
        return [Pass(plan.sql)]
    largest = max(rows, key=rows.__getitem__)
    cuts = _cuts(cursor, largest, by_unit.column, [rows[largest] * i // count for i in range(1, count)])
    return [_pass(plan.sql, by_unit, *ends) for ends in zip([None, *cuts], [*cuts, None], strict=True)]


@contextmanager
def one_deadline(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[Deadline]:
    """Stops what runs on a cursor when these seconds are over."""
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield Deadline(time.monotonic() + seconds)
    finally:
        timer.cancel()
        timer.join()  # whoever has the cursor next is not interrupted


@dataclass(frozen=True)
class Deadline:
    """When all passes must have ended, by the monotonic clock in seconds."""

    at: float

    def check(self) -> None:
        """What an interrupt between two passes would have missed.

        Raises:
          TimeoutError: it is over.
        """
        if time.monotonic() >= self.at:
            raise TimeoutError("the passes took too long")


def _pass(sql: str, by_unit: ByUnit, first: object, end: object) -> Pass:
    """A pass over the units from `first` to before `end`; None: no limit. Its tables stand before the plan's own.

    A CTE hides the table of its name; `main.` is the table itself.
    """
    unit = quoted(by_unit.column)
    ends = {"dp_first": (f"{unit} >= $dp_first", first), "dp_end": (f"{unit} < $dp_end", end)}
    kept = {name: each for name, each in ends.items() if each[1] is not None}
    where = " AND ".join(condition for condition, _ in kept.values())
    tables = [f"{quoted(t)} AS (SELECT * FROM main.{quoted(t)} WHERE {where})" for t in by_unit.tables]
    start, rest = sql[: len("WITH ")], sql[len("WITH ") :]
    if start != "WITH ":
        raise ValueError("a plan's SQL begins with its tables")
    return Pass(f"{start}{', '.join(tables)},\n{rest}", {name: value for name, (_, value) in kept.items()})


def _entries(plan: Plan) -> int:
    return 1 if plan.private_keys else max(1, plan.groups * sum(draw.cells for draw in plan.draws))


def _cuts(cursor: duckdb.DuckDBPyConnection, table: str, unit: str, places: list[int]) -> list[Any]:
    """The units whose rows lie at these places of a table; a load stores it in the order of units. NULL is no cut."""
    column, at = quoted(unit), ", ".join(map(str, places))
    sql = f"SELECT {column} FROM main.{quoted(table)} WHERE rowid IN ({at}) AND {column} IS NOT NULL ORDER BY {column}"
    return [row[0] for row in cursor.execute(sql).fetchall()]
