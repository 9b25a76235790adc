"""When a notice of these contents was built: a privacy policy is looked over at least every 12 months (7011(e)(4))."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, Integer, Table, Text, insert, select

from dpstats.ledger.clock import moment_of, stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata

WARNED_AFTER, EXPIRED_AFTER = timedelta(days=334), timedelta(days=365)
"""11 and 12 months, in the earlier reading."""

built = Table(
    "notices_built",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("version", Text, nullable=False),
    Column("built_at", Text, nullable=False),
)


class NoticesBuilt:
    """The notices that were built in one workspace."""

    def __init__(self, database: ConsentDatabase) -> None:
        self._database = database

    def note(self, version: str, now: datetime) -> None:
        """Notes that the notice of this version was built."""
        with self._database.writing() as connection:
            connection.execute(insert(built).values(version=version, built_at=stamp(now)))

    def overdue(self, version: str, now: datetime) -> str:
        """What is wrong with the notice that was built last, against the version as it is now; empty if nothing is."""
        query = select(built).order_by(built.c.seq.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return ""
        since = moment_of(row["built_at"])
        if row["version"] != version:
            return f"the one built on {since:%Y-%m-%d} does not tell what the files say now: build it again"
        if now - since >= EXPIRED_AFTER:
            return f"it expired: it was built on {since:%Y-%m-%d}, and is looked over every 12 months"
        if now - since >= WARNED_AFTER:
            return f"it expires on {since + EXPIRED_AFTER:%Y-%m-%d}: look it over, and build it again"
        return ""
