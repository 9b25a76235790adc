"""Where a table in place is: the files that a load is given, as they are now, and what their names tell.

What Spark would read otherwise than they are is refused here, before it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISLNK
from urllib.parse import unquote, unquote_plus

from dpstats.engine.folders import PARQUET
from dpstats.engine.source import Source, SourceColumn
from dpstats.engine.spark.partitions import are_plain
from dpstats.errors import FileError

_PATTERNS = frozenset("*?[]{}\\")


@dataclass(frozen=True)
class Pin:
    """A file as it was noted: its size in bytes, when it was written and its inode changed, in nanoseconds, and which.

    A copy with the same size and time, or one that was moved away and back, has another inode or changed later: nobody
    sets that time.
    """

    path: str
    size: int
    written_ns: int
    changed_ns: int
    inode: int


@dataclass(frozen=True)
class Place:
    """A table's folder, as a load is given it: its files, and the column of them for each declared one.

    `named`: the columns of which the names of folders tell.
    """

    table: str
    source: Source
    found: Mapping[str, SourceColumn]
    folder: str
    partitions: tuple[str, ...]
    pins: tuple[Pin, ...]
    version: str
    named: frozenset[str]


def place_of(table: str, source: Source, found: Mapping[str, SourceColumn]) -> Place:
    """A table's folder, or its one file, with its files as they are now.

    Raises:
      FileError: it is not Parquet, or Spark would take a name in it for a pattern, or two columns for one; or its files
        come and go.
    """
    path, folder = source.path, source.folder
    _check_case(source, found)
    if not path.is_dir() and not folder.version and not path.name.lower().endswith(PARQUET):
        raise FileError(str(path), "cannot be read in place: only Parquet can, so load it as a copy")
    if any(set(str(file)) & _PATTERNS for file in (*folder.files, folder.root)):
        what = "holds a name with one of * ? [ ] { } \\ in it, which Spark takes for a pattern: name its files plainly"
        raise FileError(str(path), what)
    if not are_plain(folder):
        what = "has partitions whose values Spark would read otherwise in the names of their folders"
        raise FileError(str(path), f"{what}: use other values, or load it as a copy")
    try:
        pins = tuple(pin_of(file) for file in folder.files)
        named = frozenset(folder.partitions) | folder.told
        return Place(table, source, found, str(folder.root), folder.partitions, pins, folder.version, named)
    except OSError:
        what = "has files that come and go while it is loaded: load it when nobody writes to it"
    raise FileError(str(path), what)


def _check_case(source: Source, found: Mapping[str, SourceColumn]) -> None:
    """Refuses a column that Spark, which does not look at case, cannot tell from another of the files."""
    for column in found.values():
        alike = [each.name for each in source.columns if each.name.casefold() == column.name.casefold()]
        if len(alike) > 1:
            what = (
                f"has columns {' and '.join(sorted(alike))}, which Spark cannot tell apart: rename one, or load a copy"
            )
            raise FileError(str(source.path), what)


def names_of(place: Place) -> frozenset[str]:
    """What the names of a folder's files and partitions say, in lower case: with and without what they end in.

    Iceberg writes a blank as `+`.
    """
    found = set[str]()
    for pin in place.pins:
        path = Path(pin.path).relative_to(place.folder)
        for part in (*path.parts, path.stem):
            value = part.partition("=")[2]
            found |= {part, unquote(part), unquote(value), unquote_plus(part), unquote_plus(value)}
    return frozenset(each.casefold() for each in found)


def pin_of(path: Path) -> Pin:
    """A file as it is now.

    Raises:
      OSError: it cannot be looked at, or is a link, behind which another file may come at any time.
    """
    stat = path.lstat()
    if S_ISLNK(stat.st_mode):
        raise OSError("is a link")
    return Pin(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def is_so(pin: Pin) -> bool:
    """Whether the file is there still, as it was."""
    try:
        return pin_of(Path(pin.path)) == pin
    except OSError:
        return False
