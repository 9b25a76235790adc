"""Files that may be fetched once, by who knows their secret, within a week. Of the secret only a hash is kept."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from dpstats.errors import PackageGone
from dpstats.ledger.clock import stamp
from dpstats.ledger.database import faults_explained
from dpstats.ledger.files import create_durably

LIFE = timedelta(days=7)


class Deliveries:
    """The files in one folder, which is made when it is first used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes, now: datetime, *, about: str) -> tuple[str, str]:
        """Keeps a file about a person, by pseudonym; gives its secret, and until when it can be fetched."""
        secret, until = secrets.token_urlsafe(32), now + LIFE
        path = self._folder / f"{_hashed(secret)}.{about}.zip"
        with faults_explained():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.sweep(now)
            create_durably(path, content)
            os.utime(path, (until.timestamp(), until.timestamp()))
        return secret, stamp(until)

    def take(self, secret: str, now: datetime) -> bytes:
        """The file of a secret; it is gone afterwards.

        Raises:
          PackageGone: there is none, it was fetched before, or its time is over: the three are not told apart.
        """
        self.sweep(now)
        path = next(iter(self._folder.glob(f"{_hashed(secret)}.*.zip")), None)
        if path is None:
            raise PackageGone
        taken = path.with_suffix(f".{secrets.token_hex(8)}")
        with faults_explained():
            try:
                path.rename(taken)  # of two who come at once, one has it
                return taken.read_bytes()
            except FileNotFoundError:
                raise PackageGone from None
            finally:
                taken.unlink(missing_ok=True)

    def sweep(self, now: datetime) -> None:
        """Removes files whose time is over."""
        with faults_explained():
            for path in self._folder.iterdir() if self._folder.exists() else ():
                with suppress(FileNotFoundError):  # fetched, or removed by another
                    if path.stat().st_mtime <= now.timestamp():
                        path.unlink()

    def holds(self, about: str) -> bool:
        """Whether there is a file about a person that nobody fetched yet."""
        with faults_explained():
            return any(self._folder.glob(f"*.{about}.*"))

    def drop(self, about: str) -> None:
        """Removes what nobody fetched yet of a person's files."""
        with faults_explained():
            for path in self._folder.glob(f"*.{about}.*"):
                path.unlink(missing_ok=True)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
