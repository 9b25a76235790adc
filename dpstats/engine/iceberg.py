"""Iceberg: which files a table has at its present snapshot, by its metadata. The only place that knows `pyiceberg`.

Rows are read of the data files as they are, by names, so no delete file may say that some of them were deleted, and a
field's name must go with its id in every file (`engine/logged.py`). The names of folders say nothing here: what a
table is partitioned by is in the files.

Which metadata file is the table's present one, its catalog knows. Here it is the one that is named, or that a Hadoop
table's `version-hint.text` leads to, or the only one; and no other may be as new, by its time, its count of commits or
its list of earlier ones, since an older one would bring back rows that were deleted. All must lie in the table's
`metadata/`: what is written elsewhere below the table is seen and refused, what is written outside of it is not seen.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpstats.engine.field_types import ICEBERG, kinds_of
from dpstats.engine.folders import Folder, unlisted
from dpstats.engine.logged import Field, Snapshot, in_folder, read_log
from dpstats.errors import FileError

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

METADATA = ".metadata.json"
_PACKED = f".gz{METADATA}"
_ZIPPED = b"\x1f\x8b"
_FOLDER, _HINT = "metadata", "version-hint.text"
_LOCAL = re.compile(r"(?:file:(?://)?)?(/[^?#]*)")
_TELLING = re.compile(r"identity|truncate\[.*\]")
"""Transforms that write a value, or its beginning, into the name of a folder."""


def is_iceberg(path: Path) -> bool:
    """Whether it is a table of Iceberg: its folder, or one of its metadata files."""
    return path.name.endswith(METADATA) if path.is_file() else bool(_metadata_files(path / _FOLDER))


def iceberg_snapshot(path: Path) -> Snapshot:
    """The table's files at its present snapshot.

    Raises:
      FileError: `pyiceberg` is not installed, the metadata cannot be read, or are not known to be the present ones, or
        the files alone are not the table.
    """
    try:
        import pyiceberg  # noqa: F401
    except ImportError:
        what = "is a table of Iceberg, which an extra reads: install dpstats[lake]"
        raise FileError(str(path), what) from None
    return read_log(path, "Iceberg", lambda: _Reading(path, _present(path)).snapshot())


class _Reading:
    """One table, by one of its metadata files. Only files of its own folder are opened."""

    def __init__(self, path: Path, file: Path) -> None:
        from pyiceberg.io.pyarrow import PyArrowFileIO
        from pyiceberg.serializers import FromInputFile

        # What opens files is not the metadata's to say.
        self._path, self._io = path, PyArrowFileIO()
        self._metadata: TableMetadata = FromInputFile.table_metadata(self._io.new_input(str(file)))
        self._location = self._local(self._metadata.location)
        self._root = self._location.resolve()
        # Else the metadata would say how far the table's folder reaches.
        if file.resolve().parent != self._root / _FOLDER or (path.is_dir() and path.resolve() != self._root):
            what = (
                "has metadata of a table that lies elsewhere, or in another folder than its `metadata`: give the table "
                "where it was written"
            )
            raise FileError(str(path), what)
        _check_is_last(path, file)
        _check_are_in_place(path, self._root)

    def snapshot(self) -> Snapshot:
        """The files of the present snapshot."""
        metadata = self._metadata
        if metadata.format_version > 2:
            what = "is of format version 3, which is not read in place: copy its rows to a table of version 2"
            raise FileError(str(self._path), what)
        specs = set[int]()
        files = tuple(sorted(self._file(each.file_path, each.file_size_in_bytes) for each in self._data_files(specs)))
        version = f"Iceberg, snapshot {metadata.current_snapshot_id}"
        fields = {
            field.name: Field(field.field_id, kinds_of(str(field.field_type), ICEBERG))
            for field in metadata.schema().fields
        }
        told = {
            metadata.schema().find_column_name(part.source_id)
            for spec in metadata.partition_specs
            if spec.spec_id in specs
            for part in spec.fields
            if _TELLING.fullmatch(str(part.transform))
        }
        folder = Folder(self._root, files, (), ((),) * len(files), version, frozenset(filter(None, told)))
        return Snapshot(folder, fields)

    def _data_files(self, specs: set[int]) -> Iterator[DataFile]:
        """The data files, checked; `specs` gets by what they are partitioned."""
        from pyiceberg.manifest import DataFileContent, FileFormat, read_manifest_list

        present = self._metadata.current_snapshot_id
        snapshot = None if present is None else self._metadata.snapshot_by_id(present)
        if snapshot is None:
            return
        for manifest in read_manifest_list(self._io.new_input(str(self._file(snapshot.manifest_list)))):
            self._file(manifest.manifest_path)
            for entry in manifest.fetch_manifest_entry(self._io):
                found = entry.data_file
                if found.content != DataFileContent.DATA:
                    what = (
                        "has rows that were deleted and are in its files still (delete files): rewrite these files "
                        "(`rewrite_data_files` with `delete-file-threshold` 1), then load it"
                    )
                    raise FileError(str(self._path), what)
                if found.file_format != FileFormat.PARQUET or found.key_metadata is not None:
                    what = "has files that are not Parquet, or are encrypted: rewrite them as Parquet"
                    raise FileError(str(self._path), what)
                specs.add(manifest.partition_spec_id)
                yield found

    def _file(self, location: str, size: int | None = None) -> Path:
        """A file of the table, by its absolute location; `size`: its bytes, where they are known."""
        file = self._local(location)
        if file.is_relative_to(self._location):
            file = self._root / file.relative_to(self._location)
        return in_folder(self._path, self._root, str(file), size)

    def _local(self, location: str) -> Path:
        found = _LOCAL.fullmatch(location)
        if not found and _LOCAL.match(location):
            raise FileError(str(self._path), "has a # or ? in a path, which its readers take apart: write it elsewhere")
        if not found:
            raise FileError(str(self._path), "has files that are not on this machine: export its rows")
        return Path(found[1])


def _present(path: Path) -> Path:
    """The metadata file to read."""
    if path.is_file():
        return path.resolve()
    folder = path.resolve() / _FOLDER
    found, hint = _metadata_files(folder), folder / _HINT
    if hint.is_file():
        number = int(hint.read_text())
        while _numbered(folder, number + 1):  # a hint may be late
            number += 1
        return (_numbered(folder, number) or [folder / f"v{number}{METADATA}"])[0]
    if len(found) > 1:
        what = (
            f"is a table of Iceberg whose catalog knows which metadata are the present ones: give the path of that "
            f"file, TABLE=FOLDER/{_FOLDER}/..{METADATA}"
        )
        raise FileError(str(path), what)
    return found[0]


def _numbered(folder: Path, number: int) -> list[Path]:
    """A Hadoop table's metadata files of that number, packed or not."""
    return [file for ending in (METADATA, _PACKED) if (file := folder / f"v{number}{ending}").exists()]


def _check_is_last(path: Path, file: Path) -> None:
    """Refuses metadata beside which there are others as new that these did not come from.

    Clocks alone do not say it: the machine of a later commit may be behind.
    """
    ours = _Said.of(file)
    others = [_Said.of(each) for each in _metadata_files(file.parent) if each.name not in {file.name, *ours.before}]
    newer = [other for other in others if other.may_follow(ours)]
    if newer:
        last = max(newer, key=lambda other: (other.commits, other.updated_ms, other.name))
        what = (
            f"has metadata files that are as new as {file.name}, or newer ({last.name}): give the path of its "
            "catalog's present one, and remove files that no commit came of (`remove_orphan_files`)"
        )
        raise FileError(str(path), what)


@dataclass(frozen=True)
class _Said:
    """What a metadata file says of where it stands among the table's: `before` names those that it came from."""

    name: str
    before: frozenset[str]
    updated_ms: int
    commits: int

    @classmethod
    def of(cls, file: Path) -> _Said:
        content = file.read_bytes()
        said: dict[str, Any] = json.loads(gzip.decompress(content) if content.startswith(_ZIPPED) else content)
        before = frozenset(Path(each["metadata-file"]).name for each in said.get("metadata-log") or ())
        return cls(file.name, before, int(said["last-updated-ms"]), int(said.get("last-sequence-number") or 0))

    def may_follow(self, other: _Said) -> bool:
        """Whether it may have come of a commit after the other, which did not come from it."""
        return other.name in self.before or self.commits > other.commits or self.updated_ms >= other.updated_ms


def _check_are_in_place(path: Path, root: Path) -> None:
    """Refuses a table whose metadata are written to another folder by now, where a later commit may be."""
    for below, _, names in os.walk(root, onerror=unlisted(path)):
        if Path(below) != root / _FOLDER and any(name.endswith((METADATA, f"{METADATA}.gz")) for name in names):
            what = (
                f"has metadata files in other folders than `{_FOLDER}` too (`write.metadata.path`, or a table in a "
                "table): write them to one folder, or export its rows"
            )
            raise FileError(str(path), what)


def _metadata_files(folder: Path) -> list[Path]:
    return sorted(file for ending in (METADATA, f"{METADATA}.gz") for file in folder.glob(f"*{ending}"))
