"""Callers whom an OIDC issuer vouches for: a bearer JWT becomes an identity, or nobody.

Only the issuer of the settings is believed, for the audience of the settings, by a signature of one of its keys. The
role and the datasets come from claims. A token without either is nobody's: nothing is allowed by being left out.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpstats.api.issuer_keys import ALGORITHMS, IssuerKeys
from dpstats.api.strict_json import parse
from dpstats.errors import Unauthorized
from dpstats.ledger.tokens import Identity, Role
from dpstats.settings import Settings

if TYPE_CHECKING:
    from jwt import PyJWK

LEEWAY_S = 30
"""Seconds by which the issuer's clock and this one may differ."""
MAX_TOKEN_LENGTH = 8192
MAX_SUBJECT_LENGTH = 255
ALL_DATASETS = "*"
"""In the claim of datasets: all of them."""

_COMPACT = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]*)", re.ASCII)


@dataclass(frozen=True)
class OidcTerms:
    """Whom to believe, and where a token says what its holder may do."""

    issuer: str
    audience: str
    role_claim: str
    datasets_claim: str


class Issuer:
    """Knows callers by the tokens of one issuer."""

    def __init__(self, terms: OidcTerms, keys: IssuerKeys) -> None:
        self._terms, self._keys = terms, keys

    async def identity(self, token: str) -> Identity:
        """Whose token this is. The name that the ledger writes is `subject@issuer`; there is no cap of its own.

        Raises:
          Unauthorized: it is not a token of the issuer for this service, not valid now, or gives no role or datasets.
          Unavailable: the issuer does not give its keys.
        """
        found = _COMPACT.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
        if found is None:
            raise Unauthorized
        key = await self._keys.key(_key_id(found[1]))
        if key is None:
            raise Unauthorized
        self._verify(token, key)
        return _identity(_part(found[2]), self._terms)

    def _verify(self, token: str, key: PyJWK) -> None:
        import jwt

        try:
            jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._terms.audience,
                issuer=self._terms.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError):
            raise Unauthorized from None


def issuer_of(settings: Settings) -> Issuer | None:
    """The issuer that the settings name, None if there is none; nothing is fetched yet."""
    if not settings.oidc_issuer:
        return None
    terms = OidcTerms(
        settings.oidc_issuer, settings.oidc_audience, settings.oidc_role_claim, settings.oidc_datasets_claim
    )
    return Issuer(terms, IssuerKeys(terms.issuer))


def is_jwt(token: str) -> bool:
    """Whether it has the form of a JWT; a token that a steward made never has."""
    return token.count(".") == 2


def _key_id(header: str) -> str:
    """The id of the key that a token says it is signed with."""
    said = _part(header)
    kid = said.get("kid")
    if said.get("alg") not in ALGORITHMS or "crit" in said or not isinstance(kid, str):
        raise Unauthorized
    return kid


def _part(text: str) -> dict[str, Any]:
    """A part of a token, read so strictly that no two readers can differ on it: a name that comes twice is refused."""
    try:
        part = parse(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise Unauthorized from None
    if not isinstance(part, dict):
        raise Unauthorized
    return part


def _identity(claims: dict[str, Any], terms: OidcTerms) -> Identity:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or not subject.isprintable():
        raise Unauthorized
    if len(subject) > MAX_SUBJECT_LENGTH:
        raise Unauthorized
    return Identity(
        token_id="",
        name=f"{subject}@{terms.issuer}",
        role=_role(_texts(claims.get(terms.role_claim))),
        datasets=_datasets(_texts(claims.get(terms.datasets_claim))),
        cap_steps=None,
        vouched_by=terms.issuer,
    )


def _role(said: list[str]) -> Role:
    """The one role among what the claim says, which may hold other systems' roles too."""
    match sorted(set(said) & {str(role) for role in Role}):
        case [role]:
            return Role(role)
        case _:
            raise Unauthorized


def _datasets(said: list[str]) -> tuple[str, ...]:
    if not said:
        raise Unauthorized
    return () if ALL_DATASETS in said else tuple(sorted(set(said)))


def _texts(claim: object) -> list[str]:
    """A claim that is a text or a list of texts, as a list; whatever else it is says nothing."""
    texts = claim if isinstance(claim, list) else [claim]
    return [text for text in texts if isinstance(text, str) and text]
