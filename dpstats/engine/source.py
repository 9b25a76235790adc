"""Source files as DuckDB reads them: Parquet by its own schema, CSV by one fixed dialect.

The dialect is never guessed: a guess looks at rows, so one person's row could change how everyone's are read. CSV
is RFC 4180 in UTF-8 (a byte order mark is skipped): commas, double quotes, names in the first line; an empty cell is
NULL. No error text holds a cell.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb

from dpstats.engine.names import literal
from dpstats.errors import FileError

_CSV = (".csv", ".csv.gz")
_PARQUET = (".parquet", ".pq")
_LINE = re.compile(r"CSV Error on Line: ([0-9]+)")
_NAMES_SHOWN = 30
_SCHEMA = "SELECT name, num_children FROM parquet_schema($dp_file)"
_READ_PARQUET = "read_parquet($dp_file, hive_partitioning = false)"


@dataclass(frozen=True)
class SourceColumn:
    """A column of a file: its name there, its DuckDB type, and its name in `Source.sql`."""

    name: str
    type: str
    alias: str


@dataclass(frozen=True)
class Source:
    """A readable file. `sql` is a FROM item that binds `$dp_file` to `pattern`; its columns have their aliases."""

    path: Path
    columns: tuple[SourceColumn, ...]
    sql: str
    pattern: str

    def find(self, names: Collection[str]) -> dict[str, SourceColumn]:
        """The columns of those names: spelled exactly so, or else the only one that differs in case or blanks.

        Raises:
          FileError: there is none of a name, or more than one.
        """
        found = {name: self._alike(name) for name in names}
        if not any(found.values()):
            # No names are shown: without a header, the first line is somebody's row.
            raise FileError(str(self.path), f"has no column {', '.join(names)}: its header is missing or another's")
        for name, columns in found.items():
            if not columns:
                raise FileError(str(self.path), f"no column {name}; it has: {self._names()}")
            if len(columns) > 1:
                raise FileError(str(self.path), f"has more than one column {name}: rename or remove all but one")
        return {name: columns[0] for name, columns in found.items()}

    def _alike(self, name: str) -> list[SourceColumn]:
        exact = [column for column in self.columns if column.name == name]
        return exact or [column for column in self.columns if column.name.strip().casefold() == name.casefold()]

    def _names(self) -> str:
        names = [column.name for column in self.columns]
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        return ", ".join(names[:_NAMES_SHOWN]) + more


@dataclass(frozen=True)
class Trouble:
    """Why DuckDB could not read a file, without its words, which may hold cells. `line` is 0 if unknown."""

    no_room: bool
    line: int


def open_source(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """The Parquet or CSV file at `path`, by its suffix.

    Raises:
      FileError: there is no such file, it cannot be read, or it is not what its suffix says.
    """
    _check_readable(path)
    if path.name.lower().endswith(_PARQUET):
        return _parquet(connection, path)
    if path.name.lower().endswith(_CSV):
        return _csv(path)
    raise FileError(str(path), f"is neither Parquet nor CSV: its name must end in {', '.join(_PARQUET + _CSV)}")


def trouble_in(action: Callable[[], object]) -> Trouble | None:
    """Does it, and says why it failed, or None. The error itself, which may print cells, ends here."""
    try:
        action()
    except (duckdb.Error, MemoryError) as error:
        text = str(error)
        line = _LINE.search(text)
        no_room = isinstance(error, MemoryError | duckdb.OutOfMemoryException) or "No space left" in text
        return Trouble(no_room, int(line[1]) if line else 0)
    return None


def file_error(path: Path, trouble: Trouble) -> FileError:
    """The error to raise for a file that DuckDB could not read."""
    if trouble.no_room:
        return FileError(str(path), "does not fit in the memory and disk at hand: make room, or load it in parts")
    if path.name.lower().endswith(_PARQUET):
        return FileError(str(path), "is not a readable Parquet file: it is damaged, or something else")
    what = "is not well-formed CSV: a row unlike the header in length, an open quote, or bytes that are not UTF-8"
    return FileError(str(path), what, line=trouble.line)


def _check_readable(path: Path) -> None:
    if path.is_dir():
        raise FileError(str(path), "is a folder: give one Parquet or CSV file")
    if not path.exists():
        raise FileError(str(path), "there is no such file")
    try:
        with path.open("rb"):
            return
    except OSError as error:
        reason = error.strerror or "the system refuses"
    raise FileError(str(path), f"cannot be opened: {reason}")


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    pattern = _pattern(path)
    schema: list[tuple[str, int | None]] = []
    described: list[tuple[str, str]] = []

    def look() -> None:
        schema.extend(connection.execute(_SCHEMA, {"dp_file": pattern}).fetchall())
        described.extend(connection.execute(f"DESCRIBE FROM {_READ_PARQUET}", {"dp_file": pattern}).fetchall())

    trouble = trouble_in(look)
    if trouble:
        raise file_error(path, trouble)
    names_and_types = zip(_top_level(schema), described, strict=True)
    columns = tuple(SourceColumn(name, row[1], f"c{i}") for i, (name, row) in enumerate(names_and_types))
    return Source(path, columns, f"{_READ_PARQUET} AS dp_source({_aliases(columns)})", pattern)


def _top_level(schema: list[tuple[str, int | None]]) -> list[str]:
    """The names of a Parquet schema's columns as the file spells them: DuckDB renames those that differ in case."""
    names, inner = [], 0
    for name, children in schema[1:]:
        if inner:
            inner -= 1
        else:
            names.append(name)
        inner += children or 0
    return names


def _csv(path: Path) -> Source:
    names = _header(path)
    columns = tuple(SourceColumn(name, "VARCHAR", f"c{i}") for i, name in enumerate(names))
    types = ", ".join(f"'{column.alias}': 'VARCHAR'" for column in columns)
    compression = "gzip" if path.name.lower().endswith(".gz") else "none"
    sql = (
        f"read_csv($dp_file, auto_detect = false, header = true, columns = {{{types}}}, delim = ',', quote = '\"', "
        f"escape = '\"', nullstr = '', strict_mode = true, compression = {literal(compression)}) AS dp_source"
    )
    return Source(path, columns, sql, _pattern(path))


def _header(path: Path) -> list[str]:
    try:
        with _text(path) as lines:
            return next(csv.reader(lines, strict=True))
    except StopIteration:
        what = "is empty: its first line must name its columns"
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error):
        what = "is not CSV in UTF-8" + (", packed with gzip" if path.name.lower().endswith(".gz") else "")
    raise FileError(str(path), what)


def _text(path: Path) -> AbstractContextManager[IO[str]]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _aliases(columns: tuple[SourceColumn, ...]) -> str:
    return ", ".join(column.alias for column in columns)


def _pattern(path: Path) -> str:
    """The path as DuckDB takes it, which reads `*`, `?` and `[` as patterns: each stands in brackets, for itself."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.absolute()))
