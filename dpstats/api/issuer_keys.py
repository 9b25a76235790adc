"""The keys that an OIDC issuer signs with, fetched when they are first needed and again when it may have changed them.

Keys that cannot be had let nobody in: then `Unavailable` is raised, and who sent the token is never known.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from dpstats.api.strict_json import parse
from dpstats.errors import Unavailable
from dpstats.settings import is_safe_address

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Signatures that are taken: by keys that the issuer alone has. Never a shared secret, never none."""

KEPT_S = 600
"""Seconds for which fetched keys are taken: a key that the issuer withdrew is refused after that."""
AGAIN_AFTER_S = 5
"""Seconds between two fetches, whatever is asked, so that nobody can make this service flood the issuer."""
FETCH_S = 10
"""Seconds that a fetch may take."""
MAX_DOCUMENT_BYTES = 1024 * 1024

log = logging.getLogger("dpstats.api")


class IssuerKeys:
    """The keys of one issuer, by their ids. `clock` tells seconds."""

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._clock = issuer, clock
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched = self._tried = -math.inf
        self._one_at_a_time = anyio.Lock()

    async def key(self, kid: str) -> PyJWK | None:
        """The key of this id; None if the issuer has no such key.

        Raises:
          Unavailable: the issuer does not give its keys.
        """
        if not self._known(kid):
            async with self._one_at_a_time:
                if not self._known(kid):
                    await self._fetch_if_due()
        return self._keys.get(kid)

    def _known(self, kid: str) -> bool:
        return self._are_fresh and kid in self._keys

    @property
    def _are_fresh(self) -> bool:
        return self._clock() - self._fetched < KEPT_S

    async def _fetch_if_due(self) -> None:
        now = self._clock()
        if now - self._tried >= AGAIN_AFTER_S:
            self._tried = now
            self._keys = await _fetch(self._issuer)
            self._fetched = now
        elif not self._are_fresh:
            raise Unavailable


async def _fetch(issuer: str) -> Mapping[str, PyJWK]:
    try:
        with anyio.fail_after(FETCH_S):
            return await _from(issuer)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        log.error("the OIDC issuer does not give its keys: %s", type(error).__name__)
        raise Unavailable from None


async def _from(issuer: str) -> Mapping[str, PyJWK]:
    async with httpx.AsyncClient(timeout=FETCH_S, follow_redirects=False) as client:
        document = await _document(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
        address = document.get("jwks_uri")
        if document.get("issuer") != issuer or not isinstance(address, str) or not is_safe_address(address):
            raise ValueError("not this issuer's document")
        keys = (await _document(client, address)).get("keys")
    if not isinstance(keys, list):
        raise ValueError("not a key set")
    return dict(_usable(keys))


async def _document(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    async with client.stream("GET", address, headers={"Accept": "application/json"}) as answer:
        if answer.status_code != httpx.codes.OK:
            raise ValueError("not an answer")
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_DOCUMENT_BYTES:
                raise ValueError("too large")
    found = parse(bytes(body))
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _usable(keys: list[Any]) -> Iterator[tuple[str, PyJWK]]:
    """The public keys that check signatures by one of `ALGORITHMS` and are long enough; an issuer may have others."""
    from jwt import PyJWK, PyJWTError

    for found in keys:
        with suppress(PyJWTError, ValueError, TypeError, AttributeError):
            key = PyJWK.from_dict(found)
            signs = found.get("use", "sig") == "sig" and key.algorithm_name in ALGORITHMS and "d" not in found
            if signs and isinstance(key.key_id, str) and key.Algorithm.check_key_length(key.key) is None:
                yield key.key_id, key
