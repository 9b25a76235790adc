"""What is asked of whoever receives answers: terms in numbered versions, and who accepted which.

The newest version holds, for everybody, from the moment it is published. Where none ever was, nobody is asked. Both
histories only grow: who accepted what, as the hash of its very text, stays on record.

Source: 1798.140(m)(3): recipients are bound by contract not to re-identify anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, insert, select

from dpstats.errors import Conflict
from dpstats.ledger import histories, schema
from dpstats.ledger.chain import sha256
from dpstats.ledger.clock import Clock, moment_of, stamp
from dpstats.ledger.database import reading, writing
from dpstats.ledger.tokens import Identity

SCOPE = "workspace"
TEXT_MAX = 100_000
"""Characters of the terms."""
_ACCEPTANCES = schema.acceptances.c


@dataclass(frozen=True)
class Terms:
    """One version of the terms. `sha256` is of the text in UTF-8."""

    version: int
    text: str
    sha256: str
    published_by: str
    published_at: datetime


@dataclass(frozen=True)
class Acceptance:
    """That a token's holder accepted a version. `actor`: who said so, the holder or a steward on its behalf."""

    holder: str
    name: str
    version: int
    sha256: str
    actor: str
    at: datetime


def holder_of(identity: Identity) -> str:
    """Who is bound: a token, or whom an OIDC issuer vouches for. Empty for the host's own operator."""
    return identity.token_id or (identity.name if identity.vouched_by else "")


class Recipients:
    """The terms of one workspace."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def publish(self, text: str, actor: str) -> Terms:
        """Makes a text the version in force; the text that is in force already stays the version that it is.

        Raises:
          ValueError: there is no text, or too much of it.
        """
        if not text.strip() or len(text) > TEXT_MAX:
            raise ValueError(f"terms are a text of 1 to {TEXT_MAX:,} characters")
        with writing(self._engine) as connection:
            found = _current(connection)
            if found is None or found.text != text:
                row = {"text": text, "sha256": sha256(text), "actor": actor, "at": stamp(self._clock())}
                histories.append(connection, schema.recipient_terms, SCOPE, row)
            return _in_force(connection)

    def current(self) -> Terms | None:
        """The version in force, None if none was ever published."""
        with reading(self._engine) as connection:
            return _current(connection)

    def owed(self, identity: Identity) -> Terms | None:
        """The version in force, if the caller is bound by it and has not accepted it."""
        holder = holder_of(identity)
        with reading(self._engine) as connection:
            terms = _current(connection) if holder else None
            return None if terms is None or _accepted(connection, holder, terms.version) else terms

    def accept(self, identity: Identity, version: int, *, actor: str) -> Acceptance:
        """Notes that the caller accepts a version; said again, the first time stands.

        Raises:
          Conflict: another version is in force, or none is, or the host's own operator would accept.
        """
        holder = holder_of(identity)
        if not holder:
            raise Conflict("whoever works on the host itself receives nothing over the network, and accepts no terms")
        with writing(self._engine) as connection:
            terms = _in_force(connection)
            if version != terms.version:
                raise Conflict(f"version {version} of the terms is not in force, {terms.version} is: read that one")
            if not _accepted(connection, holder, version):
                row = {
                    "holder": holder,
                    "number": version,
                    "name": identity.name,
                    "sha256": terms.sha256,
                    "actor": actor,
                    "at": stamp(self._clock()),
                }
                connection.execute(insert(schema.acceptances).values(row))
            found = connection.execute(_of(holder, version)).mappings().one()
        return _acceptance(found)

    def acceptances(self) -> tuple[Acceptance, ...]:
        """Every acceptance of every version, oldest first."""
        query = select(schema.acceptances).order_by(_ACCEPTANCES.at, _ACCEPTANCES.holder)
        with reading(self._engine) as connection:
            return tuple(_acceptance(row) for row in connection.execute(query).mappings())


def _current(connection: Connection) -> Terms | None:
    row = histories.newest(connection, schema.recipient_terms, SCOPE)
    if row is None:
        return None
    return Terms(row["number"], row["text"], row["sha256"], row["actor"], moment_of(row["at"]))


def _in_force(connection: Connection) -> Terms:
    found = _current(connection)
    if found is None:
        raise Conflict("no recipients' terms are in force, so there are none to accept")
    return found


def _of(holder: str, version: int) -> Select[Any]:
    return select(schema.acceptances).where(_ACCEPTANCES.holder == holder, _ACCEPTANCES.number == version)


def _accepted(connection: Connection, holder: str, version: int) -> bool:
    return connection.execute(_of(holder, version)).first() is not None


def _acceptance(row: RowMapping) -> Acceptance:
    return Acceptance(row["holder"], row["name"], row["number"], row["sha256"], row["actor"], moment_of(row["at"]))
