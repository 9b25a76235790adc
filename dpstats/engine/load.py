"""From source files to a data version: a fresh DuckDB file that holds the declared columns and nothing else.

What is not kept (other columns, rows over a unit's cap, rows of nobody) is never written to that file, so none of its
blocks can still hold it. No error text holds a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import LINKS, Blocks, Column, DatasetFile, Table
from dpstats.catalog.types import ColumnType
from dpstats.engine.bound import ROW_TEXT, hash_key, kept_of_over, longest, ranked, twins, units_over
from dpstats.engine.cells import cast, clean, clean_id, given, is_readable
from dpstats.engine.consent import Roll, write_consent
from dpstats.engine.corrections import Fix, Overlay, Stated, confirmed, replayed, stated
from dpstats.engine.in_place import Filters, Lake, Notes, StillThere, in_spark, notes_in, place_of, write_notes
from dpstats.engine.links import TABLE as LINKED
from dpstats.engine.links import LeftOut, pairs_of_file, pairs_of_version, resolving, units_of, write_links
from dpstats.engine.load_report import (
    CARRIED,
    ERASED,
    KEPT,
    LATE,
    LATER,
    NOBODYS,
    OVER_CAP,
    PAST,
    READ,
    TIMELESS,
    Tally,
    given_cells,
    out_of_bounds,
    unlisted,
    write_report,
)
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.meta import ConsentMeta, Meta, read_meta, write_meta
from dpstats.engine.names import literal, quoted
from dpstats.engine.noting import Noting, Whose, is_out_of
from dpstats.engine.retention import Ages, past
from dpstats.engine.source import Source, SourceColumn, Trouble, file_error, open_source, trouble_in
from dpstats.engine.whole import whole_file
from dpstats.errors import FileError
from dpstats.plan.sources import BLOCK_RANK, RANK, texts_of

BLOCK = "dp_block"
"""The column of a row's block while it is loaded."""
Progress = Callable[[str, float], None]
NOTHING_CORRECTED: Overlay = {}


@dataclass(frozen=True)
class Loaded:
    """What a load found out: ids that are linked to one that is left out, and corrections that a source confirms.

    `linked_out`: by such an id, the unit that would stand for it: those of one unit are one person's.
    `still_in_place`: by table in place, the ids that are left out and that its owner's files hold still.
    """

    linked_out: Mapping[str, str]
    confirmed: frozenset[int]
    still_in_place: Mapping[str, StillThere]


def load(
    dataset: DatasetFile,
    sources: Mapping[str, Path],
    *,
    target: Path,
    key: bytes,
    base: Path | None = None,
    append: bool = False,
    progress: Progress | None = None,
    memory_limit_mb: int = 4096,
    today: date | None = None,
    roll: Roll | None = None,
    left_out: LeftOut | None = None,
    overlay: Overlay = NOTHING_CORRECTED,
    ages: Ages | None = None,
    lake: Lake | None = None,
) -> Loaded:
    """Builds the data version `target` from one source file a table; a table without one is carried over from `base`.

    Args:
      dataset: Says which tables and columns are loaded, and how many rows of one unit.
      sources: Table name -> Parquet or CSV file; where the dataset has links, `links` -> a file of `id` and `unit`.
      target: The file to make. Its folder is made if it is missing.
      key: The workspace's secret key; which rows are kept of a unit over its cap depends on it.
      base: An earlier data version of the dataset; opened only if something is carried over.
      append: Whether a source's rows come on top of the base's rows of that table.
      progress: Called with what is being done and the fraction done, 0 to 1: of each table first "loading", then, if
        it is personal, "ordering"; at last "finishing" and "loaded".
      memory_limit_mb: Memory of the load; what does not fit is spilled beside the new file, and removed.
      today: The day of the load in UTC, today if None. Of a table with blocks, rows of later blocks are dropped, so
        that "every block that there is" is known without a look at the data; so are rows with no time.
      roll: Whom the dataset's purposes count; None: it is not known, and a query that asks for consent is refused.
      left_out: Whose rows come neither from a source nor from the base: units that were erased. None: nobody's.
      overlay: What was corrected, and stands in the place of what a source or the base says.
      ages: What the columns' retention is counted by; None: nothing is past its time.
      lake: Looks at the folders of tables that are read in place; needed where one of them has a source.

    Returns:
      The ids that are linked to one that is left out: they are the same person's, and are left out too. And the numbers
      of the corrections that a table's source, loaded whole, says as well.

    Raises:
      FileError: a source is missing, unreadable, malformed, empty or of the wrong types, a table has neither source
        nor base, or the file cannot be written. `target` is then as it was before.
    """
    tables = {name: path for name, path in sources.items() if not (dataset.links and name == LINKS)}
    for name in tables:
        if name not in dataset.tables:
            what = f"there is no such table; the tables are {', '.join(dataset.tables)}"
            raise FileError(dataset.dataset, what, key=name)
    with whole_file(target) as made, duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
        _set_up(connection, made.parent / "spill", memory_limit_mb)
        about = _About(today or datetime.now(UTC).date(), left_out, overlay, ages, lake)
        loader = _Loader(connection, dataset, target, hash_key(key), about)
        # A base that nothing is carried over from may be damaged or gone: this load replaces it.
        carries = append or any(name not in tables for name in dataset.tables)
        links_of_base = dataset.links and LINKS not in sources
        loader.attach(made, base if carries or links_of_base else None)
        if dataset.links:
            loader.link(sources.get(LINKS))
        feeds = {name: loader.feed(name, tables.get(name), append=append) for name in dataset.tables}
        if dataset.links and LINKS in sources:
            loader.check_linked_anew(tables)
        said = progress or _unsaid
        for place, (name, feed) in enumerate(feeds.items()):
            said(f"loading {name}", place / len(feeds))
            loader.table(name, feed, partial(said, f"ordering {name}", (place + 0.5) / len(feeds)))
        said("finishing", 0.99)
        loader.finish(roll)
        said("loaded", 1.0)
        return Loaded(loader.linked_out, frozenset(loader.confirmed), loader.still_in_place)


def _unsaid(_step: str, _done: float) -> None:
    """What nobody listens to."""


def _set_up(connection: duckdb.DuckDBPyConnection, spill: Path, memory_limit_mb: int) -> None:
    """Settings of a connection that builds a data version; what does not fit in memory goes to the folder `spill`."""
    connection.execute(f"SET temp_directory = {literal(spill)}")
    connection.execute(f"SET memory_limit = '{memory_limit_mb}MB'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it is drawn on stdout, where a command's answer belongs
    connection.execute("SET disabled_optimizers = 'top_n_window_elimination'")  # 2.5 times slower on `kept_of_over`


@dataclass(frozen=True)
class _Feed:
    """Where a table's rows come from: a file, with the column to read for each declared one, the base, or both."""

    source: Source | None
    found: Mapping[str, SourceColumn]
    from_base: bool


@dataclass(frozen=True)
class _About:
    """What is known of people and days from elsewhere: the arguments of `load` of these names."""

    today: date
    left_out: LeftOut | None
    overlay: Overlay
    ages: Ages | None
    lake: Lake | None


class _Loader:
    """One load. `dp_made` is the new file, `dp_base` the earlier data version, `dp_rows` the rows of one table."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: DatasetFile,
        target: Path,
        row_hash_key: str,
        about: _About,
    ) -> None:
        self._connection, self._dataset, self._target, self._hash_key = connection, dataset, target, row_hash_key
        self._today, self._left_out, self._overlay = about.today, about.left_out, about.overlay
        self._ages = about.ages
        self._tallies: dict[str, Tally] = {}
        self.linked_out: Mapping[str, str] = {}
        self.confirmed: set[int] = set()
        self._ids: dict[str, set[str]] = {}
        self._units: Mapping[str, str] = {}
        self._base_notes: Mapping[str, Notes] = {}
        self._noting = Noting(connection, dataset, target, about.lake)
        self._base: Path | None = None
        self._base_columns: dict[str, dict[str, str]] = {}

    def attach(self, made: Path, base: Path | None) -> None:
        """Opens the file to make and, if there is one, the earlier data version."""
        self._write(f"ATTACH {literal(made)} AS dp_made")
        self._noting.aside = made.parent / "people.parquet"
        if base is None:
            return
        if not base.is_file() or self._run(f"ATTACH {literal(base)} AS dp_base (READ_ONLY)"):
            raise FileError(str(base), "cannot be opened as a data version: give a source for every table")
        read_meta(self._connection, base, "dp_base.main")
        sql = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'dp_base'"
        for table, column, data_type in self._connection.execute(sql).fetchall():
            self._base_columns.setdefault(table, {})[column] = data_type
        self._base, self._base_notes = base, notes_in(self._connection, "dp_base.main")

    def link(self, path: Path | None) -> None:
        """Writes the links between ids: those of the file and, where rows are carried over, the base's."""
        pairs = pairs_of_version(self._connection, "dp_base.main") if self._base is not None else []
        if path is not None:
            pairs += pairs_of_file(self._dataset, path)
        elif LINKED not in self._base_columns:  # one without a row is of people who were all erased
            what = f"no links between ids are there yet: add `--source {LINKS}=PATH`"
            raise FileError(self._dataset.dataset, what, key=LINKS)
        units = units_of(pairs)
        if self._left_out is not None:
            gone = {unit for each, unit in units.items() if self._left_out(each)}
            self.linked_out = {each: unit for each, unit in units.items() if unit in gone}
            units = {each: unit for each, unit in units.items() if unit not in gone}
        self._units = units
        for each, unit in units.items():
            self._ids.setdefault(unit, set()).add(each)
        if trouble_in(lambda: write_links(self._connection, "dp_made.main", self._dataset, units)):
            raise self._cannot_write()

    def feed(self, name: str, path: Path | None, *, append: bool) -> _Feed:
        """Where the table's rows are to come from; the file is opened and its columns found, no row is read."""
        declared = self._dataset.tables[name].columns
        in_file = self._base_columns.get(name, {})
        stored = {column: kind for column, kind in in_file.items() if column not in (RANK, BLOCK_RANK)}
        in_base = stored == {column: spec.type.sql for column, spec in declared.items()}
        in_base = in_base and (name in self._base_notes) is self._dataset.tables[name].in_place
        if append and path is not None and self._dataset.tables[name].in_place:
            raise FileError(
                self._dataset.dataset, "is read in place, so it is loaded whole: leave out `--append`", key=name
            )
        if not in_base and (path is None or append):
            raise self._nothing_to_carry(name, append=path is not None)
        if path is None:
            return _Feed(None, {}, from_base=True)
        source = open_source(self._connection, path)
        found = source.find(declared)
        for column, spec in declared.items():
            if not is_readable(found[column].type):
                raise _wrong_type(source, column, found[column], spec)
        return _Feed(source, found, from_base=append)

    def table(self, name: str, feed: _Feed, ordering: Callable[[], None]) -> None:
        """Writes one table to the new file, ordered by unit if it is personal.

        Args:
          ordering: called when what is left is to order its rows, rank them and write them.
        """
        table = self._dataset.tables[name]
        tally = self._tallies[name] = Tally()
        columns = ", ".join(f"{quoted(column)} {spec.type.sql}" for column, spec in table.columns.items())
        self._write(f"CREATE OR REPLACE TEMP TABLE dp_rows ({columns})")
        if table.in_place:
            self._write(f"CREATE TABLE dp_made.main.{quoted(name)} AS FROM dp_rows")  # its rows are not here
            self._note(name, feed)
            return
        if feed.source is not None:
            self._read_source(feed.source, feed.found, table, tally)
        if feed.from_base:
            if feed.source is not None:
                self._drop_late(name, tally)
            tally.rows[CARRIED] = self._read_base(name, table)
        if table.public:
            tally.rows[KEPT] = self._changed(f"CREATE TABLE dp_made.main.{quoted(name)} AS FROM dp_rows")
        else:
            if self._dataset.links:
                self._write(resolving("dp_rows", "dp_made.main", self._dataset.privacy_unit))
            tally.rows[ERASED] = self._leave_out()
            self._correct(name, table, whole=feed.source is not None and not feed.from_base)
            tally.rows[PAST] = self._let_go(name)
            self._write_personal(name, table, tally, ordering)
        self._write("DROP TABLE dp_rows")
        self._count_cells(name, table, tally)

    def check_linked_anew(self, tables: Mapping[str, Path]) -> None:
        """Refuses new links for ids of a table in place that is not looked at again: who is heavy is not known then."""
        for name in self._dataset.tables_in_place:
            if name not in tables:
                what = f"is read in place, and its ids are linked anew: add `--source {name}=FOLDER`"
                raise FileError(self._dataset.dataset, what, key=name)

    @property
    def still_in_place(self) -> Mapping[str, StillThere]:
        """Whom the owners' files hold still of those who are left out."""
        return self._noting.still

    def _note(self, name: str, feed: _Feed) -> None:
        """Notes of a table in place: by a look at its folder, or as the data version before has them."""
        if name in self._overlay:
            what = "corrections of it stand, and nobody's rows are corrected in place: load it once without `in_place`"
            raise FileError(self._dataset.dataset, what, key=name)
        whose, filters = Whose(is_out_of(self._left_out, self.linked_out), self._units), self._filters(name)
        if feed.source is None:
            trouble = trouble_in(lambda: self._noting.carry(name, self._base_notes[name], whose, filters))
        else:
            place = place_of(name, feed.source, feed.found)
            at_load = replace(filters, past_at_load=filters.past, last_block=self._last_block(name))
            trouble = trouble_in(lambda: self._noting.look(place, whose, at_load))
        if trouble:
            raise self._cannot_write()

    def _filters(self, name: str) -> Filters:
        rule = past(self._dataset, name, self._ages) if self._ages is not None else None
        if rule is None:
            return Filters()
        return Filters(in_spark(rule.row), {column: in_spark(old) for column, old in rule.cells.items()})

    def _last_block(self, name: str) -> str:
        blocks = self._dataset.blocks
        return "" if blocks is None or blocks.table != name else blocks.every.start(self._today).isoformat()

    def finish(self, roll: Roll | None) -> None:
        """Completes the new file and closes it."""
        public = {name: tuple(t.columns) for name, t in self._dataset.tables.items() if t.public}
        meta = Meta(load_fingerprint(self._dataset), public)
        if trouble_in(lambda: write_about(self._connection, self._dataset, meta, roll)):
            raise self._cannot_write()
        notes = self._noting.notes
        if notes and trouble_in(lambda: write_notes(self._connection, "dp_made.main", notes)):
            raise self._cannot_write()
        if trouble_in(lambda: write_report(self._connection, "dp_made.main", self._tallies)):
            raise self._cannot_write()
        self._write("CHECKPOINT dp_made")
        self._write("DETACH dp_made")

    def _read_source(self, source: Source, found: Mapping[str, SourceColumn], table: Table, tally: Tally) -> None:
        cells = {
            column: self._cell(table, column)(found[column].alias, found[column].type, spec.type)
            for column, spec in table.columns.items()
        }
        named = ", ".join(f"{cell} AS {quoted(column)}" for column, cell in cells.items())
        sql = f"INSERT INTO dp_rows FROM (SELECT {named} FROM {source.sql}){self._of_somebody(table)}"
        trouble = self._run(sql, {"dp_file": source.pattern})
        if trouble:
            raise file_error(source.path, trouble)
        ((of_somebody,),) = self._connection.fetchall()
        filled = self._check_cells(source, found, table)
        unit = "" if table.public else self._dataset.privacy_unit
        counts = given_cells(
            {name: found[name].alias for name in cells}, unit, f"{cells[unit]} IS NOT NULL" if unit else ""
        )
        read, *there = self._one_row(f"{counts} FROM {source.sql}", {"dp_file": source.pattern})
        tally.rows |= {READ: read, NOBODYS: read - of_somebody}
        tally.emptied |= {name: were - kept for name, were, kept in zip(cells, there, filled, strict=True)}

    def _check_cells(self, source: Source, found: Mapping[str, SourceColumn], table: Table) -> tuple[int, ...]:
        """Refuses a file without rows, one with a column of another type, and one whose rows are nobody's.

        Returns:
          How many cells of each column hold something.
        """
        counts = ", ".join(f"count({quoted(column)})" for column in table.columns)
        filled = self._one_row(f"SELECT {counts} FROM dp_rows")
        for column, kept in zip(table.columns, filled, strict=True):
            if not kept:
                self._check_column(source, column, found[column], table.columns[column])
        if not table.public and not self._one_row("SELECT count(*) FROM dp_rows")[0]:
            what = "is empty in every row: it must say whose row it is"
            raise FileError(str(source.path), what, key=f"column {self._dataset.privacy_unit}")
        return filled

    def _check_column(self, source: Source, column: str, found: SourceColumn, spec: Column) -> None:
        cell, cell_type = found.alias, found.type
        counts = f"count(*), count({given(cell, cell_type)}), count({cast(cell, cell_type, spec.type)})"
        rows, filled, fitting = self._one_row(f"SELECT {counts} FROM {source.sql}", {"dp_file": source.pattern})
        if not rows:
            raise FileError(str(source.path), "has no rows")
        if filled and not fitting:
            raise _wrong_type(source, column, found, spec)

    def _read_base(self, name: str, table: Table) -> int:
        columns = ", ".join(map(quoted, table.columns))
        sql = f"INSERT INTO dp_rows SELECT {columns} FROM dp_base.main.{quoted(name)}{self._of_somebody(table)}"
        if self._run(sql):
            raise FileError(str(self._base), "cannot be read: it is damaged, or memory and disk are full")
        ((count,),) = self._connection.fetchall()
        return int(count)

    def _leave_out(self) -> int:
        """Takes the rows of units that may not be in the data out of `dp_rows`, before anything else looks at them."""
        if self._left_out is None:
            return 0
        unit = f"CAST({quoted(self._dataset.privacy_unit)} AS VARCHAR)"
        self._write(f"SELECT DISTINCT {unit} FROM dp_rows")
        rows = self._connection.fetchall()
        gone = [name for (name,) in rows if name in self.linked_out or self._left_out(name)]
        if not gone:
            return 0
        return self._changed(f"DELETE FROM dp_rows WHERE {unit} IN (SELECT unnest($dp_gone))", {"dp_gone": gone})

    def _correct(self, name: str, table: Table, *, whole: bool) -> None:
        """Puts what was corrected in `dp_rows`, in the place of what is there.

        Args:
          whole: the rows are the table's source, and all of it: whether it says the same by now can be told.
        """
        fixes_of = self._overlay.get(name)
        if fixes_of is None:
            return
        unit = self._dataset.privacy_unit
        self._write(f"SELECT DISTINCT CAST({quoted(unit)} AS VARCHAR) FROM dp_rows")
        for (person,) in self._connection.fetchall():
            fixes = fixes_of({person, *self._ids.get(person, ())})
            said = [(fix, self._stated(table, fix)) for fix in fixes]
            if whole:  # all of them are judged by what the source says, before the first of them is put in place
                self.confirmed |= {fix.number for fix, each in said if self._is_confirmed(person, each)}
            for _, each in said:
                if each is not None:
                    self._write(replayed("dp_rows", unit, each), {**each.binds, "dp_units": [person]})

    def _let_go(self, name: str) -> int:
        """Takes rows and cells that are past their time out of `dp_rows`, corrected ones too."""
        rule = past(self._dataset, name, self._ages) if self._ages is not None else None
        if rule is None:
            return 0
        gone = self._changed(f"DELETE FROM dp_rows WHERE {rule.row}")
        for column, old in rule.cells.items():
            self._write(f"UPDATE dp_rows SET {quoted(column)} = NULL WHERE {old}")
        return gone

    def _is_confirmed(self, person: str, said: Stated | None) -> bool:
        if said is None:
            return False
        sql = confirmed("dp_rows", self._dataset.privacy_unit, said)
        return bool(self._one_row(sql, {**said.binds, "dp_units": [person]})[0])

    def _stated(self, table: Table, fix: Fix) -> Stated | None:
        """A correction in SQL, whose values must be of the columns' types: these may have changed since."""
        said = stated(table, fix)
        if said is not None and not self._one_row(f"SELECT {said.readable}", said.binds)[0]:
            what = "a correction that stands is not of its columns' types any more: give them the types they had"
            raise FileError(self._dataset.dataset, what, key=fix.table)
        return said

    def _write_personal(self, name: str, table: Table, tally: Tally, ordering: Callable[[], None]) -> None:
        unit, columns = self._dataset.privacy_unit, list(table.columns)
        texts = texts_of(self._dataset, name, columns)
        max_rows = 1 if table.one_row_per_unit else self._dataset.max_rows_per_unit
        rows, block, key = "dp_rows", "", {"dp_hash_key": self._hash_key}
        most, blocks = self._one_row(longest("dp_rows", texts))[0], self._dataset.blocks
        if blocks is not None and blocks.table == name:
            self._leave_out_of_blocks(blocks, tally)
            self._write(f"CREATE OR REPLACE TEMP VIEW dp_timed AS SELECT *, {_block(blocks)} AS {BLOCK} FROM dp_rows")
            rows, block = "dp_timed", BLOCK
            columns.append(BLOCK)
        over = units_over(rows, unit, max_rows, texts if most is None or most > ROW_TEXT else (), block=block)
        self._write(f"CREATE OR REPLACE TEMP TABLE dp_over AS {over}")
        if self._one_row("SELECT count(*) FROM dp_over")[0]:
            # In place: few units are over their cap, and all the others' rows need not be written again.
            kept = kept_of_over(rows, "dp_over", columns, unit, max_rows, texts, block=block)
            few = self._changed(f"CREATE OR REPLACE TEMP TABLE dp_few AS {kept}", key)
            each = f"({quoted(unit)}, {_block(blocks)})" if block and blocks else quoted(unit)
            many = self._changed(f"DELETE FROM dp_rows WHERE {each} IN (FROM dp_over)")
            self._write(f"INSERT INTO dp_rows SELECT {', '.join(map(quoted, table.columns))} FROM dp_few")
            tally.rows[OVER_CAP] = many - few
        (count,) = self._one_row("SELECT count(*) FROM dp_rows")
        tally.rows[KEPT] = count
        ordering()
        made = f"CREATE TABLE dp_made.main.{quoted(name)} AS"
        if table.one_row_per_unit:
            self._write(f"{made} FROM {rows} ORDER BY {quoted(unit)}")
            return
        self._write(f"CREATE OR REPLACE TEMP TABLE dp_twins AS {twins(rows, columns)}")
        cells = f"SELECT * EXCLUDE ({BLOCK})" if block else "SELECT *"
        order = f"ORDER BY {quoted(unit)}, {RANK}"
        self._write(f"{made} {cells} FROM ({ranked(rows, 'dp_twins', columns, unit, block=block)}) {order}", key)

    def _leave_out_of_blocks(self, blocks: Blocks, tally: Tally) -> None:
        """Takes the rows that are in no block by now out of `dp_rows`: each by its own time alone.

        The years before -290,000, where a block would start before time does, are no time.
        """
        last = f"DATE {literal(blocks.every.start(self._today).isoformat())}"
        tally.rows[TIMELESS] = self._changed(f"DELETE FROM dp_rows WHERE {_block(blocks)} IS NULL")
        tally.rows[LATER] = self._changed(f"DELETE FROM dp_rows WHERE {_block(blocks)} > {last}")

    def _drop_late(self, name: str, tally: Tally) -> None:
        """Takes what a source brings too late out of `dp_rows`: each row by its own time alone, and none of the base's.

        So a unit's rows in one block still decide nothing in another.
        """
        blocks = self._dataset.blocks
        if blocks is None or blocks.table != name or blocks.late_rows is None:
            return
        first = blocks.every.before(self._today, blocks.late_rows.drop_after)
        tally.rows[LATE] = self._changed(
            f"DELETE FROM dp_rows WHERE {_block(blocks)} < DATE {literal(first.isoformat())}"
        )

    def _count_cells(self, name: str, table: Table, tally: Tally) -> None:
        rows = f"dp_made.main.{quoted(name)}"
        for of, told in ((out_of_bounds, tally.out_of_bounds), (unlisted, tally.unlisted)):
            columns, counts = of(table, rows)
            if columns:
                told.update(zip(columns, self._one_row(counts), strict=True))

    def _cell(self, table: Table, column: str) -> Callable[[str, str, ColumnType], str]:
        return clean_id if not table.public and column == self._dataset.privacy_unit else clean

    def _of_somebody(self, table: Table) -> str:
        return "" if table.public else f" WHERE {quoted(self._dataset.privacy_unit)} IS NOT NULL"

    def _nothing_to_carry(self, name: str, *, append: bool) -> FileError:
        why = "its columns have changed since the last load" if name in self._base_columns else "it has no data yet"
        instead = "load it without `--append`" if append else f"add `--source {name}=PATH`"
        return FileError(self._dataset.dataset, f"{why}: {instead}", key=name)

    def _one_row(self, sql: str, binds: Mapping[str, object] | None = None) -> tuple[Any, ...]:
        self._write(sql, binds)
        (row,) = self._connection.fetchall()
        return row

    def _changed(self, sql: str, binds: Mapping[str, object] | None = None) -> int:
        """How many rows a statement wrote or deleted."""
        (count,) = self._one_row(sql, binds)
        return int(count)

    def _write(self, sql: str, binds: Mapping[str, object] | None = None) -> None:
        if self._run(sql, binds):
            raise self._cannot_write()

    def _cannot_write(self) -> FileError:
        return FileError(str(self._target), "cannot be written: too little memory or disk, or no permission")

    def _run(self, sql: str, binds: Mapping[str, object] | None = None) -> Trouble | None:
        return trouble_in(lambda: self._connection.execute(sql, binds or {}))


def _block(blocks: Blocks) -> str:
    """SQL for the first day of a row's block, NULL if it has no time."""
    return f"TRY(date_trunc({literal(blocks.every)}, {quoted(blocks.time)}))"


def write_about(connection: duckdb.DuckDBPyConnection, dataset: DatasetFile, meta: Meta, roll: Roll | None) -> None:
    """Writes whom a new data version's purposes count, and what it says about itself; its tables must be there.

    Raises:
      duckdb.Error: it cannot be written.
    """
    if roll is not None:
        write_consent(connection, "dp_made.main", dataset, roll)
        meta = replace(meta, consent=ConsentMeta(roll.closed_at, roll.rules))
    write_meta(connection, "dp_made.main", meta)


def _wrong_type(source: Source, column: str, found: SourceColumn, spec: Column) -> FileError:
    kind = found.type.partition("(")[0]
    return FileError(str(source.path), f"the file has {kind}, dataset.yaml says {spec.type}", key=f"column {column}")
