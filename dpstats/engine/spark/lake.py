"""Tables in place, in Spark: what a load notes of an owner's folder, and the rows of it that a query may read.

Claim: of one unit, a query reads at most `max_rows_per_unit` rows of such a table (in each block, where there are
blocks), and no more of its text than a load keeps; which ones depends on that unit's rows and the key alone; and no
query sorts or numbers rows to find them.
Precondition: the files are those that were noted (`engine/in_place.py`), rows are hashed as they were then (`stamp`),
and what was left out at the load is left out still: later data versions leave out more rows, never fewer.
Argument: a row's hash is a function of the key and of the row's cells as its file has them. At the load, a unit (in a
block) is heavy if it has more rows or text than is kept, which are counts of its own. Of a heavy unit `below` is the
least hash at which its rows, added up in the order of their hashes, equal hashes at once, pass the cap; so the rows
with a hash strictly below it are within the cap. Where hashes are equal, rows are in or out together, so rows that
are alike need no number. Only rows with a hash under `_SHARE` of all hashes are looked at, so that one unit's rows do
not fill one task: if those are within the cap, `below` is that bound, and again what lies strictly below is within the
cap. A query joins `below` to each row by the unit's ids, by a table that every task has, and compares: that looks at
one row, and comes before whatever is shuffled. A subset of rows that are
within the cap is within the cap, so what is left out later (erasures, retention) keeps the claim. A unit that is not
heavy was within the cap at the load, and its rows are all read.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dpstats.catalog.canonical import canonical_json
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.bound import text_cap
from dpstats.engine.footers import in_milliseconds, rows_in
from dpstats.engine.in_place import Filters, Notes, heavy_of, made_for, people_of
from dpstats.engine.place import Place
from dpstats.engine.spark.lake_cells import cell, read_as
from dpstats.engine.spark.session import open_session
from dpstats.engine.spark.spellings import check_spellings
from dpstats.errors import FileError
from dpstats.plan.sources import texts_of
from dpstats.plan.spark.pieces import named

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")
HASH, BLOCK = "dp_hash", "dp_block"
_SHARE = "(2.0D * {cap} + 64) / n"
"""The part of all hashes that is looked at for a threshold: about twice as many rows as are kept."""


@dataclass(frozen=True)
class SparkLake:
    """Looks at folders with the Spark at an address. `key`: the workspace's secret."""

    address: str
    key: bytes
    memory_mb: int
    threads: int

    def __call__(self, dataset: DatasetFile, place: Place) -> SparkSurvey:
        """As `in_place.Lake`."""
        notes = _first_notes(dataset, place)
        session = open_session(self.address, memory_mb=self.memory_mb, threads=self.threads)
        return SparkSurvey(session, dataset, place, notes, self.key)


class SparkSurvey:
    """One folder, looked at."""

    def __init__(self, session: SparkSession, dataset: DatasetFile, place: Place, notes: Notes, key: bytes) -> None:
        self._session, self._dataset, self._place = session, dataset, place
        self._notes = replace(notes, stamp=stamp(session, notes, key))
        self._key = {"dp_place": place_key(key)}
        self._tried(lambda: show_raw(session, place.table, self._notes))
        check_spellings(place, dataset.tables[place.table], notes.cells, self._empty_of)
        self._check()

    @property
    def ids(self) -> pyarrow.Table:
        """As `in_place.Survey`."""
        unit = named(self._notes.unit)
        return self._asked(f"SELECT DISTINCT {unit} AS id FROM ({self._cleaned}) WHERE {unit} IS NOT NULL")

    def noted(self, people: Path, filters: Filters) -> tuple[Notes, pyarrow.Table]:
        """As `in_place.Survey`."""
        notes = replace(self._notes, filters=filters)
        view = people_of(self._place.table)
        self._tried(lambda: self._session.read.parquet(str(people)).createOrReplaceTempView(view))
        counted = filtered_rows(self._place.table, notes)
        texts = texts_of(self._dataset, self._place.table, list(notes.cells))
        heavy = self._asked(_heavy(counted, view, notes, self._dataset.max_rows_per_unit, texts))
        if not notes.is_as_noted:
            raise FileError(str(self._place.source.path), "was written to while it was loaded: load it again")
        return notes, heavy

    @property
    def _cleaned(self) -> str:
        return cleaned_rows(self._place.table, self._notes)

    def _check(self) -> None:
        """Refuses a column of another type, and files of which Spark finds not all rows; looks at every cell, so that
        what Spark cannot read is refused now."""
        given = ", ".join(f"{named(self._place.found[column].name)} AS dp_g{place}" for place, column in self._columns)
        made = ", ".join(f"{cell} AS {named(column)}" for column, cell in self._notes.cells.items())
        counts = ", ".join(f"count(dp_g{place}), count({named(column)})" for place, column in self._columns)
        rows = f"SELECT {given}, {made} FROM {raw_view(self._place.table)}"
        cells = self._asked(f"SELECT {counts}, bit_xor({_hash(self._notes)}), count(*) FROM ({rows})").columns
        if cells[-1][0].as_py() != rows_in(self._place.source):
            what = "has rows that Spark does not find: a file has a name that it passes over, or was written to"
            raise FileError(str(self._place.source.path), f"{what}: name its files plainly, and load it again")
        for place, column in self._columns:
            if cells[2 * place][0].as_py() and not cells[2 * place + 1][0].as_py():
                raise _wrong_type(
                    self._place, column, str(self._dataset.tables[self._place.table].columns[column].type)
                )

    def _empty_of(self, texts: str, name: str, made: str) -> list[str]:
        values = f"SELECT explode(from_json(:dp_texts, 'ARRAY<STRING>')) AS {named(name)}"
        found = self._asked(f"SELECT * FROM ({values}) WHERE ({made}) IS NULL", dp_texts=texts)
        return [str(text) for text in found.column(0).to_pylist()]

    @property
    def _columns(self) -> list[tuple[int, str]]:
        return list(enumerate(self._notes.cells))

    def _asked(self, sql: str, **args: str) -> pyarrow.Table:
        return self._tried(lambda: self._session.sql(sql, args={**self._key, **args}).toArrow())

    def _tried(self, ask: Callable[[], T]) -> T:
        """What Spark says; its error, which may hold cells, ends here."""
        with suppress(Exception):
            return ask()
        what = "cannot be read by Spark: a file is damaged, or its machines do not see that folder under the same path"
        source = self._place.source
        late = ", ".join(in_milliseconds(source, [column.name for column in self._place.found.values()]))
        if late:
            what = (
                f"{what}, or a time of {late}, in milliseconds, is too late: write microseconds, or load it as a copy"
            )
        raise FileError(str(source.path), what)


def place_key(key: bytes) -> int:
    """The 64 bits by which rows in place are hashed, as Spark reads them."""
    return int.from_bytes(hmac.digest(key, b"rows read in place", hashlib.sha256)[:8], "big", signed=True)


def stamp(session: SparkSession, notes: Notes, key: bytes) -> str:
    """Says by what rows are hashed: another Spark, key or way of making cells may hash them otherwise."""
    content = [session.version, dict(notes.cells), dict(notes.schema), _hash(notes)]
    return hmac.digest(key, b"stamp" + canonical_json(content), hashlib.sha256).hex()


def raw_view(table: str) -> str:
    """The view of an owner's files, of their declared columns alone."""
    return f"dp_raw_{table}"


def show_raw(session: SparkSession, table: str, notes: Notes) -> None:
    """Gives the session the view of an owner's files: those that are noted, and no other columns than are declared."""
    schema = ", ".join(f"{named(column)} {kind}" for column, kind in notes.schema.items())
    # Without partitions, no name of a folder is a column: those of Iceberg say nothing of what is in the files.
    how = ("basePath", notes.folder) if notes.folder else ("recursiveFileLookup", "true")
    reader = session.read.option(*how).schema(schema)
    reader.parquet(*(pin.path for pin in notes.pins)).createOrReplaceTempView(raw_view(table))


def show(session: SparkSession, table: str, notes: Notes, key: bytes) -> None:
    """Gives the session the table itself, of the rows that may be read; whose count, and who is heavy, it was shown."""
    show_raw(session, table, notes)
    _rows(session, table, notes, key).createOrReplaceTempView(table)


def _rows(session: SparkSession, table: str, notes: Notes, key: bytes) -> DataFrame:
    """Bounded before anything is joined by a shuffle or sorted: of a heavy unit few rows come so far."""
    unit = named(notes.unit)
    cells = ", ".join(f"p.unit AS {unit}" if name == notes.unit else f"k.{named(name)}" for name in notes.cells)
    same_block = f" AND c.{BLOCK} = h.block" if notes.block else ""
    kept = (
        f"SELECT /*+ BROADCAST(h) */ c.* FROM ({filtered_rows(table, notes)}) AS c "
        f"LEFT JOIN {heavy_of(table)} AS h ON c.{unit} = h.id{same_block} WHERE h.below IS NULL OR c.{HASH} < h.below"
    )
    sql = f"SELECT {cells} FROM ({kept}) AS k JOIN {people_of(table)} AS p ON k.{unit} = p.id"
    return session.sql(sql, args={"dp_place": place_key(key)})


def cleaned_rows(table: str, notes: Notes) -> str:
    """SQL for every row as a load would have stored it, and its hash."""
    cells = ", ".join(f"{made} AS {named(column)}" for column, made in notes.cells.items())
    return f"SELECT *, {_hash(notes)} AS {HASH} FROM (SELECT {cells} FROM {raw_view(table)})"


def filtered_rows(table: str, notes: Notes) -> str:
    """SQL for the rows that count by themselves, whosever they are: not past their time, in a block that there is."""
    filters = notes.filters
    cells = ", ".join((*(_emptied(column, filters) for column in notes.cells), HASH))
    old = [f"({each}) IS NOT TRUE" for each in dict.fromkeys((filters.past, filters.past_at_load)) if each]
    left = f" WHERE {' AND '.join(old)}" if old else ""
    block = f", {notes.block} AS {BLOCK}" if notes.block else ""
    rows = f"SELECT {cells}{block} FROM ({cleaned_rows(table, notes)}){left}"
    return f"SELECT * FROM ({rows}) WHERE {BLOCK} <= DATE'{filters.last_block}'" if notes.block else rows


def _emptied(column: str, filters: Filters) -> str:
    old, name = filters.emptied.get(column), named(column)
    return name if old is None else f"CASE WHEN ({old}) IS NOT TRUE THEN {name} END AS {name}"


def _hash(notes: Notes) -> str:
    """SQL for the hash of a row; NULLs, which xxhash64 passes over, are told by their places."""
    cells = ", ".join(f"{named(column)} IS NULL, {named(column)}" for column in notes.cells)
    return f"xxhash64(CAST(:dp_place AS BIGINT), {cells})"


def _heavy(counted: str, people: str, notes: Notes, cap: int, texts: list[str]) -> str:
    """SQL for the heavy units: `unit`, `block` (NULL where there are none) and `below`."""
    unit, most = named(notes.unit), text_cap(texts, cap)
    text = " + ".join(["0L", *(f"coalesce(octet_length({named(each)}), 0)" for each in texts)])
    block = BLOCK if notes.block else "CAST(NULL AS DATE)"
    whose = f"JOIN {people} AS p ON c.{unit} = p.id"
    rows = f"SELECT p.unit, {block} AS block, {HASH} AS hash, {text} AS bytes FROM ({counted}) AS c {whose}"
    lowest, all_hashes = f"{-(2.0**63)!r}D", f"{2.0**64!r}D"
    share = _SHARE.format(cap=cap)
    bound = f"CASE WHEN {share} < 1 THEN CAST({lowest} + {all_hashes} * {share} AS BIGINT) END"
    return f"""
        WITH dp_rows AS ({rows}),
        dp_over AS (
            SELECT unit, block, {bound} AS bound FROM (
                SELECT unit, block, count(*) AS n, sum(bytes) AS bytes FROM dp_rows GROUP BY unit, block
                HAVING count(*) > {cap} OR sum(bytes) > {most}
            )
        ),
        dp_hashes AS (
            SELECT r.unit, r.block, r.hash, count(*) AS n, sum(r.bytes) AS bytes, max(o.bound) AS bound
            FROM dp_rows AS r JOIN dp_over AS o ON r.unit = o.unit AND r.block <=> o.block
            WHERE o.bound IS NULL OR r.hash < o.bound GROUP BY r.unit, r.block, r.hash
        ),
        dp_added AS (
            SELECT unit, block, hash, bound, sum(n) OVER dp_each AS n, sum(bytes) OVER dp_each AS bytes FROM dp_hashes
            WINDOW dp_each AS (PARTITION BY unit, block ORDER BY hash ROWS UNBOUNDED PRECEDING)
        ),
        dp_found AS (
            SELECT unit, block, min(CASE WHEN n > {cap} OR bytes > {most} THEN hash END) AS hash
            FROM dp_added GROUP BY unit, block
        )
        SELECT o.unit, o.block, coalesce(f.hash, o.bound) AS below
        FROM dp_over AS o LEFT JOIN dp_found AS f ON o.unit = f.unit AND o.block <=> f.block"""


def _first_notes(dataset: DatasetFile, place: Place) -> Notes:
    """What can be noted before Spark is asked.

    Raises:
      FileError: a column is of another type.
    """
    partitions = set(place.partitions)
    cells, schema = {}, {}
    for column, spec in dataset.tables[place.table].columns.items():
        found = place.found[column]
        kind = read_as(found.type)
        partition, unit = found.name in partitions, column == dataset.privacy_unit
        if unit and found.name in place.named:
            what = (
                "is in the names of folders, where no erasure reaches what is noted of them: load the table as a copy"
            )
            raise FileError(str(place.source.path), what, key=f"column {column}")
        made = kind and cell(found.name, found.type, spec.type, partition=partition, unit=unit)
        if not kind or not made:
            raise _wrong_type(place, column, str(spec.type))
        cells[column], schema[found.name] = made, kind
    # Spark wants to be told of every column in the names of folders.
    schema |= dict.fromkeys(place.partitions, "STRING")
    blocks = dataset.blocks
    block = "" if blocks is None or blocks.table != place.table else _block(blocks.time, str(blocks.every))
    return Notes(
        str(place.source.path.resolve()),
        place.folder if place.partitions else "",
        place.pins,
        schema,
        cells,
        dataset.privacy_unit,
        block,
        made_for(dataset, place.table),
        version=place.version,
    )


def _block(time: str, every: str) -> str:
    day = f"CAST({named(time)} AS DATE)"
    return day if every == "day" else f"trunc({day}, '{every}')"


def _wrong_type(place: Place, column: str, declared: str) -> FileError:
    kind = place.found[column].type.partition("(")[0]
    what = f"the file has {kind}, dataset.yaml says {declared}, and what is read in place is not converted"
    return FileError(
        str(place.source.path), f"{what}: declare it so, or load the table as a copy", key=f"column {column}"
    )
