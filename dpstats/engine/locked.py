"""A DuckDB that can do nothing but read what is attached to it: no file, no network, no extension, no setting."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dpstats.engine.names import literal
from dpstats.errors import FileError

CONNECT_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
}
"""What is closed before a connection exists, for the loader too."""


@dataclass(frozen=True)
class Limits:
    """Memory in MB and worker threads for all queries of an instance together; seconds for one query."""

    memory_limit_mb: int = 2048
    threads: int = 2
    deadline_s: float = 60


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """The database in the file `path`, read-only, not locked yet.

    Raises:
      FileError: there is none.
    """
    connection = None
    if path.is_file():
        try:
            connection = duckdb.connect(path, read_only=True, config=CONNECT_CONFIG)
        except duckdb.Error:
            connection = None
    if connection is None:
        raise FileError(str(path), "cannot be opened as a data version: load the dataset again")
    return connection


def lock(connection: duckdb.DuckDBPyConnection, limits: Limits) -> None:
    """Closes an instance that answers. There is no spill: what needs more memory fails."""
    if connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (True,):
        return  # this process has the file open already: its instance is shared, and is probed again
    _close(
        connection,
        {
            "temp_directory": "''",
            "max_execution_time": str(int(limits.deadline_s * 1000)),
            **_room(limits),
            "enable_external_access": "false",
            "disabled_filesystems": "'LocalFileSystem'",
        },
    )


def lock_to_write(connection: duckdb.DuckDBPyConnection, limits: Limits, spill: Path) -> None:
    """Closes an instance that makes a file attached to it; what does not fit in memory goes to the folder `spill`.

    It takes at most half of the room that is on that disk, and a statement sixty times the deadline of a query.
    """
    spare = shutil.disk_usage(spill.parent).free // 2
    _close(
        connection,
        {
            "temp_directory": literal(spill),
            "max_temp_directory_size": f"'{spare // 2**20}MiB'",
            "max_execution_time": str(int(limits.deadline_s * 60_000)),
            **_room(limits),
            "enable_external_access": "false",
        },
    )


def _room(limits: Limits) -> dict[str, str]:
    return {"memory_limit": f"'{limits.memory_limit_mb}MB'", "threads": str(limits.threads)}


def _close(connection: duckdb.DuckDBPyConnection, settings: dict[str, str]) -> None:
    """Sets and locks, in this order. GLOBAL, because a plain SET holds for this cursor and not for the next."""
    # Of a connection and its cursors: drawn on stdout after two seconds, it would tell how long a query takes.
    connection.execute("SET enable_progress_bar = false")
    settings = {
        "TimeZone": "'UTC'",
        "disabled_optimizers": "'top_n_window_elimination'",  # it makes keep-k-groups-a-unit 2.5 times slower
        **settings,
        "lock_configuration": "true",
    }
    for name, value in settings.items():
        connection.execute(f"SET GLOBAL {name} = {value}")
