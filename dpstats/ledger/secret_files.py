"""The secrets that a workspace keeps in files of their own."""

from __future__ import annotations

import secrets
from pathlib import Path

from dpstats.errors import FileError
from dpstats.ledger.database import faults_explained
from dpstats.ledger.files import create_durably

SECRET_BYTES = 32


def secret_in(path: Path) -> bytes:
    """The secret of `SECRET_BYTES` bytes in a file, made on first use and readable by its owner only.

    Raises:
      FileError: something else is there: with another secret, what was hashed or sealed by this one is lost.
      Unavailable: it cannot be read or written now.
    """
    with faults_explained():
        if not path.exists():
            create_durably(path, secrets.token_bytes(SECRET_BYTES))  # whole or not at all: others may read it at once
        secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise FileError(str(path), f"must hold {SECRET_BYTES} bytes: restore it from a backup")
    return secret
