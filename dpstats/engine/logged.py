"""Tables whose files a log names: Delta Lake and Iceberg, each at the version that is present when it is opened.

Their folders hold files of earlier versions too, with rows that were deleted since, so only a log says which files are
the table. What the version has is then read as of any folder of Parquet files, with one difference: a column that was
added to the table is missing in older files, and NULL there, as the table's own readers say. Whatever else a file has
otherwise than the table's schema, in a column that is asked for, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from dpstats.engine.cells import is_readable
from dpstats.engine.folders import Folder, is_passed_over, refuse_part_of_another
from dpstats.engine.source import (
    Source,
    SourceColumn,
    check_whole,
    file_error,
    pattern_of,
    reading,
    top_level,
    trouble_in,
    types_in,
    with_partitions,
)
from dpstats.errors import FileError

T = TypeVar("T")
NO_ID = -1
"""The id of a field in tables that have none: names tell their fields apart."""
_SCHEMA = (
    f"SELECT name, num_children, coalesce(field_id, {NO_ID}), duckdb_type, precision, scale "
    "FROM parquet_schema($dp_file)"
)
_PANIC = "PanicException"
"""What a library in Rust raises at a damaged file: it has no module to be taken from, and is no `Exception`."""
_PLAIN = re.compile(r"[^\W\d]\w*")
_AGAIN = "write the table's files again by its schema, then load it"


@dataclass(frozen=True)
class Field:
    """A column of a table, by its schema: its id in the files, and what types a file may have it in (`field_types`)."""

    number: int
    kinds: frozenset[str]


@dataclass(frozen=True)
class Snapshot:
    """One version of a table. `fields`: the columns that are in its files, by their names.

    `folder.told`: of these the log has values too, so they are no NULLs where a file lacks them.
    """

    folder: Folder
    fields: Mapping[str, Field]

    @property
    def has_ids(self) -> bool:
        """Whether ids tell the fields apart, and not their names alone."""
        return any(field.number != NO_ID for field in self.fields.values())


@dataclass(frozen=True)
class _Shape:
    """Files of one schema: its top-level columns with their ids and DuckDB types, in order."""

    files: tuple[Path, ...]
    columns: tuple[tuple[str, int, str], ...]

    def place_of(self, name: str, number: int) -> int | None:
        """Where a field of the table is in the files; None: it was added later, or is another's by now."""
        found = [place for place, column in enumerate(self.columns) if column[:2] == (name, number)]
        return found[0] if found and not self.has_another(name, number) else None

    def has_another(self, name: str, number: int) -> bool:
        """Whether something in the files goes by a field's name or its id, and not by both."""
        return any(
            (each.casefold() == name.casefold() or (its == number and number != NO_ID))
            and (each, its) != (name, number)
            for each, its, _ in self.columns
        )


def in_folder(path: Path, root: Path, location: str, size: int | None = None) -> Path:
    """A file of a table, by its location; it must be a plain one in the table's folder.

    Args:
      size: its bytes, as the log has them, where it has.

    Raises:
      FileError: it is a link, lies elsewhere, is not there or of another size, or has a name that Spark passes over.
    """
    file = root / location
    try:
        is_plain = file.resolve(strict=True) == file and file.is_relative_to(root) and file.is_file()
        has_size = size is None or file.stat().st_size == size
    except OSError:
        what = "has a log that names a file that is not there: the folder is a part of the table, or was cleaned up"
        raise FileError(str(path), what) from None
    if not is_plain:
        what = "has a file outside of its folder, as a clone has, a link, or no file at all: make a whole copy of it"
        raise FileError(str(path), what)
    if any(is_passed_over(part) for part in file.relative_to(root).parts):
        what = (
            "has a file in a folder or of a name that starts with _ or a dot, or is in copy, which Spark passes over: "
            "copy the table"
        )
        raise FileError(str(path), what)
    if not has_size:
        what = "has a file of another size than its log says: it was changed since its commit, or is not wholly there"
        raise FileError(str(path), f"{what}; put the table's own file back")
    return file


def read_log(path: Path, kind: str, read: Callable[[], T]) -> T:
    """What a library says of a table's log. Its error, which may hold values, ends here."""
    try:
        return read()
    except FileError:
        raise
    except MemoryError:
        what = "has a log that does not fit in the memory at hand: make room, or let the table's owner compact it"
    except ImportError:
        what = f"is a table of {kind}, and a part of the extra that reads it is missing: install dpstats[lake]"
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        what = f"has a log that cannot be read as one of {kind}: it is damaged, or of a later kind"
    raise FileError(str(path), what)


def open_snapshot(connection: duckdb.DuckDBPyConnection, path: Path, snapshot: Snapshot) -> Source:
    """The table at `path` at that version.

    Raises:
      FileError: it has no rows, or files that cannot be read. Of a column that must not be read, the source tells.
    """
    refuse_part_of_another(snapshot.folder.root)
    if not snapshot.folder.files:
        raise FileError(str(path), "is a table without rows: load it when it has some")
    if len(set(snapshot.folder.files)) < len(snapshot.folder.files):
        raise FileError(str(path), "has a log that names a file twice: repair the table")
    shapes = tuple(_shapes(connection, path, snapshot))
    if snapshot.has_ids and any(number == NO_ID for shape in shapes for _, number, _ in shape.columns):
        what = "has files whose columns have no ids, which others wrote: write the table's files again, then load it"
        raise FileError(str(path), what)
    fields, unfit = _fields(snapshot, shapes)
    partitions = [SourceColumn(name, "VARCHAR", "") for name in snapshot.folder.partitions]
    columns = tuple(replace(each, alias=f"c{place}") for place, each in enumerate([*fields, *partitions]))
    inside = columns[: len(fields)]
    sql = with_partitions(snapshot.folder, columns, f"({' UNION ALL '.join(_rows(shapes, inside, snapshot))}) AS dp_f")
    patterns = [pattern_of(file) for shape in shapes for file in shape.files]
    source = Source(path, columns, sql, patterns, snapshot.folder, unfit)
    check_whole(connection, source)
    return source


def _fields(snapshot: Snapshot, shapes: tuple[_Shape, ...]) -> tuple[list[SourceColumn], Mapping[str, str]]:
    """The fields that the files have, and why some must not be read."""
    columns, unfit = list[SourceColumn](), dict[str, str]()
    for name, field in snapshot.fields.items():
        number = field.number
        kinds = sorted({kind for shape in shapes for kind in _kinds(shape, name, number)})
        if any(shape.has_another(name, number) for shape in shapes):
            unfit[name] = _renamed(name, snapshot)
        elif len(kinds) > 1:
            unfit[name] = f"has several types in the table's files: {_AGAIN}"
        elif any(is_readable(kind) and kind not in field.kinds for kind in kinds):
            unfit[name] = f"has another type in the table's files than in its log: {_AGAIN}"
        elif name in snapshot.folder.told and any(shape.place_of(name, number) is None for shape in shapes):
            unfit[name] = f"is in the table's log alone for some of its files: {_AGAIN}"
        if kinds or name in unfit:
            columns.append(SourceColumn(name, (kinds or ["INTEGER"])[0], ""))
    return columns, unfit


def _renamed(name: str, snapshot: Snapshot) -> str:
    if snapshot.has_ids and not _PLAIN.fullmatch(name):
        return f"has a name that writers spell otherwise in files: rename it (letters, digits and _), then {_AGAIN}"
    return f"was renamed, or dropped and added again, since a file was written: {_AGAIN}"


def _kinds(shape: _Shape, name: str, number: int) -> list[str]:
    place = shape.place_of(name, number)
    return [] if place is None else [shape.columns[place][2]]


def _rows(shapes: Sequence[_Shape], columns: Sequence[SourceColumn], snapshot: Snapshot) -> Iterator[str]:
    """SQL for the rows of the files of each shape, and of which file each is; `$dp_file` has the shapes' in order."""
    start = 1
    for shape in shapes:
        end = start + len(shape.files)
        given = ", ".join([*(f"f{at}" for at in range(len(shape.columns))), "dp_path"])
        cells = "".join(f"{_cell(shape, snapshot, column)} AS {column.alias}, " for column in columns)
        theirs = reading(f"$dp_file[{start}:{end - 1}]")
        yield f"SELECT {cells}dp_path FROM {theirs} AS dp_f({given})"
        start = end


def _cell(shape: _Shape, snapshot: Snapshot, column: SourceColumn) -> str:
    place = shape.place_of(column.name, snapshot.fields[column.name].number)
    # Of several types, none is read.
    is_so = place is not None and shape.columns[place][2] == column.type
    return f"f{place}" if is_so else f"CAST(NULL AS {column.type})"


def _shapes(connection: duckdb.DuckDBPyConnection, path: Path, snapshot: Snapshot) -> Iterator[_Shape]:
    """The files by their schemas."""
    alike: dict[tuple[Any, ...], list[Path]] = {}
    for file in snapshot.folder.files:
        # The first line only says who wrote the file.
        alike.setdefault(tuple(_schema(connection, path, file)[1:]), []).append(file)
    for schema, files in alike.items():
        types = types_in(connection, path, reading(), pattern_of(files[0]))[:-1]
        named = zip(top_level(schema), types, strict=True)
        ids = snapshot.has_ids
        yield _Shape(tuple(files), tuple((line[0], line[2] if ids else NO_ID, kind[1]) for line, kind in named))


def _schema(connection: duckdb.DuckDBPyConnection, path: Path, file: Path) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    look = {"dp_file": pattern_of(file)}
    trouble = trouble_in(lambda: found.extend(connection.execute(_SCHEMA, look).fetchall()))
    if trouble:
        raise file_error(path, trouble)
    return found
