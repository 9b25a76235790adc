"""Style sheet, script and icon, under addresses that hold a hash of them, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from dpstats.errors import NotFound

MEDIA_TYPES = {
    "style.css": "text/css",
    "steward.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Every file that is served as it is."""
KEPT = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file, and the last part of its address."""

    name: str
    address: str
    content: bytes

    @property
    def media_type(self) -> str:
        """What it is."""
        return MEDIA_TYPES[self.name]


def address_of(name: str) -> str:
    """Where a page finds a file."""
    return f"/static/{asset_named(name).address}"


def asset_at(address: str) -> Asset:
    """The file at the last part of an address.

    Raises:
      NotFound: no file, or not in the form that this service has.
    """
    for name in MEDIA_TYPES:
        if asset_named(name).address == address:
            return asset_named(name)
    raise NotFound("file", address)


@lru_cache(maxsize=len(MEDIA_TYPES))
def asset_named(name: str) -> Asset:
    """One of `MEDIA_TYPES`."""
    content = (resources.files("dpstats.web") / "static" / name).read_bytes()
    stem, _, ending = name.rpartition(".")
    return Asset(name, f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{ending}", content)
