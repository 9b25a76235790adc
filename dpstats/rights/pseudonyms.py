"""Keyed hashes of people's ids, and seals of what is kept of them, so that a copy of the consent database names nobody.

Hashes are still personal information: with the key, anybody whose id is known can be looked for.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dpstats.errors import FileError
from dpstats.ledger.secret_files import secret_in

NONCE_BYTES = 12


class Pseudonyms:
    """Hashes and seals with one secret key. Nothing shows the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> Pseudonyms:
        """With the key in the file at `path`, made on first use and readable by its owner only.

        Raises:
          FileError: it is not a key: with another one, nobody would be found again. Unavailable: it cannot be read.
        """
        return cls(secret_in(path))

    def of(self, lineage: str, unit: str) -> str:
        """The pseudonym of a person's id, as `catalog.ids` writes it, among the people of a lineage; 64 characters."""
        return self.hashed("unit", lineage, unit)

    def hashed(self, *parts: str) -> str:
        """A keyed hash over texts, none of which can run into the next."""
        encoded = [part.encode() for part in parts]
        message = b"".join([len(part).to_bytes(8, "big") + part for part in encoded])
        return hmac.digest(self._key, message, "sha256").hex()

    def sealed(self, key: str, about: str, content: str) -> str:
        """A text under a key of that name (AES-256-GCM), as hex; it opens for what it is about, and nothing else."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return (nonce + self._cipher(key).encrypt(nonce, content.encode(), about.encode())).hex()

    def opened(self, key: str, about: str, sealed: str) -> str:
        """What was sealed.

        Raises:
          FileError: with another key, or it is about something else.
        """
        raw = bytes.fromhex(sealed)
        try:
            return self._cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode()).decode()
        except InvalidTag:
            what = "does not open what is sealed in consent.db: restore both from one backup"
            raise FileError("consent.key", what) from None

    def _cipher(self, key: str) -> AESGCM:
        return AESGCM(bytes.fromhex(self.hashed(key)))
