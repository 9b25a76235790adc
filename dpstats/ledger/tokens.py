"""Tokens: 256 random bits, shown once, kept only as a hash."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Engine, RowMapping, insert, or_, select, update

from dpstats.errors import Conflict
from dpstats.ledger import schema
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.clock import Clock, moment_of, stamp
from dpstats.ledger.database import reading, writing
from dpstats.privacy.loss import amount_down

_PREFIX_LENGTH = 8
"""Characters of a token that are kept to recognise it by: `dps_` and four more."""

_TOKENS = schema.tokens.c


class Role(StrEnum):
    """What a token may do."""

    ANALYST = "analyst"
    JOB = "job"
    STEWARD = "steward"
    COLLECTOR = "collector"


@dataclass(frozen=True)
class Identity:
    """Who calls. `datasets` empty means all; `cap_steps` limits what the token may ever charge, in steps of 1e-12."""

    token_id: str
    name: str
    role: Role
    datasets: tuple[str, ...]
    cap_steps: int | None


@dataclass(frozen=True)
class TokenRecord:
    """What is kept of a token. `prefix` is its first characters; `revoked_at` is None while it is live."""

    identity: Identity
    prefix: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None


class Tokens:
    """Makes, knows and revokes tokens."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def create(
        self, name: str, role: Role | str, datasets: tuple[str, ...], cap_rho: Decimal | None, actor: str
    ) -> str:
        """Makes a token and returns its text, which is never to be had again.

        Args:
          datasets: what it may see, empty for all. cap_rho: what it may ever charge, >= 0, rounded down to 1e-12.

        Raises:
          Conflict: a live token has this name. ValueError: no name, no such role, or a cap that is not a number >= 0.
        """
        if not name.strip():
            raise ValueError("a token needs a name")
        if cap_rho is not None and not (cap_rho.is_finite() and 0 <= cap_rho <= 1_000_000):
            raise ValueError("a token's cap is between 0 and 1,000,000")
        text = f"dps_{secrets.token_urlsafe(32)}"
        row = {
            "token_id": f"tok_{secrets.token_hex(8)}",
            "name": name,
            "role": Role(role),
            "datasets": canonical_json(sorted(set(datasets))),
            "cap_steps": None if cap_rho is None else amount_down(cap_rho),
            "token_hash": _hash(text),
            "prefix": text[:_PREFIX_LENGTH],
            "created_by": actor,
            "created_at": stamp(self._clock()),
        }
        with writing(self._engine) as connection:
            live = select(_TOKENS.token_id).where(_TOKENS.name == name, _TOKENS.revoked_at.is_(None))
            if connection.execute(live).first() is not None:
                raise Conflict(f"a token named {name} is live: revoke it first, or choose another name")
            connection.execute(insert(schema.tokens).values(row))
        return text

    def authenticate(self, token: str) -> Identity | None:
        """Whose token this is; None if it is unknown or revoked."""
        digest = _hash(token)
        query = select(schema.tokens).where(_TOKENS.token_hash == digest, _TOKENS.revoked_at.is_(None))
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None or not hmac.compare_digest(row["token_hash"], digest):
            return None
        return _identity(row)

    def list(self) -> tuple[TokenRecord, ...]:
        """Every token ever made, oldest first."""
        query = select(schema.tokens).order_by(_TOKENS.created_at, _TOKENS.token_id)
        with reading(self._engine) as connection:
            return tuple(_record(row) for row in connection.execute(query).mappings())

    def revoke(self, name_or_id: str) -> int:
        """Ends the live token of this name or id, at once and for good, and says how many ended."""
        ended = update(schema.tokens).where(
            or_(_TOKENS.name == name_or_id, _TOKENS.token_id == name_or_id), _TOKENS.revoked_at.is_(None)
        )
        with writing(self._engine) as connection:
            return connection.execute(ended.values(revoked_at=stamp(self._clock()))).rowcount


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash cannot be searched; `replace` lets any text be refused, not fail.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _identity(row: RowMapping) -> Identity:
    return Identity(
        token_id=row["token_id"],
        name=row["name"],
        role=Role(row["role"]),
        datasets=tuple(json.loads(row["datasets"])),
        cap_steps=row["cap_steps"],
    )


def _record(row: RowMapping) -> TokenRecord:
    revoked_at = None if row["revoked_at"] is None else moment_of(row["revoked_at"])
    return TokenRecord(_identity(row), row["prefix"], row["created_by"], moment_of(row["created_at"]), revoked_at)
