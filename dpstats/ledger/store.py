"""The way in: one workspace's database, signing key and saved heads, opened together and looked at first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine

from dpstats.ledger.answered import Answered
from dpstats.ledger.asked import AskedLog
from dpstats.ledger.caps import Caps
from dpstats.ledger.clock import Clock, utc_now
from dpstats.ledger.database import faults_explained, writing
from dpstats.ledger.files import PRIVATE, file_lock, sync_folder
from dpstats.ledger.heads import Head, HeadFiles
from dpstats.ledger.ledger import Ledger
from dpstats.ledger.migrating import revision_of, upgrade
from dpstats.ledger.postgres import examine, opening_explained, postgres_engine
from dpstats.ledger.proposals import Proposals
from dpstats.ledger.recent import Commits
from dpstats.ledger.recipients import Recipients
from dpstats.ledger.registry import Registry
from dpstats.ledger.sessions import Sessions
from dpstats.ledger.signing import Signer
from dpstats.ledger.sqlite import sqlite_engine
from dpstats.ledger.tokens import Tokens
from dpstats.ledger.verify import VerifyReport
from dpstats.ledger.writer import ChainWriter

DATABASE = "ledger.db"
"""The ledger's file in the workspace, unless it is on a server; the key, heads and notes of answers stand beside it."""

ANSWERED = "answered"
"""The file in the workspace that notes which charges were answered."""

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another one."""


@dataclass(frozen=True)
class Store:
    """An open ledger with its registry, tokens, sign-ins, proposals, caps, log of who asked what and recipients' terms.

    `answered` notes outside the database which charges were; `commits` sees that any of it changed.
    """

    engine: Engine
    ledger: Ledger
    registry: Registry
    tokens: Tokens
    sessions: Sessions
    proposals: Proposals
    caps: Caps
    asked: AskedLog
    recipients: Recipients
    answered: Answered
    commits: Commits

    def verify(self, lineage: str | None = None, receipts: Sequence[Head] = ()) -> VerifyReport:
        """What `Ledger.verify` finds, and each answer that was stored and is gone."""
        report = self.ledger.verify(lineage, receipts)
        return replace(report, findings=report.findings + self.answered.gone(report.lineages))

    def close(self) -> None:
        """Writes what is still to be logged and closes every connection."""
        self.asked.close()
        self.commits.close()
        self.ledger.close()
        self.engine.dispose()


def open_store(
    home: Path,
    clock: Clock = utc_now,
    *,
    url: str = "",
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    check: bool = True,
) -> Store:
    """Opens the ledger of the workspace at `home`; makes it if there is none, and brings an older one up to date.

    Args:
      url: the ledger's database, `postgresql+psycopg://..`; empty for the SQLite file in the workspace. The signing key
        and the saved heads are in the workspace either way, so that whoever has the database alone cannot rewrite it.
      check: refuse a ledger whose chains' ends cannot be trusted. Only a command that reports on a broken ledger, and
        answers nothing, opens it unchecked; charges and grants are refused even then.

    Raises:
      LedgerBroken: it cannot be trusted, is malformed, or was written by a newer dpstats.
      FileError: `url` is wrong, or its server cannot be used or does not keep what is committed.
      Unavailable: it cannot be read and written now.
    """
    signer = Signer(home / "ledger.key")
    engine = postgres_engine(url, busy_timeout_ms) if url else sqlite_engine(home / DATABASE, busy_timeout_ms)
    writer = ChainWriter(signer, HeadFiles(home / "heads"))
    ledger, answered = Ledger(engine, writer, signer, clock), Answered(home / ANSWERED, engine)
    try:
        with faults_explained():
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with file_lock(home / ".ledger.lock"):
                _prepare_server(engine, signer) if url else _prepare_file(engine, signer, home / DATABASE)
            answered.begin()
        if check:
            ledger.check()
    except BaseException:
        engine.dispose()
        raise
    tokens = Tokens(engine, clock)
    sessions, proposals = Sessions(engine, clock, tokens), Proposals(engine, writer, clock)
    caps, asked = Caps(engine, clock), AskedLog(engine, clock)
    recipients, commits = Recipients(engine, clock), Commits(None if url else home / DATABASE)
    registry = Registry(engine, clock)
    return Store(engine, ledger, registry, tokens, sessions, proposals, caps, asked, recipients, answered, commits)


def _prepare_server(engine: Engine, signer: Signer) -> None:
    examine(engine)
    with opening_explained(), writing(engine) as connection:
        if revision_of(connection) is None:
            # As beside a file: a database without its key is a finding, not a fresh start.
            signer.create()
        upgrade(connection)


def _prepare_file(engine: Engine, signer: Signer, path: Path) -> None:
    """Makes the key and an empty database file that only the owner can read; SQLite's own files take over its mode."""
    if not path.exists():
        # The key comes first and is never made again: a database without its key is a finding, not a fresh start.
        signer.create()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))
        sync_folder(path.parent)
    elif path.stat().st_mode & 0o077:
        path.chmod(PRIVATE)
    with writing(engine) as connection:
        upgrade(connection)
