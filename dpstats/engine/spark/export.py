"""A data version's tables as Parquet for Spark: a folder beside the file, whole or absent, named after it.

What is in the folder comes from that file alone, and the folder goes when the file goes. Dates and times outside of the
years 1 to 9999 become NULL (`plan/spark/dates.py` says why), ids that are UUIDs become their text. Files are not
compressed, so that a scan of bytes can see whose they are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dpstats.catalog.consented import CONSENT
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.in_place import Notes, heavy_of, notes_in, people_of, read, written
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.names import literal, quoted
from dpstats.engine.whole import whole_folder
from dpstats.errors import FileError

_TABLES, _IN_PLACE = "tables.json", "in_place.json"
_NOBODY = "SELECT NULL AS {}"
"""A row that is nobody's: so Spark plans alike, whether or not anybody is there."""
_SUFFIX = ".spark"
_YEARS = {
    "DATE": ("DATE '0001-01-01'", "DATE '9999-12-31'"),
    "TIMESTAMP": ("TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'"),
}


@dataclass(frozen=True)
class Exported:
    """The folder of a data version: each table's Parquet file, and its columns with their DuckDB types.

    A table in place has no file, and notes; whose rows count there, and who is heavy, are files of their own.
    """

    files: Mapping[str, Path]
    columns: Mapping[str, tuple[tuple[str, str], ...]]
    in_place: Mapping[str, Notes]


def folder_of(file: Path) -> Path:
    """Where the Parquet of the data version in `file` is."""
    return file.with_suffix(_SUFFIX)


def export(dataset: DatasetFile, file: Path) -> None:
    """Writes the tables of the data version in `file` for Spark.

    Raises:
      FileError: it cannot be read or written; no folder is there then.
    """
    with whole_folder(folder_of(file)) as folder:
        try:
            with duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
                _write(connection, dataset, file, folder)
        except (duckdb.Error, MemoryError):
            connection = None
        else:
            return
        raise FileError(str(file), "its tables cannot be written for Spark: too little memory or disk")


def _write(connection: duckdb.DuckDBPyConnection, dataset: DatasetFile, file: Path, folder: Path) -> None:
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET temp_directory = {literal(folder.parent / 'spill')}")
    connection.execute(f"ATTACH {literal(file)} AS dp_held (READ_ONLY)")
    sql = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'dp_held'"
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in connection.execute(f"{sql} ORDER BY table_name, column_index").fetchall():
        if table in dataset.tables or table == CONSENT:
            columns.setdefault(table, []).append((column, kind))
    noted = notes_in(connection, "dp_held.main")
    for place, (table, listed) in enumerate(columns.items()):
        if table in noted:
            people, heavy = (f"dp_held.main.{quoted(each)}" for each in (people_of(table), heavy_of(table)))
            unit = _cell("unit", dataset.unit_type.sql)
            ids = f"SELECT {_cell('id', dataset.unit_type.sql)} AS id, {unit} AS unit FROM {people}"
            _copy(connection, f"{ids} UNION ALL {_NOBODY.format('id, NULL')}", folder / f"{place}.people.parquet")
            each = _cell("id", dataset.unit_type.sql)
            over = f"SELECT {each} AS id, block, below FROM {heavy} JOIN {people} USING (unit)"
            nobody = _NOBODY.format("id, NULL, NULL")
            _copy(connection, f"{over} UNION ALL {nobody}", folder / f"{place}.heavy.parquet")
            continue
        cells = ", ".join(f"{_cell(column, kind)} AS {quoted(column)}" for column, kind in listed)
        _copy(connection, f"SELECT {cells} FROM dp_held.main.{quoted(table)}", folder / f"{place}.parquet")
    _say(folder / _IN_PLACE, {table: written(notes) for table, notes in noted.items()})
    _say(folder / _TABLES, list(columns.items()))


def _say(target: Path, content: object) -> None:
    target.touch(mode=0o600)
    target.write_text(json.dumps(content))


def _copy(connection: duckdb.DuckDBPyConnection, rows: str, target: Path) -> None:
    connection.execute(f"COPY ({rows}) TO {literal(target)} (FORMAT parquet, COMPRESSION uncompressed)")
    target.chmod(0o600)


def _cell(column: str, kind: str) -> str:
    name = quoted(column)
    if kind == "UUID":
        return f"CAST({name} AS VARCHAR)"
    if kind in _YEARS:
        low, high = _YEARS[kind]
        return f"CASE WHEN {name} BETWEEN {low} AND {high} THEN {name} END"
    return name


def exported(file: Path) -> Exported:
    """What was written for the data version in `file`.

    Raises:
      FileError: nothing was: the dataset was loaded for another engine.
    """
    folder = folder_of(file)
    try:
        listed = json.loads((folder / _TABLES).read_text())
    except (OSError, ValueError):
        listed = None
    if listed is None:
        raise FileError(str(file), "has no tables for Spark beside it: load the dataset again")
    noted = noted_beside(file)
    files: dict[str, Path] = {}
    for place, (table, _) in enumerate(listed):
        if table in noted:
            files[people_of(table)] = folder / f"{place}.people.parquet"
            files[heavy_of(table)] = folder / f"{place}.heavy.parquet"
        else:
            files[table] = folder / f"{place}.parquet"
    columns = {table: tuple((str(column), str(kind)) for column, kind in columns) for table, columns in listed}
    return Exported(files, columns, noted)


def noted_beside(file: Path) -> Mapping[str, Notes]:
    """What the data version in `file` noted of its tables in place, by table."""
    try:
        said = json.loads((folder_of(file) / _IN_PLACE).read_text())
    except (OSError, ValueError):  # of a data version from before there were such tables
        return {}
    return {table: read(notes) for table, notes in said.items()}


def is_exported(path: Path) -> bool:
    """Whether a path is such a folder, of whatever data version."""
    return path.suffix == _SUFFIX and path.is_dir()


def remove(file: Path) -> None:
    """Removes a data version's file, and what was written for Spark beside it: what reads that now fails."""
    if is_exported(folder_of(file)):
        remove_folder(folder_of(file))
    file.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Removes such a folder; first the list of its tables, without which nobody opens it."""
    (folder / _TABLES).unlink(missing_ok=True)
    shutil.rmtree(folder)
