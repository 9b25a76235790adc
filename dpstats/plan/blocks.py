"""Which time blocks a query reads: those that its window touches, if every use of the blocked table keeps to it.

Claim: a query whose window counts reads rows of the blocks that `touched` names, and of no other; and which rows of a
block it reads depends on no row of another block.
Argument: `Relations` keeps every SELECT in whose FROM the blocked table stands. Each must have `column >= from` and
`column < until`, of that very item, among the conditions that AND connects in its WHERE, and the item must not be the
right side of a LEFT JOIN, where a row that is filtered out leaves a row of NULLs behind. WHERE looks at one row of the
join at a time, so a row of another time has left before anything is grouped, ranked or counted: the SELECT is the same
function of the tables with those rows removed beforehand. Whatever else the query does works on such relations. The
first day of the span is in the first block, and the last one before `until` in the last, so no row between is in a
block that is not named. How many rows of a unit a join reads goes by their rank within the block (`fanout`), given at
load from that block's rows alone (`engine/bound.py`). All of this follows from files and parameters; no row is asked.

Without a window, every block that there is on the day of the load is charged: later rows were not loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from sqlglot import exp

from dpstats.catalog.dataset import Blocks, DatasetFile
from dpstats.catalog.parameters import BoundParameters
from dpstats.catalog.query import DateParameter, QueryFile, Window
from dpstats.plan.matches import conjuncts
from dpstats.privacy.blocks import STATIC, Grain, Touched, every_block_up_to, touched_by

if TYPE_CHECKING:
    from dpstats.plan.relations import FromClause, Joined

_DATES = {exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ}
BLOCKS_MAX = 4000
"""Blocks that one window may touch, over all that its parameters allow."""


@dataclass(frozen=True)
class BlockUse:
    """What a query reads of a dataset with blocks. `window` None: of every block that there is, if `timed`.

    `timed`: it reads the table that has blocks; `static`: it reads a personal table that has none.
    """

    every: Grain
    window: Window | None
    timed: bool
    static: bool

    def touched(self, parameters: BoundParameters, loaded_on: date) -> Touched:
        """The blocks that a release with these parameters charges; `loaded_on` is the day of the load, in UTC."""
        if not self.timed:
            return Touched(None, None, self.static)
        if self.window is None:
            return every_block_up_to(self.every, loaded_on, static=self.static)
        since, until = (_date(edge, parameters) for edge in (self.window.since, self.window.until))
        return touched_by(self.every, since, until, static=self.static)

    def in_words(self, parameters: BoundParameters) -> str:
        """The blocks, for a proof: `2017-03 to 2017-05 and static`."""
        if self.timed and self.window is None:
            return "every block that there is when the data are loaded" + f" and {STATIC}" * self.static
        return self.touched(parameters, date.min).in_words()


def use_of(dataset: DatasetFile, query: QueryFile, reads: frozenset[str]) -> BlockUse | None:
    """How a query that reads these tables uses the dataset's blocks; None if it has none."""
    blocks = dataset.blocks
    if blocks is None:
        return None
    personal = reads & dataset.personal_tables.keys()
    timed = blocks.table in personal
    return BlockUse(blocks.every, query.window if timed else None, timed, bool(personal - {blocks.table}))


def blocks_read(dataset: DatasetFile, query: QueryFile) -> dict[str, float]:
    """For the table that has blocks, how many of them the query's window can touch; infinitely many without one.

    Raises:
      ValueError: the window has no span at all, whatever its parameters.
    """
    blocks = dataset.blocks
    if blocks is None:
        return {}
    if query.window is None:
        return {blocks.table: math.inf}
    since, until = _widest(query, query.window)
    touched = touched_by(blocks.every, since, until, static=False)
    first, last = blocks.every.first_day(str(touched.first)), blocks.every.first_day(str(touched.last))
    shortest = {Grain.DAY: 1, Grain.WEEK: 7, Grain.MONTH: 28, Grain.QUARTER: 90, Grain.YEAR: 365}[blocks.every]
    return {blocks.table: float((last - first).days // shortest + 1)}


def nameable(use: BlockUse | None, query: QueryFile) -> Iterator[str]:
    """The blocks that a query's window can name, by its parameters' ranges: public, and at most `BLOCKS_MAX`."""
    if use is None or use.window is None:
        return
    since, until = _widest(query, use.window)
    span = touched_by(use.every, since, until, static=False)
    yield from use.every.names(str(span.first), str(span.last))


def lacking(clause: FromClause, item: Joined, where: exp.Expr | None, window: Window, blocks: Blocks) -> str:
    """Why a use of the blocked table is not inside the window; empty if it is."""
    if item.optional:
        return "it is the right side of a LEFT JOIN: put the conditions in the WHERE of a subquery there"
    parts = conjuncts(where)
    kept_from = any(_is_edge(clause, item, part, exp.GTE, exp.LTE, window.since, blocks) for part in parts)
    kept_until = any(_is_edge(clause, item, part, exp.LT, exp.GT, window.until, blocks) for part in parts)
    missing = [] if kept_from else [f"{blocks.time} >= {_written(window.since)}"]
    missing += [] if kept_until else [f"{blocks.time} < {_written(window.until)}"]
    return f"its WHERE does not say {' AND '.join(missing)}" if missing else ""


def _is_edge(
    clause: FromClause,
    item: Joined,
    part: exp.Expr,
    forward: type[exp.Expr],
    backward: type[exp.Expr],
    edge: date | str,
    blocks: Blocks,
) -> bool:
    """Whether a condition compares the item's own column of time with the window's edge, in either direction."""
    if type(part) is forward:
        column, value = part.this, part.expression
    elif type(part) is backward:
        column, value = part.expression, part.this
    else:
        return False
    if not isinstance(column, exp.Column) or column.name.lower() != blocks.time.lower():
        return False
    return clause.owner(column) is item and _is_value(value, edge)


def _is_value(node: exp.Expr, edge: date | str) -> bool:
    if isinstance(edge, str):
        return isinstance(node, exp.Placeholder | exp.Parameter) and f"${node.this or ''}" == edge
    if isinstance(node, exp.Cast) and node.args["to"].this in _DATES:
        node = node.this
    return isinstance(node, exp.Literal) and node.is_string and node.this == edge.isoformat()


def _written(edge: date | str) -> str:
    return edge if isinstance(edge, str) else f"DATE '{edge}'"


def _widest(query: QueryFile, window: Window) -> tuple[date, date]:
    """The earliest start and the latest end that the window's parameters allow."""
    since, until = (query.parameters[e[1:]] if isinstance(e, str) else e for e in (window.since, window.until))
    first = since.min if isinstance(since, DateParameter) else since
    last = until.max if isinstance(until, DateParameter) else until
    if not (isinstance(first, date) and isinstance(last, date)):
        raise TypeError("a window's ends are dates")
    return first, last


def _date(edge: date | str, parameters: BoundParameters) -> date:
    value = parameters.values[edge[1:]] if isinstance(edge, str) else edge
    if not isinstance(value, date):
        raise TypeError("a window's ends are dates")
    return value
