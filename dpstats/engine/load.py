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

import duckdb

from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import LINKS, DatasetFile, Table
from dpstats.engine.bound import hash_key
from dpstats.engine.consent import Roll, write_consent
from dpstats.engine.corrections import Overlay
from dpstats.engine.feeding import Feed, Feeder
from dpstats.engine.in_place import Filters, Lake, StillThere, in_spark, write_notes
from dpstats.engine.links import LeftOut, pairs_of_file, pairs_of_version, resolving, units_of, write_links
from dpstats.engine.load_report import CARRIED, ERASED, KEPT, PAST, Tally, out_of_bounds, unlisted, write_report
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.making import Making
from dpstats.engine.meta import ConsentMeta, Meta, write_meta
from dpstats.engine.names import literal, quoted
from dpstats.engine.noting import Noting, Whose, is_out_of
from dpstats.engine.ordering import Ordering
from dpstats.engine.place import place_of
from dpstats.engine.retention import Ages, past
from dpstats.engine.sifting import About, Linked, Sifting
from dpstats.engine.source import by_cells, trouble_in
from dpstats.engine.whole import whole_file
from dpstats.errors import FileError

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
        about = About(today or datetime.now(UTC).date(), left_out, overlay, ages, lake)
        loader = _Loader(Making(connection, target), dataset, hash_key(key), about)
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
        return loader.loaded


def _unsaid(_step: str, _done: float) -> None:
    """What nobody listens to."""


def _set_up(connection: duckdb.DuckDBPyConnection, spill: Path, memory_limit_mb: int) -> None:
    """Settings of a connection that builds a data version; what does not fit in memory goes to the folder `spill`."""
    connection.execute(f"SET temp_directory = {literal(spill)}")
    connection.execute(f"SET memory_limit = '{memory_limit_mb}MB'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it is drawn on stdout, where a command's answer belongs
    connection.execute("SET disabled_optimizers = 'top_n_window_elimination'")  # 2.5 times slower on `kept_of_over`


class _Loader:
    """One load. `dp_made` is the new file, `dp_base` the earlier data version, `dp_rows` the rows of one table."""

    def __init__(self, made: Making, dataset: DatasetFile, row_hash_key: str, about: About) -> None:
        self._made, self._dataset, self._about = made, dataset, about
        self._linked, self._tallies = Linked(), dict[str, Tally]()
        self._feeder = Feeder(made, dataset)
        self._sifting = Sifting(made, dataset, about, self._linked)
        self._ordering = Ordering(made, dataset, row_hash_key)
        self._noting = Noting(made.connection, dataset, made.target, about.lake)

    def attach(self, file: Path, base: Path | None) -> None:
        """Opens the file to make and, if there is one, the earlier data version."""
        self._made.write(f"ATTACH {literal(file)} AS dp_made")
        self._noting.aside = file.parent / "people.parquet"
        if base is not None:
            self._feeder.open(base)

    def link(self, path: Path | None) -> None:
        """Writes the links between ids: those of the file and, where rows are carried over, the base's."""
        feeder, connection = self._feeder, self._made.connection
        pairs = pairs_of_version(connection, "dp_base.main") if feeder.base is not None else []
        if path is not None:
            pairs += pairs_of_file(self._dataset, path)
        elif not feeder.has_links:
            what = f"no links between ids are there yet: add `--source {LINKS}=PATH`"
            raise FileError(self._dataset.dataset, what, key=LINKS)
        units, left_out = units_of(pairs), self._about.left_out
        if left_out is not None:
            gone = {unit for each, unit in units.items() if left_out(each)}
            self._linked.out = {each: unit for each, unit in units.items() if unit in gone}
            units = {each: unit for each, unit in units.items() if unit not in gone}
        self._linked.units = units
        for each, unit in units.items():
            self._linked.ids.setdefault(unit, set()).add(each)
        if trouble_in(lambda: write_links(connection, "dp_made.main", self._dataset, units)):
            raise self._made.cannot_write()

    def feed(self, name: str, path: Path | None, *, append: bool) -> Feed:
        """As `Feeder.feed`."""
        return self._feeder.feed(name, path, append=append)

    def table(self, name: str, feed: Feed, ordering: Callable[[], None]) -> None:
        """Writes one table to the new file, ordered by unit if it is personal.

        Args:
          ordering: called when what is left is to order its rows, rank them and write them.
        """
        table = self._dataset.tables[name]
        tally = self._tallies[name] = Tally()
        columns = ", ".join(f"{quoted(column)} {spec.type.sql}" for column, spec in table.columns.items())
        self._made.write(f"CREATE OR REPLACE TEMP TABLE dp_rows ({columns})")
        if table.in_place:
            self._made.write(f"CREATE TABLE dp_made.main.{quoted(name)} AS FROM dp_rows")  # its rows are not here
            self._note(name, feed)
            return
        self._read(name, feed, tally)
        if table.public:
            tally.rows[KEPT] = self._made.changed(f"CREATE TABLE dp_made.main.{quoted(name)} AS FROM dp_rows")
        else:
            self._sift(name, feed, tally)
            self._ordering.write(name, tally, ordering)
        self._made.write("DROP TABLE dp_rows")
        self._count_cells(name, table, tally)

    def _read(self, name: str, feed: Feed, tally: Tally) -> None:
        table = self._dataset.tables[name]
        if feed.source is not None:
            with by_cells(self._made.connection):
                self._feeder.read_source(feed.source, feed.found, table, tally)
        if feed.from_base:
            if feed.source is not None:
                self._sifting.drop_late(name, tally)
            tally.rows[CARRIED] = self._feeder.read_base(name, table)

    def _sift(self, name: str, feed: Feed, tally: Tally) -> None:
        """Takes whatever is not loaded out of `dp_rows`, each row for the first reason of `DROPPED` that holds."""
        if self._dataset.links:
            self._made.write(resolving("dp_rows", "dp_made.main", self._dataset.privacy_unit))
        tally.rows[ERASED] = self._sifting.leave_out()
        self._sifting.correct(name, whole=feed.source is not None and not feed.from_base)
        tally.rows[PAST] = self._sifting.let_go(name)
        self._sifting.leave_out_of_blocks(name, tally)

    def check_linked_anew(self, tables: Mapping[str, Path]) -> None:
        """Refuses new links for ids of a table in place that is not looked at again: who is heavy is not known then."""
        for name in self._dataset.tables_in_place:
            if name not in tables:
                what = f"is read in place, and its ids are linked anew: add `--source {name}=FOLDER`"
                raise FileError(self._dataset.dataset, what, key=name)

    @property
    def loaded(self) -> Loaded:
        """What was found out."""
        return Loaded(self._linked.out, frozenset(self._sifting.confirmed), self._noting.still)

    def _note(self, name: str, feed: Feed) -> None:
        """Notes of a table in place: by a look at its folder, or as the data version before has them."""
        if name in self._about.overlay:
            what = "corrections of it stand, and nobody's rows are corrected in place: load it once without `in_place`"
            raise FileError(self._dataset.dataset, what, key=name)
        whose = Whose(is_out_of(self._about.left_out, self._linked.out), self._linked.units)
        filters = self._filters(name)
        if feed.source is None:
            trouble = trouble_in(lambda: self._noting.carry(name, self._feeder.base_notes[name], whose, filters))
        else:
            place = place_of(name, feed.source, feed.found)
            at_load = replace(filters, past_at_load=filters.past, last_block=self._last_block(name))
            trouble = trouble_in(lambda: self._noting.look(place, whose, at_load))
        if trouble:
            raise self._made.cannot_write()

    def _filters(self, name: str) -> Filters:
        rule = past(self._dataset, name, self._about.ages) if self._about.ages is not None else None
        if rule is None:
            return Filters()
        return Filters(in_spark(rule.row), {column: in_spark(old) for column, old in rule.cells.items()})

    def _last_block(self, name: str) -> str:
        blocks = self._dataset.blocks
        return "" if blocks is None or blocks.table != name else blocks.every.start(self._about.today).isoformat()

    def finish(self, roll: Roll | None) -> None:
        """Completes the new file and closes it."""
        public = {name: tuple(t.columns) for name, t in self._dataset.tables.items() if t.public}
        meta = Meta(load_fingerprint(self._dataset), public)
        if trouble_in(lambda: write_about(self._made.connection, self._dataset, meta, roll)):
            raise self._made.cannot_write()
        notes = self._noting.notes
        if notes and trouble_in(lambda: write_notes(self._made.connection, "dp_made.main", notes)):
            raise self._made.cannot_write()
        if trouble_in(lambda: write_report(self._made.connection, "dp_made.main", self._tallies)):
            raise self._made.cannot_write()
        self._made.write("CHECKPOINT dp_made")
        self._made.write("DETACH dp_made")

    def _count_cells(self, name: str, table: Table, tally: Tally) -> None:
        rows = f"dp_made.main.{quoted(name)}"
        for of, told in ((out_of_bounds, tally.out_of_bounds), (unlisted, tally.unlisted)):
            columns, counts = of(table, rows)
            if columns:
                told.update(zip(columns, self._made.one_row(counts), strict=True))


def write_about(connection: duckdb.DuckDBPyConnection, dataset: DatasetFile, meta: Meta, roll: Roll | None) -> None:
    """Writes whom a new data version's purposes count, and what it says about itself; its tables must be there.

    Raises:
      duckdb.Error: it cannot be written.
    """
    if roll is not None:
        write_consent(connection, "dp_made.main", dataset, roll)
        meta = replace(meta, consent=ConsentMeta(roll.closed_at, roll.rules))
    write_meta(connection, "dp_made.main", meta)
