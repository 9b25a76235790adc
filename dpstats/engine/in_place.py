"""Tables that stay where their owner has them: what a load notes of one, and whether its files are still those.

A load copies none of their rows. It notes which files there are, with their sizes and times, whose ids stand in them,
which units have more rows than is kept of one, and how Spark is to read them. Queries read these files and no others,
while they are as they were noted: of any other rows it is not known that a unit brings at most so many.

The notes hold the ids of those alone who may be counted: of somebody who was erased, nothing is left in them, and rows
of an id that is not noted are never counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from dpstats.catalog.canonical import canonical_json
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.links import LeftOut
from dpstats.engine.names import quoted
from dpstats.engine.opened import HELD, opened
from dpstats.engine.place import Pin, Place, is_so
from dpstats.errors import FileError

if TYPE_CHECKING:
    import pyarrow

NOTES = "dp_in_place"
"""The table of a data version with what is noted of each table in place, as JSON."""


@dataclass(frozen=True)
class Filters:
    """What is left out when rows are read, in SQL on a row, decided when the data version was made.

    `past`: it is past its time; `emptied`: the same of a cell, by column. What held at the load holds for good, so that
    no row comes back of which a load did not count that it is there: `past_at_load`, and `last_block`, the first day of
    the last block that there was, where there are blocks.
    """

    past: str = ""
    emptied: Mapping[str, str] = field(default_factory=dict)
    past_at_load: str = ""
    last_block: str = ""


@dataclass(frozen=True)
class Notes:
    """What a data version knows of a table in place.

    `given`: what a load was given; `folder`: where the names of partitions begin, empty without partitions. `schema`:
    the columns that are read of the files, with Spark's types. `cells`: how a declared column is made of them, in
    Spark's SQL. `made_for`: what of the dataset's file the notes depend on. `stamp`: says by what the rows of heavy
    units were hashed; empty: the notes are of the table as it was defined once. `version`: which of the table's
    versions it is, where a log counts them.
    """

    given: str
    folder: str
    pins: tuple[Pin, ...]
    schema: Mapping[str, str]
    cells: Mapping[str, str]
    unit: str
    block: str
    made_for: str
    stamp: str = ""
    filters: Filters = Filters()
    version: str = ""

    @property
    def files(self) -> str:
        """A name for the files as they were noted."""
        return hashlib.sha256(canonical_json([list(vars(pin).values()) for pin in self.pins])).hexdigest()

    @property
    def is_as_noted(self) -> bool:
        """Whether every file is there still, as it was, and the table is what it was; waits as long as it takes."""
        return bool(self.stamp) and all(self.each_as_noted())

    def each_as_noted(self) -> Iterator[bool]:
        """Whether it is there still, as it was, of each file in turn."""
        return map(is_so, self.pins)


@dataclass(frozen=True)
class StillThere:
    """Ids that are left out, and that an owner's files hold still; `files` names these as they are."""

    ids: frozenset[str]
    files: str

    def __repr__(self) -> str:
        return f"StillThere({self.files})"


class Survey(Protocol):
    """What an engine finds out about a folder, for a load."""

    @property
    def ids(self) -> pyarrow.Table:
        """The distinct ids that its rows have, as the column `id`."""
        ...

    def noted(self, people: Path, filters: Filters) -> tuple[Notes, pyarrow.Table]:
        """What is to be noted, and the heavy units: `unit`, `block` and `below`, the hash below which rows are read.

        Args:
          people: a Parquet file with `id` and `unit`: whose rows count, and for which unit.
        """
        ...


Lake = Callable[[DatasetFile, Place], Survey]
"""Looks at a folder.

Raises:
  FileError: its rows cannot be read as the dataset declares them. EngineFailed: the engine cannot be used.
"""


def people_of(table: str) -> str:
    """The table of a data version that says whose rows count in a table in place: `id`, and `unit`."""
    return f"dp_people_{table}"


def heavy_of(table: str) -> str:
    """The table of a data version with the units that have more rows there than is kept of one."""
    return f"dp_heavy_{table}"


def in_spark(sql: str) -> str:
    """SQL of `engine/retention.py` for Spark, which quotes names otherwise; names of columns hold no quotes."""
    return sql.replace('"', "`")


def made_for(dataset: DatasetFile, table: str) -> str:
    """What notes of a table depend on, in the dataset's file."""
    blocks = dataset.blocks if dataset.blocks is not None and dataset.blocks.table == table else None
    content = {
        "unit": dataset.privacy_unit,
        "max_rows_per_unit": dataset.max_rows_per_unit,
        "columns": {
            name: [str(spec.type), str(spec.retention)] for name, spec in dataset.tables[table].columns.items()
        },
        "blocks": [blocks.time, str(blocks.every)] if blocks else [],
        "links": dataset.links,
    }
    return canonical_json(content).decode()


def written(notes: Notes) -> str:
    """Notes as JSON."""
    return json.dumps(asdict(notes))


def read(text: str) -> Notes:
    """Notes that were `written`."""
    raw: dict[str, Any] = json.loads(text)
    pins = tuple(Pin(**pin) for pin in raw.pop("pins"))
    return Notes(**{**raw, "pins": pins, "filters": Filters(**raw["filters"])})


def write_notes(connection: duckdb.DuckDBPyConnection, schema: str, found: Mapping[str, Notes]) -> None:
    """Creates `NOTES` in `schema`, an SQL name.

    Raises:
      duckdb.Error: it cannot be written.
    """
    connection.execute(f"CREATE TABLE {schema}.{NOTES} (name VARCHAR PRIMARY KEY, content VARCHAR NOT NULL)")
    for name, notes in found.items():
        connection.execute(f"INSERT INTO {schema}.{NOTES} VALUES (?, ?)", [name, written(notes)])


def notes_in(connection: duckdb.DuckDBPyConnection, schema: str) -> Mapping[str, Notes]:
    """What is noted in a data version that is open as `schema`, by table."""
    try:
        rows = connection.execute(f"SELECT name, content FROM {schema}.{NOTES}").fetchall()
    except duckdb.CatalogException:
        return {}
    return {name: read(content) for name, content in rows}


def notes_of(file: Path) -> Mapping[str, Notes]:
    """What is noted in a data version's file, by table; nothing if it cannot be read."""
    with suppress(FileError), opened(file) as connection:
        return notes_in(connection, HELD)
    return {}


def ids_in_place(dataset: DatasetFile, file: Path, is_person: LeftOut) -> Mapping[str, frozenset[str]]:
    """The ids of a person that are counted in each table in place, as its files spell them.

    Raises:
      FileError: the file cannot be read as a data version.
    """
    with opened(file) as connection:
        return {name: frozenset(_theirs(connection, name, is_person)) for name in dataset.tables_in_place}


def _theirs(connection: duckdb.DuckDBPyConnection, table: str, is_person: LeftOut) -> Iterator[str]:
    sql = f"SELECT CAST(id AS VARCHAR), CAST(unit AS VARCHAR) FROM {HELD}.{quoted(people_of(table))}"
    for each, unit in connection.execute(sql).fetchall():
        if is_person(each) or is_person(unit):
            yield each
