"""Files that may be fetched once, by who knows their secret, within a week.

Only the secret opens them: they lie encrypted under a key that is made of it alone (HKDF-SHA256, AES-256-GCM), and of
the secret only a hash is kept. So whoever has the disk, or a copy of it, without the link can read none of them.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dpstats.errors import PackageGone
from dpstats.ledger.clock import stamp
from dpstats.ledger.database import faults_explained
from dpstats.ledger.files import create_durably

LIFE = timedelta(days=7)
NONCE_BYTES = 12
SEALED, PLAIN = ".sealed", ".zip"
"""How files end. One that an older release wrote is not encrypted: nobody can fetch it any more, so it goes at once."""


class Deliveries:
    """The files in one folder, which is made when it is first used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes, now: datetime, *, about: str) -> tuple[str, str]:
        """Keeps a file about a person, by pseudonym; gives its secret, and until when it can be fetched."""
        secret, until = secrets.token_urlsafe(32), now + LIFE
        path = self._folder / f"{_hashed(secret)}.{about}{SEALED}"
        with faults_explained():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.sweep(now)
            create_durably(path, _sealed(secret, content, path.name), dated_s=until.timestamp())
        return secret, stamp(until)

    def take(self, secret: str, now: datetime) -> bytes:
        """The file of a secret; it is gone afterwards.

        Raises:
          PackageGone: there is none, it was fetched before, its time is over, or it is not as it was put: the four are
            not told apart.
        """
        self.sweep(now)
        path = next(iter(self._folder.glob(f"{_hashed(secret)}.*{SEALED}")), None)
        if path is None:
            raise PackageGone
        taken = path.with_suffix(f".{secrets.token_hex(8)}")
        with faults_explained():
            try:
                path.rename(taken)  # of two who come at once, one has it
                return _opened(secret, taken.read_bytes(), path.name)
            except (FileNotFoundError, InvalidTag):
                raise PackageGone from None
            finally:
                taken.unlink(missing_ok=True)

    def sweep(self, now: datetime) -> None:
        """Removes files whose time is over, those that are not encrypted, and what a killed process left of one."""
        with faults_explained():
            for path in self._folder.iterdir() if self._folder.exists() else ():
                with suppress(FileNotFoundError):  # fetched, or removed by another
                    # One that is being written has a name that nobody fetches it by yet, and the time of its writing.
                    end = now - LIFE if path.name.startswith(".") else now
                    if path.suffix == PLAIN or path.stat().st_mtime <= end.timestamp():
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
    """What tells a file's secret apart in its name. It is no part of the key, nor does it lead to it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _sealed(secret: str, content: bytes, name: str) -> bytes:
    """The content, so that the secret alone opens it, and only under the name that it has: another's is not its own."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(secret).encrypt(nonce, content, name.encode())


def _opened(secret: str, sealed: bytes, name: str) -> bytes:
    """What was sealed.

    Raises:
      InvalidTag: it was changed, or stands under another name.
    """
    if len(sealed) < NONCE_BYTES:
        raise InvalidTag
    return _cipher(secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())


def _cipher(secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=b"dpstats package: key").derive(secret.encode()))
