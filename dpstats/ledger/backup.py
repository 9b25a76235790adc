"""Backups that keep the guarantee: one file of one moment, and no way back to before what is known to be charged.

A charge whose answer is not in the backup may have been answered since. Another draw under it would be one that nobody
paid for, so it is given up when the backup is restored, and whoever asks pays anew.

A backup is a SQLite file with the ledger's tables, whatever database they came from, and the workspace's keys if they
were asked for. It holds no rows of people, but released answers and, with the keys, what signs the ledger.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Column, Connection, Engine, LargeBinary, MetaData, Table, Text, insert, inspect, select

from dpstats.errors import Conflict, FileError, LedgerBroken
from dpstats.ledger import journal, schema, shelf
from dpstats.ledger.clock import utc_now
from dpstats.ledger.database import faults_explained, reading, writing
from dpstats.ledger.files import PRIVATE, create_durably, file_lock, sync_folder
from dpstats.ledger.heads import Head, HeadFiles, KnownHeads
from dpstats.ledger.migrating import upgrade
from dpstats.ledger.postgres import examine, postgres_engine
from dpstats.ledger.signing import Signer
from dpstats.ledger.sqlite import sqlite_engine
from dpstats.ledger.store import BUSY_TIMEOUT_MS, DATABASE
from dpstats.ledger.verify import check_receipt, owner_of, verify
from dpstats.ledger.writer import head_of

KEYS = ("ledger.key", "bounding.key")
OTHER_KEYS = ("consent.key",)
"""Keys of what is not the ledger's, which go with the others where they are asked for."""

_keys = Table("backup_keys", MetaData(), Column("name", Text, primary_key=True), Column("content", LargeBinary))
_ROWS = 500


@dataclass(frozen=True)
class Restored:
    """What was restored: the head of each lineage, the lineages of which no head was known, and missing keys."""

    heads: tuple[Head, ...]
    unknown: tuple[str, ...]
    missing_keys: tuple[str, ...]


def back_up(engine: Engine, home: Path, target: Path, *, keys: bool) -> tuple[Head, ...]:
    """Writes a backup of the ledger as it is at one moment to `target`, mode 0600, while others go on charging.

    Args:
      keys: put the workspace's keys in as well. Without them, it is restored only where the signing key still is.

    Raises:
      FileError: the file is there already, or cannot be written. LedgerBroken, Unavailable: the ledger cannot be read.
    """
    if target.exists():
        raise FileError(str(target), "is there already: name a new file")
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        _make_private(part)
        with closing_engine(sqlite_engine(part, BUSY_TIMEOUT_MS)) as backup:
            with writing(backup) as there, reading(engine) as here:
                upgrade(there)
                _copy(here, there)
                _keys.create(there)
                for name in (*KEYS, *(each for each in OTHER_KEYS if (home / each).exists())) if keys else ():
                    there.execute(insert(_keys).values(name=name, content=(home / name).read_bytes()))
                heads = _heads(there)
            _into_one_file(backup)
        os.link(part, target)
        sync_folder(target.parent)
    except OSError as error:
        raise FileError(str(target), f"cannot be written: {error.strerror}") from None
    finally:
        for name in (part.name, f"{part.name}-wal", f"{part.name}-shm"):
            part.with_name(name).unlink(missing_ok=True)
    return heads


def restore(
    home: Path,
    file: Path,
    receipts: Sequence[Head] = (),
    *,
    url: str = "",
    before: Callable[[], None] = lambda: None,
) -> Restored:
    """Puts a backup's ledger where none is: as the workspace's file, or on the server at `url`.

    Args:
      before: done once the backup is known to be good and its keys are there, before the ledger is put in place. If it
        raises, or is killed, no ledger is there yet, and all of it can be done again.

    Known heads are those saved in the workspace and `receipts`, whose lineage their signatures tell. A backup that ends
    before one of them, or holds another entry in its place, would give spent budget back, and is refused. So is one
    that does not verify.

    Raises:
      FileError: it is no backup. Conflict: a ledger is there already.
      LedgerBroken: it does not verify, is signed with another key, or is older than a known head.
    """
    if not file.is_file():
        raise FileError(str(file), "no such file")
    with faults_explained():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(home / ".ledger.lock"), TemporaryDirectory(prefix=".restoring-", dir=home) as folder:
            copy = Path(folder) / DATABASE
            _make_private(copy)
            shutil.copyfile(file, copy)
            with closing_engine(sqlite_engine(copy, BUSY_TIMEOUT_MS)) as backup:
                return _restore(home, file, backup, receipts, url, before)


def _restore(
    home: Path, file: Path, backup: Engine, receipts: Sequence[Head], url: str, before: Callable[[], None]
) -> Restored:
    kept = _opened(backup, file)
    if not url and (home / DATABASE).exists():
        raise Conflict(f"{home / DATABASE} is there already: a backup is restored only where no ledger is")
    with reading(backup) as connection:
        heads = _heads(connection)
    unknown = _check_known(backup, _signer(home, file, backup, kept), HeadFiles(home / "heads"), heads, receipts)
    for name, content in kept.items():
        create_durably(home / name, content)  # unless it is there: it is the same, or the workspace's own
    before()
    _put_in_place(home, backup, heads, url)
    missing = tuple(name for name in KEYS if not (home / name).exists())
    return Restored(heads, unknown, missing)


def _signer(home: Path, file: Path, backup: Engine, kept: Mapping[str, bytes]) -> Signer:
    """The workspace's key, or where it has none the backup's, which stays beside the copy until that was verified."""
    if (home / "ledger.key").exists():
        return Signer(home / "ledger.key")
    if "ledger.key" not in kept:
        raise FileError(str(file), f"holds no keys: put the workspace's own ledger.key into {home} first")
    beside = Path(str(backup.url.database)).with_name("ledger.key")
    create_durably(beside, kept["ledger.key"])
    return Signer(beside)


def _check_known(
    backup: Engine, signer: Signer, saved: HeadFiles, heads: Sequence[Head], receipts: Sequence[Head]
) -> tuple[str, ...]:
    """Verifies the backup against everything known; gives the lineages of which nothing is."""
    known = [head for head in map(saved.read, saved.lineages()) if head is not None]
    lineages = {head.lineage for head in (*heads, *known)}
    named = {head.lineage for head in known} | {owner_of(receipt, lineages, signer) for receipt in receipts}
    unknown = tuple(head.lineage for head in heads if head.lineage not in named)
    own = [head for head in heads if head.lineage not in saved.lineages()]
    findings = list(verify(backup, signer, KnownHeads([*known, *own]), None).findings)
    for receipt in receipts:
        findings += check_receipt(backup, signer, receipt, lineages)
    if findings:
        raise LedgerBroken(f"the backup is refused, and nothing was restored: {findings[0]}")
    return unknown


def _put_in_place(home: Path, backup: Engine, heads: Sequence[Head], url: str) -> None:
    with writing(backup) as connection:
        _keys.drop(connection)
        shelf.give_up_unanswered(connection, "restore", "its answer may have been given after the backup", utc_now())
    # Heads first: should this be killed in between, what comes after can only be this backup or a newer one.
    saved = HeadFiles(home / "heads")
    if url:
        _fill_server(backup, url, saved, heads)
        return
    _into_one_file(backup)
    for head in heads:
        saved.save(head)
    os.link(str(backup.url.database), home / DATABASE)
    sync_folder(home)


def _fill_server(backup: Engine, url: str, saved: HeadFiles, heads: Sequence[Head]) -> None:
    with closing_engine(postgres_engine(url, BUSY_TIMEOUT_MS)) as server:
        examine(server)
        with writing(server) as there, reading(backup) as here:
            upgrade(there)
            if there.execute(select(schema.lineages.c.lineage).limit(1)).first() is not None:
                raise Conflict("the database holds a ledger already: a backup is restored only where no ledger is")
            _copy(here, there)
            for head in heads:
                saved.save(head)


def _opened(backup: Engine, file: Path) -> Mapping[str, bytes]:
    """The keys in a backup, after its schema was brought up to date."""
    try:
        with writing(backup) as connection:
            if not inspect(connection).has_table(_keys.name):
                raise FileError(str(file), "is not a backup of a ledger: `dpstats ledger backup` writes one")
            upgrade(connection)
            return {row.name: bytes(row.content) for row in connection.execute(select(_keys))}
    except LedgerBroken:
        raise FileError(str(file), "is not a backup that this dpstats can read") from None


def _copy(here: Connection, there: Connection) -> None:
    """Every row of every table, in the order that append-only tables ask for."""
    for table in schema.metadata.sorted_tables:
        if table is schema.schema_version:
            continue
        rows = here.execute(select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_ROWS))
        for part in rows.mappings().partitions():
            there.execute(insert(table), [dict(row) for row in part])


def _heads(connection: Connection) -> tuple[Head, ...]:
    lineages = connection.execute(select(schema.lineages.c.lineage).order_by(schema.lineages.c.lineage)).scalars().all()
    ends = (journal.newest(connection, lineage) for lineage in lineages)
    return tuple(head_of(end) for end in ends if end is not None)


def _into_one_file(engine: Engine) -> None:
    """Leaves nothing beside the database's file, and the file on disk."""
    path = Path(str(engine.url.database))
    with closing(engine.raw_connection()) as raw:
        raw.cursor().execute("PRAGMA journal_mode=DELETE")
    engine.dispose()
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def closing_engine(engine: Engine) -> Iterator[Engine]:
    """Closes an engine's connections in the end."""
    try:
        yield engine
    finally:
        engine.dispose()


def _make_private(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
