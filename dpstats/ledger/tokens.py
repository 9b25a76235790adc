"""Tokens: 256 random bits, shown once, kept only as a hash. One that expired or was revoked is gone for good."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Text,
    and_,
    bindparam,
    insert,
    or_,
    select,
    update,
)

from dpstats.errors import Conflict, NotFound
from dpstats.ledger import schema
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.clock import Clock, later, moment_of, stamp
from dpstats.ledger.database import reading, writing
from dpstats.ledger.prepared import Prepared, Row
from dpstats.privacy.loss import amount_down

_PREFIX_LENGTH = 8
"""Characters of a token that are kept to recognise it by: `dps_` and four more."""

AT_ONCE = timedelta(0)
"""The grace of a secret that ends when the next one is made."""

_TOKENS = schema.tokens.c


class Role(StrEnum):
    """What a token may do."""

    ANALYST = "analyst"
    JOB = "job"
    STEWARD = "steward"
    COLLECTOR = "collector"


@dataclass(frozen=True)
class Identity:
    """Who calls. `datasets` empty means all; `cap_steps` limits what the token may ever charge, in steps of 1e-12.

    `token_id` is empty where nobody made a token: for the host's operator, and whoever an OIDC issuer vouches for.
    `vouched_by` is that issuer, empty for everybody else.
    """

    token_id: str
    name: str
    role: Role
    datasets: tuple[str, ...]
    cap_steps: int | None
    vouched_by: str = ""


class State(StrEnum):
    """What became of a token."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class TokenRecord:
    """What is kept of a token, and its state when it was read.

    `prefix` is its first characters. `expires_at` is None if it lives until it is revoked, `rotated_at` if it has its
    first secret, `earlier_until` if no secret before the present one is still taken.
    """

    identity: Identity
    prefix: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None
    earlier_until: datetime | None
    revoked_at: datetime | None
    state: State


@dataclass(frozen=True)
class Recognised:
    """Whose token a secret is. `until`: from when on it is not taken, None if only a steward can end it."""

    identity: Identity
    until: datetime | None


class Tokens:
    """Makes, knows, rotates and revokes tokens."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def create(
        self,
        name: str,
        role: Role | str,
        datasets: tuple[str, ...],
        cap_rho: Decimal | None,
        actor: str,
        *,
        life: timedelta | None = None,
    ) -> str:
        """Makes a token and returns its text, which is never to be had again.

        Args:
          datasets: what it may see, empty for all. cap_rho: what it may ever charge, >= 0, rounded down to 1e-12.
          life: after how long it expires, > 0; None: it lives until it is revoked.

        Raises:
          Conflict: a live token has this name, or it is formed as an id. ValueError: no name, no such role, a cap that
            is not a number >= 0, or a life that is over.
        """
        if not name.strip():
            raise ValueError("a token needs a name")
        if cap_rho is not None and not (cap_rho.is_finite() and 0 <= cap_rho <= 1_000_000):
            raise ValueError("a token's cap is between 0 and 1,000,000")
        if _ID.fullmatch(name):  # tokens are rotated and revoked by name or id: one must not stand for another
            raise Conflict("a token's name is not formed as an id is: choose another name")
        text, now = _new_secret(), self._clock()
        row = {
            "token_id": f"tok_{secrets.token_hex(8)}",
            "name": name,
            "role": Role(role),
            "datasets": canonical_json(sorted(set(datasets))),
            "cap_steps": None if cap_rho is None else amount_down(cap_rho),
            "token_hash": secret_hash(text),
            "prefix": text[:_PREFIX_LENGTH],
            "created_by": actor,
            "created_at": stamp(now),
            "expires_at": _end(now, life),
        }
        with writing(self._engine) as connection:
            if _live(connection, _TOKENS.name == name, now) is not None:
                raise Conflict(f"a token named {name} is live: revoke it first, or choose another name")
            connection.execute(insert(schema.tokens).values(row))
        return text

    def rotate(self, name_or_id: str, *, grace: timedelta = AT_ONCE, life: timedelta | None = None) -> str:
        """Gives the live token of this name or id a new secret, and returns it; it is never to be had again.

        The token stays the same one: its role, datasets and cap stand, and what it charged counts.

        Args:
          grace: for how long the present secret is still taken, >= 0, never longer than it was to live; the one before
            it ends at once. life: after how long the token expires, > 0; None: when it would have.

        Raises:
          NotFound: no live token of this name or id. ValueError: a grace below 0, or a life that is over.
        """
        if grace < AT_ONCE:
            raise ValueError("a grace is at least 0")
        text, now = _new_secret(), self._clock()
        with writing(self._engine) as connection:
            row = _live(connection, _named(name_or_id), now)
            if row is None:
                raise NotFound("live token", name_or_id)
            ends = min(end for end in (stamp(later(now, grace)), row["expires_at"]) if end is not None)
            changed = {
                "token_hash": secret_hash(text),
                "prefix": text[:_PREFIX_LENGTH],
                "rotated_at": stamp(now),
                "earlier_hash": row["token_hash"] if grace else None,
                "earlier_until": ends if grace else None,
                "expires_at": row["expires_at"] if life is None else _end(now, life),
            }
            connection.execute(update(schema.tokens).where(_TOKENS.token_id == row["token_id"]).values(changed))
        return text

    def authenticate(self, token: str) -> Identity | None:
        """Whose token this is; None if it is unknown, expired or revoked."""
        known = self.recognise(token)
        return None if known is None else known.identity

    def recognise(self, token: str) -> Recognised | None:
        """Whose token this is, and until when, if nothing is done to it; None if it is unknown, expired or revoked."""
        digest, now = secret_hash(token), self._clock()
        with reading(self._engine) as connection:
            row = _OF_SECRET.one(connection, digest=digest, at=stamp(now))
        if row is None or not any(hmac.compare_digest(row[name] or "", digest) for name in _HASHES):
            return None
        ends = [row["expires_at"], None if hmac.compare_digest(row["token_hash"], digest) else row["earlier_until"]]
        return Recognised(identity_of(row), min((moment_of(end) for end in ends if end is not None), default=None))

    def list(self) -> tuple[TokenRecord, ...]:
        """Every token ever made, oldest first."""
        query, now = select(schema.tokens).order_by(_TOKENS.created_at, _TOKENS.token_id), stamp(self._clock())
        with reading(self._engine) as connection:
            return tuple(_record(row, now) for row in connection.execute(query).mappings())

    def revoke(self, name_or_id: str) -> int:
        """Ends the live token of this name or id, at once and for good, and says how many ended."""
        now = self._clock()
        ended = update(schema.tokens).where(_named(name_or_id), still_live(now)).values(revoked_at=stamp(now))
        with writing(self._engine) as connection:
            return connection.execute(ended).rowcount


_ID = re.compile(r"tok_[0-9a-f]{16}")
_HASHES = ("token_hash", "earlier_hash")


def still_live(now: datetime) -> ColumnElement[bool]:
    """Of a token: neither revoked nor expired."""
    return _is_live(stamp(now))


def _is_live(at: str | BindParameter[str]) -> ColumnElement[bool]:
    return and_(_TOKENS.revoked_at.is_(None), or_(_TOKENS.expires_at.is_(None), _TOKENS.expires_at > at))


# Made once: making a statement takes longer than SQLite takes to carry it out.
_DIGEST, _AT = bindparam("digest", type_=Text), bindparam("at", type_=Text)
_OF_SECRET = Prepared(
    select(schema.tokens).where(
        or_(_TOKENS.token_hash == _DIGEST, and_(_TOKENS.earlier_hash == _DIGEST, _TOKENS.earlier_until > _AT)),
        _is_live(_AT),
    )
)


def _named(name_or_id: str) -> ColumnElement[bool]:
    return or_(_TOKENS.name == name_or_id, _TOKENS.token_id == name_or_id)


def _live(connection: Connection, which: ColumnElement[bool], now: datetime) -> RowMapping | None:
    return connection.execute(select(schema.tokens).where(which, still_live(now))).mappings().first()


def _end(now: datetime, life: timedelta | None) -> str | None:
    if life is not None and life <= timedelta(0):
        raise ValueError("a token lives for longer than 0")
    return None if life is None else stamp(later(now, life))


def _new_secret() -> str:
    return f"dps_{secrets.token_urlsafe(32)}"


def secret_hash(token: str) -> str:
    """What is kept of a secret."""
    # The token has 256 random bits, so a plain hash cannot be searched; `replace` lets any text be refused, not fail.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def identity_of(row: Row) -> Identity:
    """Whose token a row of `tokens` is."""
    return Identity(
        token_id=row["token_id"],
        name=row["name"],
        role=Role(row["role"]),
        datasets=tuple(json.loads(row["datasets"])),
        cap_steps=row["cap_steps"],
    )


def _record(row: RowMapping, now: str) -> TokenRecord:
    earlier_until = row["earlier_until"]
    return TokenRecord(
        identity=identity_of(row),
        prefix=row["prefix"],
        created_by=row["created_by"],
        created_at=moment_of(row["created_at"]),
        expires_at=_moment(row["expires_at"]),
        rotated_at=_moment(row["rotated_at"]),
        earlier_until=_moment(earlier_until if earlier_until is not None and earlier_until > now else None),
        revoked_at=_moment(row["revoked_at"]),
        state=_state(row, now),
    )


def _state(row: RowMapping, now: str) -> State:
    if row["revoked_at"] is not None:
        return State.REVOKED
    return State.LIVE if row["expires_at"] is None or row["expires_at"] > now else State.EXPIRED


def _moment(text: str | None) -> datetime | None:
    return None if text is None else moment_of(text)
