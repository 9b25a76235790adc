"""Tables of Iceberg, by `pyiceberg` with a catalog in memory, and what it does not write by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.memory import InMemoryCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    read_manifest_list,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import Table
from pyiceberg.typedef import Record


def made(folder: Path, rows: pa.Table, *, partition_by: str = "", version: int = 2) -> Table:
    """A table in `folder` with these rows; `partition_by`: a column."""
    catalog = InMemoryCatalog("lake", warehouse=str(folder.parent))
    catalog.create_namespace("shop")
    properties = {"format-version": str(version)}
    table = catalog.create_table(f"shop.{folder.name}", rows.schema, location=str(folder), properties=properties)
    if partition_by:
        with table.update_spec() as spec:
            spec.add_identity(partition_by)
    table.append(rows)
    return table


def metadata_of(table: Table) -> Path:
    """The catalog's present metadata file."""
    return Path(table.metadata_location)


def alone(table: Table) -> Path:
    """The table's folder with its present metadata file and no earlier one."""
    present = metadata_of(table)
    for other in present.parent.glob("*.metadata.json"):
        if other != present:
            other.unlink()
    return Path(table.location())


def hinted(table: Table, hint: int) -> Path:
    """The table's folder with metadata as a Hadoop table has them, and a hint at one of these."""
    folder = Path(table.location()) / "metadata"
    for number, file in enumerate(sorted(folder.glob("*.metadata.json")), 1):
        content = json.loads(file.read_text())
        for entry, each in enumerate(content["metadata-log"], 1):
            each["metadata-file"] = str(folder / f"v{entry}.metadata.json")
        (folder / f"v{number}.metadata.json").write_text(json.dumps(content))
        file.unlink()
    (folder / "version-hint.text").write_text(str(hint))
    return folder.parent


def changed(file: Path, **values: object) -> None:
    """The metadata file with other values."""
    named = {name.replace("_", "-"): value for name, value in values.items()}
    file.write_text(json.dumps(json.loads(file.read_text()) | named))


def with_deleted_rows(table: Table) -> None:
    """The present snapshot with a delete file, which says that a row of a data file was deleted."""
    with_files(table, DataFileContent.POSITION_DELETES, FileFormat.PARQUET)


def with_files(table: Table, content: DataFileContent, kind: FileFormat, *, location: str = "") -> None:
    """The present snapshot with one more file of that content and kind, which nobody wrote."""
    snapshot, io = table.current_snapshot(), PyArrowFileIO()
    assert snapshot is not None
    at = location or f"{table.location()}/data/more.{kind.value.lower()}"
    size = Path(at).stat().st_size if Path(at).exists() else 1
    file = DataFile.from_args(
        content=content, file_path=at, file_format=kind, partition=Record(), record_count=1, file_size_in_bytes=size
    )
    entry = ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED, snapshot_id=snapshot.snapshot_id, sequence_number=1, file_sequence_number=1,
        data_file=file,
    )  # fmt: skip
    output = io.new_output(f"{table.location()}/metadata/more-m0.avro")
    with write_manifest(2, PartitionSpec(), table.schema(), output, snapshot.snapshot_id, "deflate") as manifest:
        manifest.add_entry(entry)
    more = manifest.to_manifest_file()
    if content is not DataFileContent.DATA:
        more[3] = ManifestContent.DELETES
    listed(table, [*read_manifest_list(io.new_input(snapshot.manifest_list)), more])


def rewritten(file: Path, rows: pa.Table) -> None:
    """The data file with other rows, and of the same size: there is something between them and the footer."""
    size = file.stat().st_size
    pq.write_table(rows, file, compression="zstd", store_schema=False)
    content = file.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    file.write_bytes(content[:footer] + bytes(size - len(content)) + content[footer:])


def listed(table: Table, manifests: list[ManifestFile]) -> None:
    """The present snapshot of these manifests."""
    snapshot, io = table.current_snapshot(), PyArrowFileIO()
    assert snapshot is not None
    output = io.new_output(snapshot.manifest_list + ".new")
    with write_manifest_list(2, output, snapshot.snapshot_id, None, 9, "deflate") as writer:
        writer.add_manifests(manifests)
    shutil.move(snapshot.manifest_list + ".new", snapshot.manifest_list)
