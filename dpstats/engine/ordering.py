"""A personal table's rows, at most so many of each unit, written to the new file by unit, with their ranks.

Which rows are kept, and why that depends on one unit at a time, stands in `bound.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dpstats.catalog.dataset import DatasetFile, Table
from dpstats.engine.bound import ROW_TEXT, kept_of_over, longest, ranked, twins, units_over
from dpstats.engine.load_report import KEPT, OVER_CAP, Tally
from dpstats.engine.making import Making
from dpstats.engine.names import quoted
from dpstats.engine.sifting import block_of
from dpstats.plan.sources import RANK, texts_of

BLOCK = "dp_block"
"""The column of a row's block while it is loaded."""


@dataclass(frozen=True)
class _Rows:
    """The rows of a table: their SQL name and columns, `BLOCK` among them where the table has time blocks."""

    sql: str
    columns: tuple[str, ...]
    block: str


class Ordering:
    """Bounds the rows in `dp_rows` and writes them. `row_hash_key`: as of `bound.hash_key`."""

    def __init__(self, made: Making, dataset: DatasetFile, row_hash_key: str) -> None:
        self._made, self._dataset, self._binds = made, dataset, {"dp_hash_key": row_hash_key}

    def write(self, name: str, tally: Tally, bounded: Callable[[], None]) -> None:
        """Bounds a table's rows, and writes them in order.

        Args:
          bounded: called when what is left is to order the rows, rank them and write them.

        Raises:
          FileError: they cannot be written.
        """
        table = self._dataset.tables[name]
        rows = self._rows(name, table)
        tally.rows[OVER_CAP] = self._bound(name, table, rows)
        (tally.rows[KEPT],) = self._made.one_row("SELECT count(*) FROM dp_rows")
        bounded()
        self._write(name, table, rows)

    def _rows(self, name: str, table: Table) -> _Rows:
        blocks, columns = self._dataset.blocks, tuple(table.columns)
        if blocks is None or blocks.table != name:
            return _Rows("dp_rows", columns, "")
        timed = f"SELECT *, {block_of(blocks)} AS {BLOCK} FROM dp_rows"
        self._made.write(f"CREATE OR REPLACE TEMP VIEW dp_timed AS {timed}")
        return _Rows("dp_timed", (*columns, BLOCK), BLOCK)

    def _bound(self, name: str, table: Table, rows: _Rows) -> int:
        """Takes what is beyond the cap of a unit, or of a unit in a block, out of `dp_rows`; how many rows that is."""
        unit, texts = self._dataset.privacy_unit, texts_of(self._dataset, name, list(table.columns))
        max_rows = 1 if table.one_row_per_unit else self._dataset.max_rows_per_unit
        (most,) = self._made.one_row(longest("dp_rows", texts))
        short = most is not None and most <= ROW_TEXT
        over = units_over(rows.sql, unit, max_rows, () if short else texts, block=rows.block)
        self._made.write(f"CREATE OR REPLACE TEMP TABLE dp_over AS {over}")
        if not self._made.one_row("SELECT count(*) FROM dp_over")[0]:
            return 0
        # In place: few units are over their cap, and all the others' rows need not be written again.
        kept = kept_of_over(rows.sql, "dp_over", rows.columns, unit, max_rows, texts, block=rows.block)
        few = self._made.changed(f"CREATE OR REPLACE TEMP TABLE dp_few AS {kept}", self._binds)
        blocks = self._dataset.blocks
        each = f"({quoted(unit)}, {block_of(blocks)})" if rows.block and blocks else quoted(unit)
        many = self._made.changed(f"DELETE FROM dp_rows WHERE {each} IN (FROM dp_over)")
        self._made.write(f"INSERT INTO dp_rows SELECT {', '.join(map(quoted, table.columns))} FROM dp_few")
        return many - few

    def _write(self, name: str, table: Table, rows: _Rows) -> None:
        unit, made = self._dataset.privacy_unit, f"CREATE TABLE dp_made.main.{quoted(name)} AS"
        if table.one_row_per_unit:
            self._made.write(f"{made} FROM {rows.sql} ORDER BY {quoted(unit)}")
            return
        self._made.write(f"CREATE OR REPLACE TEMP TABLE dp_twins AS {twins(rows.sql, rows.columns)}")
        cells = f"SELECT * EXCLUDE ({BLOCK})" if rows.block else "SELECT *"
        of_rows = ranked(rows.sql, "dp_twins", rows.columns, unit, block=rows.block)
        self._made.write(f"{made} {cells} FROM ({of_rows}) ORDER BY {quoted(unit)}, {RANK}", self._binds)
