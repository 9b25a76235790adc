"""Rows and cells that are not loaded, and cells that were corrected: `dp_rows` before its units are bounded.

Each is decided by what one row holds, or by whose it is: nobody's row decides about another person's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from dpstats.catalog.dataset import Blocks, DatasetFile, Table
from dpstats.engine.corrections import Fix, Overlay, Stated, confirmed, replayed, stated
from dpstats.engine.in_place import Lake
from dpstats.engine.links import LeftOut
from dpstats.engine.load_report import LATE, LATER, TIMELESS, Tally
from dpstats.engine.making import Making
from dpstats.engine.names import literal, quoted
from dpstats.engine.retention import Ages, past
from dpstats.errors import FileError


@dataclass(frozen=True)
class About:
    """What is known of people and days from elsewhere: the arguments of `load` of these names."""

    today: date
    left_out: LeftOut | None
    overlay: Overlay
    ages: Ages | None
    lake: Lake | None


@dataclass
class Linked:
    """What a load knows of links. `out`: ids that are linked to one that is left out, with their units.

    `units`: the unit of each id that is linked; `ids`: the ids of each of these units.
    """

    out: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)


class Sifting:
    """Takes rows out of `dp_rows` and puts corrections in. `confirmed`: numbers of those that a source says as well."""

    def __init__(self, made: Making, dataset: DatasetFile, about: About, linked: Linked) -> None:
        self._made, self._dataset, self._about, self._linked = made, dataset, about, linked
        self.confirmed: set[int] = set()

    def leave_out(self) -> int:
        """Takes the rows of units that may not be in the data out of `dp_rows`, before anything else looks at them."""
        if self._about.left_out is None:
            return 0
        unit = f"CAST({quoted(self._dataset.privacy_unit)} AS VARCHAR)"
        self._made.write(f"SELECT DISTINCT {unit} FROM dp_rows")
        rows = self._made.connection.fetchall()
        gone = [name for (name,) in rows if name in self._linked.out or self._about.left_out(name)]
        if not gone:
            return 0
        return self._made.changed(f"DELETE FROM dp_rows WHERE {unit} IN (SELECT unnest($dp_gone))", {"dp_gone": gone})

    def correct(self, name: str, *, whole: bool) -> None:
        """Puts what was corrected in `dp_rows`, in the place of what is there.

        Args:
          whole: the rows are the table's source, and all of it: whether it says the same by now can be told.
        """
        fixes_of = self._about.overlay.get(name)
        if fixes_of is None:
            return
        unit, table = self._dataset.privacy_unit, self._dataset.tables[name]
        self._made.write(f"SELECT DISTINCT CAST({quoted(unit)} AS VARCHAR) FROM dp_rows")
        for (person,) in self._made.connection.fetchall():
            fixes = fixes_of({person, *self._linked.ids.get(person, ())})
            said = [(fix, self._stated(table, fix)) for fix in fixes]
            if whole:  # all of them are judged by what the source says, before the first of them is put in place
                self.confirmed |= {fix.number for fix, each in said if self._is_confirmed(person, each)}
            for _, each in said:
                if each is not None:
                    self._made.write(replayed("dp_rows", unit, each), {**each.binds, "dp_units": [person]})

    def let_go(self, name: str) -> int:
        """Takes rows and cells that are past their time out of `dp_rows`, corrected ones too."""
        rule = past(self._dataset, name, self._about.ages) if self._about.ages is not None else None
        if rule is None:
            return 0
        gone = self._made.changed(f"DELETE FROM dp_rows WHERE {rule.row}")
        for column, old in rule.cells.items():
            self._made.write(f"UPDATE dp_rows SET {quoted(column)} = NULL WHERE {old}")
        return gone

    def _is_confirmed(self, person: str, said: Stated | None) -> bool:
        if said is None:
            return False
        sql = confirmed("dp_rows", self._dataset.privacy_unit, said)
        return bool(self._made.one_row(sql, {**said.binds, "dp_units": [person]})[0])

    def _stated(self, table: Table, fix: Fix) -> Stated | None:
        """A correction in SQL, whose values must be of the columns' types: these may have changed since."""
        said = stated(table, fix)
        if said is not None and not self._made.one_row(f"SELECT {said.readable}", said.binds)[0]:
            what = "a correction that stands is not of its columns' types any more: give them the types they had"
            raise FileError(self._dataset.dataset, what, key=fix.table)
        return said

    def leave_out_of_blocks(self, name: str, tally: Tally) -> None:
        """Takes the rows that are in no block by now out of `dp_rows`: each by its own time alone.

        The years before -290,000, where a block would start before time does, are no time.
        """
        blocks = self._dataset.blocks
        if blocks is None or blocks.table != name:
            return
        last = f"DATE {literal(blocks.every.start(self._about.today).isoformat())}"
        tally.rows[TIMELESS] = self._made.changed(f"DELETE FROM dp_rows WHERE {block_of(blocks)} IS NULL")
        tally.rows[LATER] = self._made.changed(f"DELETE FROM dp_rows WHERE {block_of(blocks)} > {last}")

    def drop_late(self, name: str, tally: Tally) -> None:
        """Takes what a source brings too late out of `dp_rows`: each row by its own time alone, and none of the base's.

        So a unit's rows in one block still decide nothing in another.
        """
        blocks = self._dataset.blocks
        if blocks is None or blocks.table != name or blocks.late_rows is None:
            return
        first = blocks.every.before(self._about.today, blocks.late_rows.drop_after)
        tally.rows[LATE] = self._made.changed(
            f"DELETE FROM dp_rows WHERE {block_of(blocks)} < DATE {literal(first.isoformat())}"
        )


def block_of(blocks: Blocks) -> str:
    """SQL for the first day of a row's block, NULL if it has no time."""
    return f"TRY(date_trunc({literal(blocks.every)}, {quoted(blocks.time)}))"
