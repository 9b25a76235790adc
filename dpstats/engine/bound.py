"""At most so many rows a unit, and so much text, chosen by a keyed hash; and the order in which a query may take fewer.

Claim: which rows of a unit are kept depends on that unit's rows and on the key alone; so adding or removing a unit
changes no other unit's rows, and the order of the file changes nothing.

Precondition: rows are compared by all their columns, and hold no NaN and no -0.0 (`cells`), so that equal rows are
one value to GROUP BY, to ORDER BY and to the hash.
Argument: (1) whether a unit is over the cap is a count of its own rows. (2) `dp_copy` numbers identical rows 1 to n;
they share their unit, so n is the unit's own, and which of them gets which number cannot be seen afterwards. (3)
`dp_hash` is a function of the key, the row's content and its number. (4) `dp_place` orders a unit's rows by hash and,
should two hashes meet, by content and number, which is total. Thus the set of (content, number) that is kept, and with
it the multiset of rows, is a function of the unit's multiset of rows and the key. (5) `dp_bytes` adds up text along
that order, so where it passes its cap is the unit's own too. (6) `ranked` orders what is kept likewise, by another
hash; a row that has no twin is the first of its kind, as counting would find.

Blocks. Claim: which rows of a (unit, block) are kept, and their `BLOCK_RANK`, depend on the rows of that unit in that
block and on the key alone; so what a unit does in one month changes no row of another month, though it be its own.
Argument: as above, with (unit, block) in the place of the unit: identical rows share their time, hence their block, so
their number is the block's own too; `units_over` and `kept_of_over` count and add up within one (unit, block). The
block is a function of the row's time, and which rows have none or a later one than there may be is decided row by row
(`load`).
`RANK` is over all blocks of a unit, so only what is charged to all of them may look at it (`plan/fanout.py`). A table
of one row a unit would let blocks compete for that row: it has none (`catalog`). Tables without blocks do not see them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from dpstats.engine.names import quoted
from dpstats.plan.fanout import CELL_MAX
from dpstats.plan.sources import BLOCK_RANK, RANK

UTF8_MAX = 4
"""Bytes of one character."""
_CROWDS = 2**16


def hash_key(key: bytes) -> str:
    """The key of the hash that chooses rows at load, as text, from the workspace's secret key."""
    return hmac.new(key, b"rows kept at load", hashlib.sha256).hexdigest()


ROW_TEXT = 1000
"""Bytes of text that a unit's rows may have on average, if it has as many as are kept."""


def text_cap(texts: Sequence[str], max_rows: int) -> int:
    """Bytes of text that are kept of one unit in one table: `ROW_TEXT` a row, and never less than one row can have."""
    return max(max_rows * ROW_TEXT, len(texts) * CELL_MAX * UTF8_MAX)


def longest(table: str, texts: Sequence[str]) -> str:
    """SQL for a bound on the bytes of text that a row of `table` (an SQL name) has; NULL if it is not known.

    From what DuckDB knows of its columns: the most bytes that a cell ever had. Without a look at rows.

    Where that is `ROW_TEXT` or less, no unit of `max_rows` rows or fewer has more text than is kept (`text_cap` is at
    least `max_rows` times `ROW_TEXT`): `units_over` without `texts` finds the very units that it finds with them.
    """
    known = " + ".join(["0", *(f"stats({quoted(text)}).max_string_length" for text in texts)])
    return f"SELECT (SELECT {known} FROM {table} LIMIT 1)"


def units_over(table: str, unit: str, max_rows: int, texts: Sequence[str] = (), *, block: str = "") -> str:
    """SQL for the units of `table` (an SQL name) that have more rows or text than is kept; in a block, if it is named.

    One column, the unit; two with the block.

    Rows are first counted by a short hash, which is soon done: all rows of a unit (in a block) have one, so where those
    of a hash are within the cap, so is each of its units. Only the others are counted one by one.
    """
    each, most = _each(unit, block), f"count(*) > {max_rows}"
    if texts:
        text = f"sum({_bytes(texts)}) > {text_cap(texts, max_rows)}"
        return f"SELECT {each} FROM {table} GROUP BY {each} HAVING {most} OR {text}"
    crowd = f"hash({each}) % {_CROWDS}"
    return f"""
        WITH dp_crowds AS MATERIALIZED (SELECT {crowd} AS dp_crowd FROM {table} GROUP BY dp_crowd HAVING {most})
        SELECT {each} FROM {table} WHERE {crowd} IN (FROM dp_crowds) GROUP BY {each} HAVING {most}"""


def kept_of_over(
    table: str,
    over: str,
    columns: Sequence[str],
    unit: str,
    max_rows: int,
    texts: Sequence[str] = (),
    *,
    block: str = "",
) -> str:
    """SQL for the rows of `table` that are kept of the units in `over`; of every other unit, all are.

    Args:
      table, over: SQL names; `over` holds the result of `units_over`.
      columns: All columns of `table`, the unit's among them, and the block's.
      unit: The privacy unit's column.
      block: The column of a row's block, none if empty: then each (unit, block) is bounded by itself.
      max_rows: Rows kept of one unit, >= 1. The SQL binds `$dp_hash_key` to `hash_key`.
      texts: The columns of text but the unit's; of one unit, rows are kept while they have `text_cap` bytes or less.
    """
    every, using = ", ".join(map(quoted, columns)), f"USING ({_each(unit, block)})"
    order = f"PARTITION BY {_each(unit, block)} ORDER BY dp_hash, {every}, dp_copy"
    content = " || '|' || ".join(f"coalesce(CAST({quoted(column)} AS VARCHAR), '')" for column in columns)
    return f"""
        SELECT {every} FROM (
            SELECT *, row_number() OVER ({order}) AS dp_place,
                sum({_bytes(texts)}) OVER ({order} ROWS UNBOUNDED PRECEDING) AS dp_bytes
            FROM (
                SELECT *, sha256($dp_hash_key || '|' || dp_copy || '|' || {content}) AS dp_hash
                FROM (
                    SELECT {every}, row_number() OVER (PARTITION BY {every}) AS dp_copy
                    FROM {table} SEMI JOIN {over} {using}
                )
            )
        )
        WHERE dp_place <= {max_rows} AND dp_bytes <= {text_cap(texts, max_rows)}"""


def twins(rows: str, columns: Sequence[str]) -> str:
    """SQL for the hashes of those of `rows` (an SQL name) that may not be unique: one column, `dp_twin`."""
    return f"SELECT {_content(columns)} AS dp_twin FROM {rows} GROUP BY dp_twin HAVING count(*) > 1"


def ranked(rows: str, twins_of_rows: str, columns: Sequence[str], unit: str, *, block: str = "") -> str:
    """SQL for `rows` with the column `RANK`, a row's place among those of its unit, from 1; and `BLOCK_RANK`.

    The latter is its place among those of its unit in its block, in the same order, where `block` names that column.

    The ranks of a unit are in a random order that its rows and the key decide; equal rows are placed one by one.

    Args:
      rows, twins_of_rows: SQL names; the second holds the result of `twins`, so that only those rows are numbered.
      columns: All columns of `rows`, the unit's among them. The SQL binds `$dp_hash_key` to `hash_key`.
    """
    every = ", ".join(map(quoted, columns))
    places = {RANK: quoted(unit)} | ({BLOCK_RANK: _each(unit, block)} if block else {})
    order = f"ORDER BY dp_hash, {every}, dp_copy"
    ranks = ", ".join(
        f"CAST(row_number() OVER (PARTITION BY {among} {order}) AS INTEGER) AS {rank}" for rank, among in places.items()
    )
    among_twins = f"{_content(columns)} IN (SELECT dp_twin FROM {twins_of_rows})"
    return f"""
        SELECT {every}, {ranks}
        FROM (
            SELECT *, hash($dp_hash_key, dp_copy, {every}) AS dp_hash
            FROM (
                SELECT {every}, 1 AS dp_copy FROM {rows} WHERE NOT {among_twins}
                UNION ALL
                SELECT {every}, row_number() OVER (PARTITION BY {every}) AS dp_copy FROM {rows} WHERE {among_twins}
            )
        )"""


def _each(unit: str, block: str) -> str:
    return f"{quoted(unit)}, {quoted(block)}" if block else quoted(unit)


def _content(columns: Sequence[str]) -> str:
    return f"hash({', '.join(map(quoted, columns))})"


def _bytes(texts: Sequence[str]) -> str:
    """SQL for the bytes of text in a row."""
    return " + ".join(["0", *(f"coalesce(strlen({quoted(text)}), 0)" for text in texts)])
