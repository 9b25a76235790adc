"""At most so many rows a unit, chosen by a keyed hash.

Claim: which rows of a unit are kept depends on that unit's rows and on the key alone; so adding or removing a unit
changes no other unit's rows, and the order of the file changes nothing.

Precondition: rows are compared by all their columns, and hold no NaN and no -0.0 (`cells`), so that equal rows are
one value to GROUP BY, to ORDER BY and to the hash.
Argument: (1) whether a unit is over the cap is a count of its own rows. (2) `dp_copy` numbers identical rows 1 to n;
they share their unit, so n is the unit's own, and which of them gets which number cannot be seen afterwards. (3)
`dp_hash` is a function of the key, the row's content and its number. (4) `dp_place` orders a unit's rows by hash and,
should two hashes meet, by content and number, which is total. Thus the set of (content, number) that is kept, and with
it the multiset of rows, is a function of the unit's multiset of rows and the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from dpstats.engine.names import quoted


def hash_key(key: bytes) -> str:
    """The key of the hash that chooses rows at load, as text, from the workspace's secret key."""
    return hmac.new(key, b"rows kept at load", hashlib.sha256).hexdigest()


def units_over(table: str, unit: str, max_rows: int) -> str:
    """SQL for the units of `table` (an SQL name) that have more than `max_rows` rows: one column, the unit."""
    return f"SELECT {quoted(unit)} FROM {table} GROUP BY {quoted(unit)} HAVING count(*) > {max_rows}"


def bounded(table: str, over: str, columns: Sequence[str], unit: str, max_rows: int) -> str:
    """SQL for the rows of `table` that are kept: all of a unit that is not in `over`, `max_rows` of one that is.

    Args:
      table, over: SQL names; `over` holds the result of `units_over`.
      columns: All columns of `table`, the unit's among them.
      unit: The privacy unit's column.
      max_rows: Rows kept of one unit, >= 1. The SQL binds `$dp_hash_key` to `hash_key`.
    """
    every, using = ", ".join(map(quoted, columns)), f"USING ({quoted(unit)})"
    content = " || '|' || ".join(f"coalesce(CAST({quoted(column)} AS VARCHAR), '')" for column in columns)
    return f"""
        SELECT {every} FROM {table} ANTI JOIN {over} {using}
        UNION ALL
        SELECT {every} FROM (
            SELECT *, row_number() OVER (PARTITION BY {quoted(unit)} ORDER BY dp_hash, {every}, dp_copy) AS dp_place
            FROM (
                SELECT *, sha256($dp_hash_key || '|' || dp_copy || '|' || {content}) AS dp_hash
                FROM (
                    SELECT {every}, row_number() OVER (PARTITION BY {every}) AS dp_copy
                    FROM {table} SEMI JOIN {over} {using}
                )
            )
        )
        WHERE dp_place <= {max_rows}"""
