"""Delta Lake: which files a table has at its present version, by its log. The only place that knows `deltalake`.

Rows are read of these files as they are, so the log must not say that a file has other rows, names, types or values
than are in it: deletion vectors, mapped columns, widened types, and whatever feature is not known here, are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dpstats.engine.field_types import DELTA, kinds_of
from dpstats.engine.folders import Folder
from dpstats.engine.logged import NO_ID, Field, Snapshot, in_folder, read_log
from dpstats.errors import FileError

if TYPE_CHECKING:
    from deltalake import DeltaTable

LOG = "_delta_log"
_FEATURES = frozenset({"deletionVectors", "timestampNtz"})
"""What a table may ask of its readers: deletion vectors, of which the present files must have none, and times without a
zone, which a file's own schema says."""
_IN_NAMES = frozenset({"string", "byte", "short", "integer", "long", "date"})
"""Types whose values the names of folders spell in one way."""
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|/")


def is_delta(path: Path) -> bool:
    """Whether a folder is a table of Delta."""
    return (path / LOG).is_dir()


def delta_snapshot(path: Path) -> Snapshot:
    """The table's files at its present version.

    Raises:
      FileError: `deltalake` is not installed, the log cannot be read, or the files alone are not the table.
    """
    try:
        from deltalake import DeltaTable
    except ImportError:
        what = "is a table of Delta Lake, which the extra reads: install dpstats[lake]"
        raise FileError(str(path), what) from None
    root = path.resolve()
    if "%" in str(root):  # `deltalake` decodes it, and looks into another folder
        raise FileError(str(path), "has a % in its path, which is not read of a table of Delta Lake: rename the folder")
    return read_log(path, "Delta Lake", lambda: _snapshot(path, root, DeltaTable(root.as_uri())))


def _snapshot(path: Path, root: Path, table: DeltaTable) -> Snapshot:
    _check_features(path, table)
    kinds: Mapping[str, Any] = {each["name"]: each["type"] for each in json.loads(table.schema().to_json())["fields"]}
    partitions = tuple(table.metadata().partition_columns)
    if any(kinds[name] not in _IN_NAMES for name in partitions):
        what = "is partitioned by something else than text, whole numbers and days: partition it otherwise"
        raise FileError(str(path), what)
    found = sorted(_files(path, root, table, partitions))
    folder = Folder(
        root,
        tuple(file for file, _ in found),
        partitions,
        tuple(values for _, values in found),
        f"Delta Lake, version {table.version()}",
    )
    inside = {name: kind for name, kind in kinds.items() if name not in partitions}
    return Snapshot(folder, {name: Field(NO_ID, kinds_of(str(kind), DELTA)) for name, kind in inside.items()})


def _check_features(path: Path, table: DeltaTable) -> None:
    protocol, settings = table.protocol(), table.metadata().configuration
    unknown = sorted(set(protocol.reader_features or ()) - _FEATURES)
    if settings.get("delta.columnMapping.mode", "none") != "none":
        unknown = sorted({*unknown, "columnMapping"})
    if unknown or protocol.min_reader_version > 3:
        named = ", ".join(unknown) or f"reader version {protocol.min_reader_version}"
        what = f"has what is not read in place ({named}): copy its rows to a table without it, or export them"
        raise FileError(str(path), what)
    if any(batch.num_rows for batch in table.deletion_vectors()):
        what = (
            "has rows that were deleted and are in its files still (deletion vectors): rewrite these files "
            "(`REORG TABLE .. APPLY (PURGE)`), then load it"
        )
        raise FileError(str(path), what)


def _files(
    path: Path, root: Path, table: DeltaTable, partitions: tuple[str, ...]
) -> Iterator[tuple[Path, tuple[str | None, ...]]]:
    import pyarrow

    columns = ["path", "size_bytes", *(f"partition.{name}" for name in partitions)]
    for row in pyarrow.table(table.get_add_actions(flatten=True)).select(columns).to_pylist():
        location, size, *values = (row[column] for column in columns)
        if _ELSEWHERE.match(location):
            what = "has files outside of its folder, as a clone has: make a whole copy of the table (a deep clone)"
            raise FileError(str(path), what)
        yield in_folder(path, root, unquote(location), size), tuple(map(_text, values))


def _text(value: str | int | date | None) -> str | None:
    return None if value is None else str(value)
