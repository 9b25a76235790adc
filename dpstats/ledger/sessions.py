"""Sign-ins of browsers: a secret of their own, kept only as a hash, that ends with its token everywhere at once."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import Engine, and_, delete, insert, or_, select

from dpstats.ledger import schema
from dpstats.ledger.clock import Clock, later, stamp
from dpstats.ledger.database import reading, writing
from dpstats.ledger.tokens import Identity, Tokens, identity_of, secret_hash, still_live

LIFE = timedelta(hours=12)
"""After how long a browser must sign in again: a day's work."""

_SESSIONS, _TOKENS = schema.sessions.c, schema.tokens.c


class Sessions:
    """Begins, knows and ends sign-ins."""

    def __init__(self, engine: Engine, clock: Clock, tokens: Tokens) -> None:
        self._engine, self._clock, self._tokens = engine, clock, tokens

    def begin(self, token: str) -> str | None:
        """Signs in with a token: the session's secret, or None if the token is unknown, expired or revoked.

        Sign-ins that are over are forgotten.
        """
        identity = self._tokens.authenticate(token)
        if identity is None:
            return None
        secret, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "session_hash": secret_hash(secret),
            "token_id": identity.token_id,
            "token_hash": secret_hash(token),
            "created_at": stamp(now),
            "expires_at": stamp(later(now, LIFE)),
        }
        with writing(self._engine) as connection:
            connection.execute(delete(schema.sessions).where(_SESSIONS.expires_at <= stamp(now)))
            connection.execute(insert(schema.sessions).values(row))
        return secret

    def find(self, secret: str) -> Identity | None:
        """Who signed in; None if the sign-in is unknown or over, or its token would not be taken any more."""
        now = self._clock()
        taken = or_(
            _TOKENS.token_hash == _SESSIONS.token_hash,
            and_(_TOKENS.earlier_hash == _SESSIONS.token_hash, _TOKENS.earlier_until > stamp(now)),
        )
        query = (
            select(schema.tokens)
            .join(schema.sessions, _TOKENS.token_id == _SESSIONS.token_id)
            .where(_SESSIONS.session_hash == secret_hash(secret), _SESSIONS.expires_at > stamp(now))
            .where(taken, still_live(now))
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else identity_of(row)

    def end(self, secret: str) -> None:
        """Signs out; a sign-in that is not there is over already."""
        with writing(self._engine) as connection:
            connection.execute(delete(schema.sessions).where(_SESSIONS.session_hash == secret_hash(secret)))
