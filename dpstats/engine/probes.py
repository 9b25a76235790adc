"""Probes of the lock-down: each really tries to get out of the database, and must be refused for the right reason.

A setting that DuckDB shows proves nothing (`disabled_filesystems` is shown empty even when set), so an engine serves
nobody before every probe was refused. A probe counts as let through if it succeeds, and also if it fails for another
reason than the lock (no such file, no network): what stopped it then was luck.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dpstats.engine.names import literal
from dpstats.errors import LockdownFailed

CLOSED_FILES = duckdb.PermissionException
"""Files, extensions and the network are closed."""
CLOSED_SETTINGS = duckdb.InvalidInputException
"""Settings are locked, and the file is read-only."""
UNKNOWN = duckdb.CatalogException
"""DuckDB knows nothing by this name."""


@dataclass(frozen=True)
class Probe:
    """One attempt: `sql` must raise `refusal`. `made` is what a successful one leaves behind, `undo` takes it back."""

    name: str
    sql: str
    refusal: type[duckdb.Error] = CLOSED_FILES
    made: Path | None = None
    undo: str | None = None


def probe(connection: duckdb.DuckDBPyConnection, own_file: Path) -> None:
    """Tries every way out of `connection`, whose database is the file `own_file`.

    Raises:
      LockdownFailed: a probe was not refused; what it left behind has been removed.
    """
    for attempt in probes(own_file):
        if not refused(connection, attempt):
            raise LockdownFailed(attempt.name)


def refused(connection: duckdb.DuckDBPyConnection, attempt: Probe) -> bool:
    """Whether DuckDB refuses the attempt for the reason that the lock-down gives; if not, it is taken back."""
    if _raises(connection, attempt):
        return True
    if attempt.undo is not None:
        with contextlib.suppress(duckdb.Error):
            connection.execute(attempt.undo)
    if attempt.made is not None:
        attempt.made.unlink(missing_ok=True)
    return False


def _raises(connection: duckdb.DuckDBPyConnection, attempt: Probe) -> bool:
    dp_probe_variable = {"bait": 1}  # noqa: F841 - for the probe of Python variables
    try:
        connection.execute(attempt.sql).fetchall()
    except duckdb.Error as error:
        return isinstance(error, attempt.refusal)
    return False


def probes(own_file: Path) -> tuple[Probe, ...]:
    """Every probe of a connection to the database file `own_file`."""
    return (*_reads(own_file), *_writes(own_file), *_attachments(own_file), *_settings(), *_code())


def _reads(own_file: Path) -> Iterator[Probe]:
    own, program, text = literal(own_file), literal(sys.executable), literal(__file__)
    yield Probe("read_blob of the database file", f"SELECT size FROM read_blob({own})")
    yield Probe("read_blob of another file", f"SELECT size FROM read_blob({program})")
    yield Probe("read_text of another file", f"SELECT size FROM read_text({text})")
    yield Probe("read_csv of another file", f"SELECT count(*) FROM read_csv({text})")
    yield Probe("read_parquet of another file", f"SELECT count(*) FROM read_parquet({text})")
    yield Probe("glob of the data folder", f"SELECT count(*) FROM glob({literal(own_file.parent / '*')})")
    yield Probe("the environment", "SELECT getenv('PATH')", UNKNOWN)
    yield Probe("a Python variable", "SELECT * FROM dp_probe_variable", UNKNOWN)
    yield Probe("the network", "SELECT count(*) FROM read_csv('http://127.0.0.1:9/')")


def _writes(own_file: Path) -> Iterator[Probe]:
    for suffix in (".probe", ".wal"):
        made = own_file.with_name(own_file.name + suffix)
        yield Probe(f"COPY to <database>{suffix}", f"COPY (SELECT 1) TO {literal(made)} (FORMAT csv)", made=made)
    spill = own_file.with_name(own_file.name + ".tmp")
    yield Probe("COPY to the spill folder", f"COPY (SELECT 1) TO {literal(spill / 'probe')} (FORMAT csv)")
    yield Probe(
        "a spill folder", "SELECT error('no spill') WHERE current_setting('temp_directory') = ''", CLOSED_SETTINGS
    )
    yield Probe("CREATE TABLE", "CREATE TABLE dp_probe AS SELECT 1", CLOSED_SETTINGS, undo="DROP TABLE dp_probe")
    yield Probe("DELETE", "DELETE FROM dp_meta WHERE false", CLOSED_SETTINGS)


def _attachments(own_file: Path) -> Iterator[Probe]:
    other = own_file.with_name(own_file.name + ".other")
    undo = "DETACH dp_probe"
    yield Probe("ATTACH of another file", f"ATTACH {literal(other)} AS dp_probe", made=other, undo=undo)
    yield Probe("ATTACH of the database file", f"ATTACH {literal(own_file)} AS dp_probe (READ_ONLY)", undo=undo)


def _settings() -> Iterator[Probe]:
    yield Probe("SET", "SET threads = 1", CLOSED_SETTINGS)
    yield Probe("SET GLOBAL", "SET GLOBAL max_execution_time = 0", CLOSED_SETTINGS)
    yield Probe("RESET", "RESET memory_limit", CLOSED_SETTINGS)
    yield Probe("PRAGMA", "PRAGMA force_checkpoint", CLOSED_SETTINGS)
    yield Probe("opening the lock", "SET lock_configuration = false", CLOSED_SETTINGS)
    yield Probe("a log of queries", "CALL enable_logging()", CLOSED_SETTINGS, undo="CALL disable_logging()")


def _code() -> Iterator[Probe]:
    nowhere = literal("/dpstats/probe.duckdb_extension")
    yield Probe("INSTALL", f"INSTALL {nowhere}")
    yield Probe("LOAD", f"LOAD {nowhere}")
