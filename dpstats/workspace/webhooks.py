"""Who is sent messages, from one file, and how a message is signed and sent.

The file's `alarms` is told what is near due or overdue, which names nobody. Each of `recipients` is told of the
datasets that it lists when a person of theirs was erased, had something corrected or said no (1798.105(c), 11 CCR
7022(b), 7023(c), 7026(f)); who lists `in_place`, of whom the files of a table that is read in place still hold who was
erased.

Signed as Standard Webhooks 1.0 says: HMAC-SHA256 over `id.timestamp.body`, in base64, in `webhook-signature`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from dpstats.catalog.fields import FileModel, Items
from dpstats.catalog.source import load_file, read_yaml
from dpstats.catalog.validation import validate
from dpstats.errors import FileError
from dpstats.rights.outbox import Message
from dpstats.settings import is_safe_address

Told = Literal["deleted", "corrected", "opted_out", "limited", "in_place"]
SECRET_BYTES_MIN = 24
SECRET_PREFIX = "whsec_"  # noqa: S105 (how a secret begins, not one)
SEND_S = 10
"""Seconds that a recipient has to take a message."""
ALARMS = "alarms"
"""The name of whoever is told what is due."""


def _address(url: str) -> str:
    if not is_safe_address(url):
        raise ValueError("must be an https address; http only on this machine itself")
    return url


def _named(name: str) -> str:
    if not name.strip() or name == ALARMS or len(name) > 100 or not name.isprintable():
        raise ValueError(f"must be a name of at most 100 characters, other than {ALARMS}")
    return name


class AlarmsTo(FileModel):
    """Where alarms go, and the file of the secret that signs them."""

    url: Annotated[str, AfterValidator(_address)]
    secret_file: str


class RecipientSpec(AlarmsTo):
    """Somebody who must be told of people's wishes: of which datasets, and of what."""

    name: Annotated[str, AfterValidator(_named)]
    datasets: Items[str]
    told: Items[Told] = ("deleted", "corrected", "opted_out", "limited")


class WebhooksFile(FileModel):
    """The file."""

    alarms: AlarmsTo | None = None
    recipients: Items[RecipientSpec] = ()


@dataclass(frozen=True)
class Webhook:
    """One recipient. Nothing shows its secret."""

    name: str
    url: str
    secret: bytes
    datasets: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Webhook({self.name})"


def read_webhooks(file: Path | None) -> tuple[Webhook, ...]:
    """Everybody who is told, from the file; nobody if there is none.

    Raises:
      FileError: it is wrong, or a secret cannot be read or is too short.
    """
    if file is None:
        return ()
    found = validate(WebhooksFile, read_yaml(load_file(file), str(file)))
    if len({each.name for each in found.recipients}) < len(found.recipients):
        raise FileError(str(file), "two recipients have one name", key="recipients")
    alarms = [Webhook(ALARMS, found.alarms.url, _secret(found.alarms.secret_file, file))] if found.alarms else []
    return (
        *alarms,
        *(
            Webhook(
                each.name, each.url, _secret(each.secret_file, file), frozenset(each.datasets), frozenset(each.told)
            )
            for each in found.recipients
        ),
    )


def _secret(name: str, file: Path) -> bytes:
    """The secret in a file, whose path is taken from beside the webhooks' own file."""
    path = file.parent / name
    try:
        text = path.read_bytes().strip()
        prefix = SECRET_PREFIX.encode()
        secret = base64.b64decode(text.removeprefix(prefix), validate=True) if text.startswith(prefix) else text
    except (OSError, binascii.Error):
        raise FileError(str(path), "cannot be read as a secret", key="secret_file") from None
    if len(secret) < SECRET_BYTES_MIN:
        raise FileError(str(path), f"must hold a secret of at least {SECRET_BYTES_MIN} bytes", key="secret_file")
    return secret


def signed(secret: bytes, message: Message, at: datetime) -> dict[str, str]:
    """The headers of a message that is sent at a moment."""
    seconds = str(int(at.timestamp()))
    mac = hmac.new(secret, f"{message.message_id}.{seconds}.{message.body}".encode(), hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": message.message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(mac.digest()).decode()}",
    }


Post = Callable[[Webhook, Message, datetime], bool]
"""Sends a message; says whether its recipient took it."""


def post(to: Webhook, message: Message, at: datetime) -> bool:
    """Sends a message over HTTP: taken is what is answered with 2xx. No redirect is followed."""
    import httpx

    try:
        headers = signed(to.secret, message, at)
        with httpx.Client(timeout=SEND_S, follow_redirects=False, trust_env=False) as client:
            return client.post(to.url, content=message.body.encode(), headers=headers).is_success
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return False
