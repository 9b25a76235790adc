"""The workspace's signature: an Ed25519 key in a file of its own, so that a copy of the database cannot sign."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dpstats.errors import LedgerBroken, Unavailable
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.files import create_durably

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_PREFIX = "ed25519:"


class Verifier(Protocol):
    """Says whether a signature is of one key; it may be the public part alone."""

    def signed(self, message: bytes, signature: str) -> bool:
        """Whether `signature` is this key's over `message`."""


class PublicKey:
    """The public part of a key, as `Signer.public` writes it.

    Raises:
      ValueError: it is none.
    """

    def __init__(self, text: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.removeprefix(_PREFIX)))

    def signed(self, message: bytes, signature: str) -> bool:
        """Whether `signature` is this key's over `message`."""
        return _verifies(self._key, message, signature)


class Signer:
    """Signs and checks with the key at `path`, read when first needed. Nothing shows the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Makes the key, mode 0600, unless there is one already."""
        if self._path.exists():
            return
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        create_durably(self._path, Ed25519PrivateKey.generate().private_bytes_raw().hex().encode() + b"\n")

    def sign(self, message: bytes) -> str:
        """`ed25519:` and the signature in hex.

        Raises:
          LedgerBroken: the key file is missing or damaged.
        """
        return _PREFIX + self._key.sign(message).hex()

    def signed(self, message: bytes, signature: str) -> bool:
        """Whether `signature` is this key's over `message`.

        Raises:
          LedgerBroken: the key file is missing or damaged.
        """
        return _verifies(self._key.public_key(), message, signature)

    @property
    def public(self) -> str:
        """The public part of the key, `ed25519:` and hex: what whoever verifies a copy of the ledger needs.

        Raises:
          LedgerBroken: the key file is missing or damaged.
        """
        return _PREFIX + self._key.public_key().public_bytes_raw().hex()

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self._path.read_text("ascii").strip()))
        except FileNotFoundError:
            raise LedgerBroken(f"{self._path}: the ledger's signing key is missing: restore it from a backup") from None
        except ValueError:
            raise LedgerBroken(f"{self._path}: the ledger's signing key is damaged: restore it from a backup") from None
        except OSError as error:
            raise Unavailable from error


def _verifies(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(bytes.fromhex(str(signature).removeprefix(_PREFIX)), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def head_message(lineage: str, seq: int, entry_hash: str) -> bytes:
    """What the signature of an entry, and of the head when it is the newest, covers."""
    return canonical_json({"hash": entry_hash, "lineage": lineage, "seq": seq}).encode()
