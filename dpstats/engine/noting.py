"""A load's notes of tables in place, written into the new data version: whose rows count, and who is heavy.

Either an owner's folder is looked at, or what the data version before has is carried over without a look at it: so that
an erasure, an epoch or a load of another table needs nothing of an owner, whatever became of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.engine.cells import ID_MAX
from dpstats.engine.in_place import Filters, Lake, Notes, StillThere, heavy_of, made_for, people_of
from dpstats.engine.links import LeftOut
from dpstats.engine.names import literal, quoted
from dpstats.engine.place import Place, names_of
from dpstats.errors import FileError

_AT_ONCE = 10_000


@dataclass(frozen=True)
class Whose:
    """Whose rows count: `is_out` says of an id that they do not, `units` gives the units of ids that are linked."""

    is_out: LeftOut
    units: Mapping[str, str]


@dataclass
class Noting:
    """The notes of one load. `dp_made` is the new file; `aside`: one that Spark is shown, and that goes at the end."""

    connection: duckdb.DuckDBPyConnection
    dataset: DatasetFile
    aside: Path
    lake: Lake | None
    notes: dict[str, Notes] = field(default_factory=dict)
    still: dict[str, StillThere] = field(default_factory=dict)

    def look(self, place: Place, whose: Whose, filters: Filters) -> None:
        """Notes of a folder as it is now.

        Raises:
          FileError, EngineFailed: as of `Lake`; FileError too where its rows are nobody's. duckdb.Error: no room.
        """
        name, path = place.table, str(place.source.path)
        if self.lake is None:
            raise FileError(self.dataset.dataset, "is read in place, which this load cannot do", key=name)
        survey = self.lake(self.dataset, place)
        ids = [str(each) for each in survey.ids.column(0).to_pylist()]
        self._check_names(place, ids)
        gone = self._write_people(name, ids, whose)
        people = f"SELECT {self._id('id')}, {self._id('unit')} FROM {_in_made(people_of(name))}"
        self.connection.execute(f"COPY ({people}) TO {literal(self.aside)} (FORMAT parquet)")
        self.notes[name], heavy = survey.noted(self.aside, filters)
        self.connection.register("dp_found", heavy)
        self._write_heavy(name, "dp_found")
        self.connection.unregister("dp_found")
        if not gone and self._is_empty(name):
            what = "is empty in every row: it must say whose row it is"
            raise FileError(path, what, key=f"column {self.dataset.privacy_unit}")
        self._tell(name, gone)

    def carry(self, name: str, notes: Notes, whose: Whose, filters: Filters) -> None:
        """Notes of before, of who is not left out by now; of a table that is defined otherwise nothing is answered."""
        known = self.connection.execute(f"SELECT CAST(id AS VARCHAR) FROM dp_base.main.{quoted(people_of(name))}")
        gone = self._write_people(name, [text for (text,) in known.fetchall()], whose)
        self._write_heavy(name, f"dp_base.main.{quoted(heavy_of(name))}")
        held = replace(filters, past_at_load=notes.filters.past_at_load, last_block=notes.filters.last_block)
        is_same = notes.made_for == made_for(self.dataset, name)
        self.notes[name] = replace(notes, filters=held, stamp=notes.stamp if is_same else "")
        self._tell(name, gone)

    def _check_names(self, place: Place, ids: Iterable[str]) -> None:
        """Refuses files that are named after a person: the notes name files, and no erasure takes a name out of them.

        Whole numbers are not compared: an id may be the number of a month.
        """
        if not self.dataset.unit_type.is_integer and not names_of(place).isdisjoint(each.casefold() for each in ids):
            what = "has a folder or a file that is named after a person: name them otherwise, or load it as a copy"
            raise FileError(str(place.source.path), what, key=place.table)

    def _tell(self, name: str, gone: frozenset[str]) -> None:
        if gone:
            self.still[name] = StillThere(gone, self.notes[name].files)

    def _write_people(self, name: str, ids: Iterable[str], whose: Whose) -> frozenset[str]:
        """Writes the ids in the files whose rows count, each with its unit; gives those that are left out."""
        kind, target = self.dataset.unit_type, _in_made(people_of(name))
        self.connection.execute(f"CREATE TABLE {target} (id {kind.sql} NOT NULL, unit {kind.sql} NOT NULL)")
        known, gone = list[tuple[str, str]](), set[str]()
        for each in ids:
            text = id_text(kind, each)
            if whose.is_out(text):
                gone.add(each)
            elif len(text) <= ID_MAX:
                known.append((each, whose.units.get(text, text)))
        values = ", ".join(f"CAST(unnest($dp_{part}::VARCHAR[]) AS {kind.sql})" for part in ("ids", "units"))
        for start in range(0, len(known), _AT_ONCE):
            part = known[start : start + _AT_ONCE]
            binds = {"dp_ids": [each for each, _ in part], "dp_units": [unit for _, unit in part]}
            self.connection.execute(f"INSERT INTO {target} SELECT {values}", binds)
        return frozenset(gone)

    def _write_heavy(self, name: str, found: str) -> None:
        """Writes the heavy units of `found`, an SQL name, but for those of whom nothing counts any more."""
        rows = f"SELECT CAST(unit AS {self.dataset.unit_type.sql}) AS unit, block, below FROM {found}"
        there = f"SEMI JOIN {_in_made(people_of(name))} USING (unit) ORDER BY ALL"
        self.connection.execute(f"CREATE TABLE {_in_made(heavy_of(name))} AS FROM ({rows}) {there}")

    def _is_empty(self, name: str) -> bool:
        return not self.connection.execute(f"SELECT 1 FROM {_in_made(people_of(name))} LIMIT 1").fetchall()

    def _id(self, column: str) -> str:
        """An id as Spark has it, which knows no UUIDs."""
        return f"CAST({column} AS VARCHAR) AS {column}" if self.dataset.unit_type.name == "uuid" else column


def _in_made(table: str) -> str:
    return f"dp_made.main.{quoted(table)}"


def is_out_of(left_out: LeftOut | None, linked_out: Collection[str]) -> Callable[[str], bool]:
    """Says of an id whether its rows do not count: its person is left out, or it is linked to one who is."""
    return lambda text: text in linked_out or (left_out is not None and left_out(text))
