"""How many rows one unit can have after joins, and which of them are read so that they stay below a public cap.

One unit's rows multiply where tables of many rows are joined, and where several rows of a public table match one of
its. A relation's `Fanout` counts both: its rows for one unit are at most the product, over the tables in it, of the
rows that are read of each, times what each public relation matches.

Claim: after `within_caps`, no relation of a query has more than `JOINED_ROWS_MAX` rows of one unit, whatever the unit's
rows, unless it reads one table alone without multiplying it, which is bounded by `max_rows_per_unit` (in each block).
Argument: where a fanout's product exceeds the cap, each of its k tables is read up to rank n = (cap / matches)^(1/k),
rounded down, so its product is at most n^k * matches <= cap. A table in several fanouts is read up to the least rank.
Stability: the rank of a row was given at load by a keyed hash among the rows of its unit (`engine.bound`), so which
rows are read depends on that unit's rows alone; so does a text's cut, which looks at one cell. How far is read follows
from the dataset's file, the query and public tables. Hence adding or removing a unit still adds or removes
exactly its rows, and changes no other.
Blocks: a table that has them holds up to `max_rows_per_unit` rows of a unit in each. Where a query's window may
touch B blocks, the table is read up to rank n / B (rounded down) within each block, which is the block's own, so a
unit's rows in one block change nothing that is read of another, and are at most n together. Without a window every
block is charged anyhow, and the table is read up to rank n among all rows of the unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

JOINED_ROWS_MAX = 1_000_000
"""Rows of one unit in one relation of a query that joins."""
JOINED_TEXT_MAX = 64_000_000
"""Characters of one unit in one text column of such a relation."""
CELL_MAX = 10_000
"""Characters that a cell of text keeps at load."""


@dataclass(frozen=True)
class Matches:
    """A public relation in a join: `sql` counts the most rows of it that one personal row can meet."""

    name: str
    sql: str


@dataclass(frozen=True)
class Fanout:
    """What multiplies in a relation: `tables` of many rows a unit, each as often as it is joined, and public `matches`.

    `reads`: every personal table that its cells may come from.
    """

    tables: tuple[str, ...] = ()
    matches: tuple[Matches, ...] = ()
    reads: frozenset[str] = frozenset()

    @property
    def multiplies(self) -> bool:
        """Whether one unit may have more rows here than in each table."""
        return len(self.tables) > 1 or bool(self.matches)

    def times(self, other: Fanout) -> Fanout:
        """The fanout of a join."""
        return Fanout(self.tables + other.tables, self.matches + other.matches, self.reads | other.reads)

    def merged(self) -> Fanout:
        """The fanout of what has one row a unit."""
        return Fanout(reads=self.reads)


@dataclass(frozen=True)
class Reading:
    """How much of a personal table a query reads: rows up to `rank` of each unit, `characters` of each text."""

    rank: int | None = None
    characters: int | None = None
    by_block: bool = False
    """Whether the rank is within a block."""

    def and_at_most(self, other: Reading) -> Reading:
        """The stricter of both."""
        by_block = self.by_block or other.by_block
        return Reading(_least(self.rank, other.rank), _least(self.characters, other.characters), by_block)


WHOLE = Reading()
Readings = Mapping[str, Reading]
"""By table; a table that is not there is read whole."""
Count = Callable[[Matches], int]
"""The most rows of a public relation that one personal row meets."""


def one_each(_matches: Matches) -> int:
    """The `Count` where public tables are not at hand: a price needs none."""
    return 1


class TooManyMatchesError(Exception):
    """Public tables, or a row in each block, alone give more rows than the cap."""


NO_BLOCKS: Mapping[str, float] = {}


def readings(
    fanouts: Collection[Fanout],
    max_rows: int,
    texts: Collection[str],
    count: Count,
    blocks: Mapping[str, float] = NO_BLOCKS,
) -> Readings:
    """What is read of each table so that every fanout stays below the caps; only what is limited is named.

    Args:
      max_rows: rows of one unit in each table, as loaded.
      texts: the tables of which text is read.
      blocks: for a table that has blocks, how many of them are read; infinitely many without a window.

    Raises:
      TooManyMatchesError: with the numbers, in words.
    """
    found: dict[str, Reading] = {}
    for fanout in fanouts:
        reading = _reading(fanout, max_rows, count, blocks)
        for table in fanout.reads:
            of_all = blocks.get(table, math.inf) == math.inf
            rank = reading.rank if table in fanout.tables else None
            if rank is not None and not of_all:
                rank = _rank_in_block(table, rank, int(blocks[table]))
            own = Reading(rank, reading.characters if table in texts else None, rank is not None and not of_all)
            found[table] = found.get(table, WHOLE).and_at_most(own)
    return {table: reading for table, reading in found.items() if reading != WHOLE}


def in_words(found: Readings) -> list[str]:
    """What `readings` limits, a sentence a table, for a proof and for warnings."""
    lines = []
    for table, reading in sorted(found.items()):
        each = " in each block" * reading.by_block
        parts = [f"at most {reading.rank} rows{each} (chosen by keyed hash)"] if reading.rank is not None else []
        parts += [f"the first {reading.characters} characters of a text"] if reading.characters is not None else []
        lines.append(f"of one unit, {' and '.join(parts)} of {table} enter the query's joins")
    return lines


def _rank_in_block(table: str, rank: int, blocks: int) -> int:
    if rank < blocks:
        raise TooManyMatchesError(
            f"the window may touch {blocks} blocks of {table}, but only {rank} rows of one unit can be joined here"
        )
    return rank // blocks


def _reading(fanout: Fanout, max_rows: int, count: Count, blocks: Mapping[str, float]) -> Reading:
    matched = {matches: max(1, count(matches)) for matches in fanout.matches}
    times = math.prod(matched[matches] for matches in fanout.matches)
    if times > JOINED_ROWS_MAX:
        each = ", ".join(f"{n} rows of {matches.name}" for matches, n in matched.items())
        raise TooManyMatchesError(f"one row may meet {each}: together more than {JOINED_ROWS_MAX}")
    rank, tables = None, len(fanout.tables)
    rows = max_rows**tables * times * math.prod(blocks.get(table, 1) for table in fanout.tables)
    if tables and rows > JOINED_ROWS_MAX:
        rank = _root(JOINED_ROWS_MAX // times, tables)
        rows = rank**tables * times
    characters = int(JOINED_TEXT_MAX // rows)
    as_loaded = tables == 1 and times == 1  # nothing is multiplied, and a load bounds the text of a table
    return Reading(rank, None if as_loaded or characters >= CELL_MAX else characters)


def _root(number: int, degree: int) -> int:
    """The largest n with n^degree <= number."""
    root = math.ceil(math.pow(number, 1 / degree)) + 1
    while root**degree > number:
        root -= 1
    return root


def _least(a: int | None, b: int | None) -> int | None:
    given = [each for each in (a, b) if each is not None]
    return min(given, default=None)
