"""Stewards' approvals of a query's versions. Of one version's approvals the newest rules, and it may end by itself.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select

from dpstats.ledger import histories, policies, schema
from dpstats.ledger.clock import later, moment_of, stamp
from dpstats.ledger.prepared import Prepared, Row

_APPROVALS = schema.approvals.c
_NEWEST = Prepared(
    select(schema.approvals)
    .where(_APPROVALS.query == bindparam("of_query"), _APPROVALS.version == bindparam("of_version"))
    .order_by(_APPROVALS.number.desc())
    .limit(1)
)


@dataclass(frozen=True)
class Approval:
    """A steward's approval of a query's version, as it is in one revision of its text.

    `revoked_at` ends it, `expires_at` (None: never) too. `confirmed_by`: the second steward, if there was one.
    """

    query: str
    version: str
    revision: int
    approved_by: str
    approved_at: datetime
    revoked_by: str | None
    revoked_at: datetime | None
    expires_at: datetime | None = None
    confirmed_by: str | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at `now`; from the moment `expires_at` on it is expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class Wish:
    """What a steward approves. `expires_after` None: it does not end by itself.

    `epsilon` is what one release alone amounts to, in steps of 1e-12, None if that is not known; `sensitive`: it reads
    a sensitive column, as far as is known. What is not known counts as needing a second steward.
    `confirmed_by`: the second steward, None while it has one alone.
    """

    query: str
    version: str
    revision: int
    actor: str
    expires_after: timedelta | None = None
    epsilon: int | None = None
    sensitive: bool = True
    confirmed_by: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """As a proposal keeps it: all but who."""
        span = None if self.expires_after is None else self.expires_after.total_seconds()
        return {
            "query": self.query,
            "version": self.version,
            "revision": self.revision,
            "expires_after_s": None if span is None else int(span),
            "epsilon": self.epsilon,
            "sensitive": self.sensitive,
        }

    @classmethod
    def read(cls, content: Mapping[str, Any], actor: str, confirmed_by: str) -> Wish:
        """What `content` wrote, with who."""
        span = content["expires_after_s"]
        return cls(
            content["query"],
            content["version"],
            content["revision"],
            actor,
            None if span is None else timedelta(seconds=span),
            content["epsilon"],
            content["sensitive"],
            confirmed_by,
        )


def ruling(connection: Connection, query: str, version: str) -> Approval | None:
    """The newest approval of the version, whether it holds or not: a shorter one given later counts."""
    row = _NEWEST.one(connection, of_query=query, of_version=version)
    return None if row is None else as_approval(row)


def approve(connection: Connection, wish: Wish, now: datetime) -> Approval:
    """Approves; the same that holds already, without an end, is left as it is.

    Raises:
      NotFound: no such query or revision. SecondStewardNeeded: policy asks for another steward.
    """
    histories.numbered(connection, schema.queries, wish.query, wish.revision)
    row = histories.newest(connection, schema.approvals, wish.query)
    last = None if row is None else as_approval(row)
    if last is None or not _is_as_wished(last, wish, now):
        if wish.confirmed_by is None:
            policies.check_approval(connection, wish.epsilon, sensitive=wish.sensitive)
        ends = None if wish.expires_after is None else stamp(later(now, wish.expires_after))
        values = {
            "version": wish.version,
            "revision": wish.revision,
            "approved_by": wish.actor,
            "approved_at": stamp(now),
            "expires_at": ends,
            "confirmed_by": wish.confirmed_by,
        }
        histories.append(connection, schema.approvals, wish.query, values)
    return as_approval(histories.known(connection, schema.approvals, wish.query))


def _is_as_wished(last: Approval, wish: Wish, now: datetime) -> bool:
    same = (last.version, last.revision) == (wish.version, wish.revision)
    return same and last.holds(now) and last.expires_at is None and wish.expires_after is None


def as_approval(row: Row) -> Approval:
    """The record of a row."""
    return Approval(
        query=row["query"],
        version=row["version"],
        revision=row["revision"],
        approved_by=row["approved_by"],
        approved_at=moment_of(row["approved_at"]),
        revoked_by=row["revoked_by"],
        revoked_at=None if row["revoked_at"] is None else moment_of(row["revoked_at"]),
        expires_at=None if row["expires_at"] is None else moment_of(row["expires_at"]),
        confirmed_by=row["confirmed_by"],
    )
