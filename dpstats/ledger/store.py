"""The way in: one workspace's database, signing key and saved heads, opened together and looked at first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from dpstats.ledger.clock import Clock, utc_now
from dpstats.ledger.database import faults_explained, sqlite_engine, writing
from dpstats.ledger.files import PRIVATE, file_lock, sync_folder
from dpstats.ledger.heads import HeadFiles
from dpstats.ledger.ledger import Ledger
from dpstats.ledger.registry import Registry
from dpstats.ledger.schema import create_schema
from dpstats.ledger.signing import Signer
from dpstats.ledger.tokens import Tokens
from dpstats.ledger.writer import ChainWriter

DATABASE = "ledger.db"
"""The ledger's file in the workspace; `ledger.key` and `heads/` stand beside it."""

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another one."""


@dataclass(frozen=True)
class Store:
    """An open ledger with its registry and tokens."""

    engine: Engine
    ledger: Ledger
    registry: Registry
    tokens: Tokens

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def open_store(
    home: Path, clock: Clock = utc_now, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, check: bool = True
) -> Store:
    """Opens the ledger of the workspace at `home`; makes it if there is none.

    Args:
      check: refuse a ledger whose chains' ends cannot be trusted. Only a command that reports on a broken ledger, and
        answers nothing, opens it unchecked; charges and grants are refused even then.

    Raises:
      LedgerBroken: it cannot be trusted, is malformed, or was written by another version of dpstats.
      Unavailable: it cannot be read and written now.
    """
    signer = Signer(home / "ledger.key")
    engine = sqlite_engine(home / DATABASE, busy_timeout_ms)
    ledger = Ledger(engine, ChainWriter(signer, HeadFiles(home / "heads")), signer, clock)
    try:
        with faults_explained():
            _prepare(home, signer, engine)
        if check:
            ledger.check()
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, ledger, Registry(engine, clock), Tokens(engine, clock))


def _prepare(home: Path, signer: Signer, engine: Engine) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(home / ".ledger.lock"):
        _make(home / DATABASE, signer)
        with writing(engine) as connection:
            create_schema(connection)


def _make(path: Path, signer: Signer) -> None:
    """Makes the key and an empty database file that only the owner can read; SQLite's own files take over its mode."""
    if not path.exists():
        # The key comes first and is never made again: a database without its key is a finding, not a fresh start.
        signer.create()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))
        sync_folder(path.parent)
    elif path.stat().st_mode & 0o077:
        path.chmod(PRIVATE)
