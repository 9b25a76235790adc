"""A folder of Parquet files, as Spark, DuckDB and Hive write a table: which files it holds, and its partitions.

A partition is a folder named `column=value`, and its column is text. What a folder holds must be a table and all of it:
anything else in it is refused, since a part that is skipped in silence is a wrong answer. Tables of Delta, Iceberg,
Hudi and Spark's streams, and parts of them, are no such folders: they still hold files whose rows were deleted or never
counted, so a log must say which files count (`engine/logged.py`), or they are refused. No error text holds the name of
anything below the folder, for a partition may be named after a person.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from dpstats.errors import FileError

PARQUET = (".parquet", ".pq")
_HIDDEN = (".", "_")
"""What such names start with is no data, by the convention of all who write such folders: `_SUCCESS`, `.part.crc`. A
name with a `=` is a partition whatever it starts with."""
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_LOGS = {
    "_delta_log": "Delta",
    ".hoodie": "Hudi",
    "metadata/*.metadata.json*": "Iceberg",
    "metadata/version-hint.text": "Iceberg",
    "_spark_metadata": "a stream of Spark",
}
"""What tells which files of a folder count. A link that leads nowhere tells it too."""


@dataclass(frozen=True)
class Folder:
    """A table's files, in the order of their names; the columns in the names of folders, and their values by file.

    `root`: the table's folder, below which those names begin. `version`: which of the table's versions, as its log
    counts them; empty without a log. `told`: columns that are in the files, and of which the names of folders tell too.
    """

    root: Path
    files: tuple[Path, ...]
    partitions: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]
    version: str = ""
    told: frozenset[str] = frozenset()


def one_file(path: Path) -> Folder:
    """A table that is one file."""
    return Folder(path.resolve().parent, (path.resolve(),), (), ((),))


def folder_at(path: Path) -> Folder:
    """The files of the table in the folder `path`.

    Raises:
      FileError: it cannot be listed, holds no Parquet file or something else too, is partitioned in more than one way,
        or keeps deleted rows.
    """
    files = tuple(sorted(_files(path)))
    whole = path.resolve()  # so that DuckDB says a file's name as it was given
    if not files:
        raise FileError(str(path), f"is a folder without a file that ends in {' or '.join(PARQUET)}")
    parts = [tuple(_partitions(path, file)) for file in files]
    found = {tuple(name for name, _ in each) for each in parts}
    if len(found) > 1:
        raise FileError(str(path), "is a folder of several tables: its files lie under different partitions")
    (partitions,) = found
    if len({name.casefold() for name in partitions}) < len(partitions):
        raise FileError(str(path), "is partitioned by one column twice")
    named = tuple(whole / file.relative_to(path) for file in files)
    return Folder(whole, named, partitions, tuple(tuple(value for _, value in each) for each in parts))


def _files(path: Path) -> Iterator[Path]:
    refuse_part_of_another(path)
    for below, folders, names in os.walk(path, onerror=unlisted(path)):
        here = Path(below)
        _refuse_with_a_log(path, here)
        folders[:] = [name for name in folders if not is_hidden(name)]
        data = [name for name in names if not is_hidden(name)]
        if any((here / name).is_symlink() for name in (*folders, *data)):
            raise FileError(str(path), "is a folder with a link in it: give the folder of the files themselves")
        if any(map(is_passed_over, (*folders, *data))):
            what = "is a folder with a name in it that Spark passes over: a dot before a partition, or a file in copy"
            raise FileError(str(path), what)
        if not all(name.lower().endswith(PARQUET) for name in data):
            what = f"is a folder that holds other files too: all must end in {' or '.join(PARQUET)}"
            raise FileError(str(path), what)
        yield from (here / name for name in data)


def refuse_part_of_another(path: Path) -> None:
    """Refuses a file or folder that lies in the folder of a table with a log, which may count it or not."""
    for above in path.resolve().parents:
        _refuse_with_a_log(path, above)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is no data."""
    return name.startswith(_HIDDEN) and "=" not in name


def is_passed_over(name: str) -> bool:
    """Whether Spark reads no file or folder of that name, without a word; it excuses a `_` alone for a `=`.

    Source: Spark 4, `HadoopFSUtils.shouldFilterOutPathName`.
    """
    return is_hidden(name) or name.startswith(".") or name.endswith("._COPYING_")


def _refuse_with_a_log(path: Path, folder: Path) -> None:
    for log, kind in _LOGS.items():
        if any(folder.glob(log)) or os.path.lexists(folder / log):
            what = (
                f"is all or part of a table of {kind}, whose files hold rows that do not count: export its rows first"
            )
            raise FileError(str(path), what)


def unlisted(path: Path) -> Callable[[OSError], None]:
    """Refuses a folder that the system does not let be listed to its end."""

    def refuse(error: OSError) -> None:
        raise FileError(str(path), f"cannot be listed: {error.strerror or 'the system refuses'}") from None

    return refuse


def _partitions(path: Path, file: Path) -> Iterator[tuple[str, str | None]]:
    for part in file.relative_to(path).parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            yield _decoded(path, name), None if value == NO_VALUE else _decoded(path, value)


def _decoded(path: Path, text: str) -> str:
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        found = "\0"
    if "\0" in found:
        raise FileError(str(path), "has a partition whose name is not UTF-8 text")
    return found
