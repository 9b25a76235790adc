"""Source files as DuckDB reads them: Parquet, a file or a folder of files, by its own schema; CSV by one fixed dialect.

The dialect is never guessed: a guess looks at rows, so one person's row could change how everyone's are read. CSV
is RFC 4180 in UTF-8 (a byte order mark is skipped): commas, double quotes, names in the first line; an empty cell is
NULL. No error text holds a cell.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duckdb

from dpstats.engine.folders import PARQUET, Folder, folder_at, one_file, refuse_part_of_another
from dpstats.engine.names import literal
from dpstats.errors import FileError

_CSV = (".csv", ".csv.gz")
_LINE = re.compile(r"CSV Error on Line: ([0-9]+)")
_NOT_BY_CELLS = ("statistics_propagation", "filter_pushdown", "type_pushdown")
"""DuckDB's optimizers that go by something else than cells, or cast them elsewhere."""
_NAMES_SHOWN = 30
_SCHEMA = "SELECT name, num_children, duckdb_type, precision, scale FROM parquet_schema($dp_file)"
ROWS = "SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata($dp_file)"
_READ_PARQUET = "read_parquet($dp_file, hive_partitioning = false)"


def reading(files: str = "$dp_file") -> str:
    """SQL that reads Parquet files, and of each row in which it is; `files`: SQL for their paths."""
    return f"read_parquet({files}, hive_partitioning = false, filename = 'dp_path')"


@dataclass(frozen=True)
class SourceColumn:
    """A column of a file: its name there, its DuckDB type, and its name in `Source.sql`."""

    name: str
    type: str
    alias: str


@dataclass(frozen=True)
class Source:
    """What can be read. `sql` is a FROM item that binds `$dp_file` to `pattern`; its columns have their aliases.

    `unfit`: why a column must not be read, by its name.
    """

    path: Path
    columns: tuple[SourceColumn, ...]
    sql: str
    pattern: str | list[str]
    folder: Folder
    unfit: Mapping[str, str] = field(default_factory=dict)

    def find(self, names: Collection[str]) -> dict[str, SourceColumn]:
        """The columns of those names: spelled exactly so, or else the only one that differs in case or blanks.

        Raises:
          FileError: there is none of a name, or more than one, or it must not be read.
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
            if columns[0].name in self.unfit:
                raise FileError(str(self.path), self.unfit[columns[0].name], key=f"column {name}")
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
    """The Parquet or CSV file at `path`, by its suffix; or the folder of Parquet files, with its partitions' columns.

    Raises:
      FileError: there is no such file, it cannot be read, it is not what its suffix says, or it is a part of a table.
    """
    if path.is_dir():
        return _folder(connection, path)
    _check_readable(path)
    if path.name.lower().endswith(PARQUET):
        refuse_part_of_another(path)
        return _parquet(connection, path)
    if path.name.lower().endswith(_CSV):
        return _csv(path)
    raise FileError(str(path), f"is neither Parquet nor CSV: its name must end in {', '.join(PARQUET + _CSV)}")


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


@contextmanager
def by_cells(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """While the `with` lasts, DuckDB reads each cell of a file as it is, and casts it as the SQL says.

    By the smallest and the largest value that a Parquet footer claims, it would leave out what it takes to be always
    true: an id would be cast to fewer bits unchecked, and be another person's, and a date that no calendar has would be
    kept. And a TRY_CAST of CSV it would have its reader do, which refuses the whole file for one cell.
    """
    ((before,),) = connection.execute("SELECT current_setting('disabled_optimizers')").fetchall()
    connection.execute(f"SET disabled_optimizers = {literal(','.join(filter(None, [before, *_NOT_BY_CELLS])))}")
    try:
        yield
    finally:
        connection.execute(f"SET disabled_optimizers = {literal(before)}")


def file_error(path: Path, trouble: Trouble) -> FileError:
    """The error to raise for a file that DuckDB could not read."""
    if not path.name.lower().endswith(PARQUET + _CSV) and not trouble.no_room:
        return FileError(str(path), "holds a file that is no readable Parquet, or of other columns than the rest")
    if trouble.no_room:
        return FileError(str(path), "does not fit in the memory and disk at hand: make room, or load it in parts")
    if path.name.lower().endswith(PARQUET):
        return FileError(str(path), "is not a readable Parquet file: it is damaged, or something else")
    what = "is not well-formed CSV: a row unlike the header in length, an open quote, or bytes that are not UTF-8"
    return FileError(str(path), what, line=trouble.line)


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise FileError(str(path), "there is no such file: check the path")
    try:
        with path.open("rb"):
            return
    except OSError as error:
        reason = error.strerror or "the system refuses"
    raise FileError(str(path), f"cannot be opened: {reason}")


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    pattern = pattern_of(path)
    schema = _read_schema(connection, path, pattern)
    described = types_in(connection, path, _READ_PARQUET, pattern)
    names_and_types = zip((line[0] for line in top_level(schema[1:])), described, strict=True)
    columns = tuple(SourceColumn(name, row[1], f"c{i}") for i, (name, row) in enumerate(names_and_types))
    return Source(path, columns, f"{_READ_PARQUET} AS dp_source({aliases(columns)})", pattern, one_file(path))


def _folder(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """All files must have the same columns, of the same types and in the same order: none is converted to another's."""
    folder = folder_at(path)
    patterns = [pattern_of(file) for file in folder.files]
    first = _read_schema(connection, path, patterns[0])
    # The first line only says who wrote the file.
    if any(_read_schema(connection, path, pattern)[1:] != first[1:] for pattern in patterns[1:]):
        raise FileError(
            str(path), "holds files of different columns or types: write the table again, or load it in parts"
        )
    inside = [line[0] for line in top_level(first[1:])]
    twice = sorted({name.casefold() for name in inside} & {name.casefold() for name in folder.partitions})
    if twice:
        raise FileError(str(path), f"has {', '.join(twice)} both in its files and in the names of its folders")
    described = types_in(connection, path, _READ_PARQUET, patterns[0])
    kinds = [*(row[1] for row in described), *("VARCHAR" for _ in folder.partitions)]
    columns = tuple(
        SourceColumn(name, kind, f"c{i}")
        for i, (name, kind) in enumerate(zip([*inside, *folder.partitions], kinds, strict=True))
    )
    rows = f"{reading()} AS dp_f({', '.join((*(each.alias for each in columns[: len(inside)]), 'dp_path'))})"
    source = Source(path, columns, with_partitions(folder, columns, rows), patterns, folder)
    check_whole(connection, source)
    return source


def check_whole(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Refuses a folder of which a file was not found again by its name: its rows would be missing in silence."""
    counts: list[int] = []
    for sql in (f"SELECT count(*) FROM {source.sql}", ROWS):

        def count(sql: str = sql) -> None:
            counts.extend(int(row[0]) for row in connection.execute(sql, {"dp_file": source.pattern}).fetchall())

        trouble = trouble_in(count)
        if trouble:
            raise file_error(source.path, trouble)
    if counts[0] != counts[1]:
        raise FileError(str(source.path), "holds a file whose name cannot be read: name its files plainly")


def with_partitions(folder: Folder, columns: Sequence[SourceColumn], rows: str) -> str:
    """A FROM item of a folder's rows, each with the values of the partition that its file lies in.

    DuckDB's own reading of partitions takes names from the whole path, sorts them, and gives up at a `[`.

    Args:
      rows: a FROM item with the columns that are no partitions, and the file's name as `dp_path`.
    """
    files = ", ".join(
        f"({', '.join([literal(file), *('NULL' if v is None else literal(v) for v in values)])})"
        for file, values in zip(folder.files, folder.values, strict=True)
    )
    named = [column.alias for column in columns[len(columns) - len(folder.partitions) :]]
    joined = f"{rows} JOIN (VALUES {files}) AS dp_p({', '.join(['dp_path', *named])}) USING (dp_path)"
    return f"(SELECT {aliases(columns)} FROM {joined}) AS dp_source"


def types_in(connection: duckdb.DuckDBPyConnection, path: Path, reading: str, pattern: str) -> list[tuple[Any, ...]]:
    """The columns as DuckDB reads them: name, type, and more."""
    found: list[tuple[Any, ...]] = []
    look = f"DESCRIBE FROM {reading}"
    trouble = trouble_in(lambda: found.extend(connection.execute(look, {"dp_file": pattern}).fetchall()))
    if trouble:
        raise file_error(path, trouble)
    return found


def _read_schema(connection: duckdb.DuckDBPyConnection, path: Path, pattern: str) -> list[tuple[Any, ...]]:
    """The schema in a file's footer."""
    found: list[tuple[Any, ...]] = []
    trouble = trouble_in(lambda: found.extend(connection.execute(_SCHEMA, {"dp_file": pattern}).fetchall()))
    if trouble:
        raise file_error(path, trouble)
    return found


def top_level(schema: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The lines of a Parquet schema that are columns, without its first line and what is inside of columns.

    They have names as the file spells them: DuckDB renames those that differ in case.
    """
    columns, inner = [], 0
    for line in schema:
        if inner:
            inner -= 1
        else:
            columns.append(line)
        inner += line[1] or 0
    return columns


def _csv(path: Path) -> Source:
    names = _header(path)
    columns = tuple(SourceColumn(name, "VARCHAR", f"c{i}") for i, name in enumerate(names))
    types = ", ".join(f"'{column.alias}': 'VARCHAR'" for column in columns)
    compression = "gzip" if path.name.lower().endswith(".gz") else "none"
    sql = (
        f"read_csv($dp_file, auto_detect = false, header = true, columns = {{{types}}}, delim = ',', quote = '\"', "
        f"escape = '\"', nullstr = '', strict_mode = true, compression = {literal(compression)}) AS dp_source"
    )
    return Source(path, columns, sql, pattern_of(path), one_file(path))


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


def aliases(columns: Sequence[SourceColumn]) -> str:
    """The columns' names in `Source.sql`."""
    return ", ".join(column.alias for column in columns)


def pattern_of(path: Path) -> str:
    """The path as DuckDB takes it, which reads `*`, `?` and `[` as patterns: each stands in brackets, for itself."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.absolute()))
