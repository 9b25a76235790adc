"""The tables. History is append-only in the database too: triggers refuse to change, remove or replace a row."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    event,
    insert,
    inspect,
    select,
)

from dpstats.errors import LedgerBroken

SCHEMA_VERSION = 1
"""What this code reads and writes."""

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

lineages = Table(
    "lineages",
    metadata,
    Column("lineage", Text, primary_key=True),
    Column("measure", Text, nullable=False),
    Column("conversion_delta", BigInteger, nullable=False),
    Column("privacy_unit", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("lineage", Text, ForeignKey("lineages.lineage"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("measure", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("delta", BigInteger, nullable=False),
    Column("epsilon", BigInteger, nullable=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("token_id", Text, index=True),
    Column("release_id", Text, unique=True),
    Column("dataset", Text),
    Column("query", Text),
    Column("query_version", Text),
    Column("parameters", Text, nullable=False),
    Column("data_version", Text),
    Column("plan_hash", Text),
    Column("events", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("signature", Text, nullable=False),
    CheckConstraint("kind IN ('grant', 'charge')", name="entries_kind"),
    CheckConstraint("amount >= 0 AND delta >= 0 AND epsilon >= 0", name="entries_never_negative"),
    CheckConstraint("kind = 'grant' OR (amount > 0 AND release_id IS NOT NULL)", name="entries_charge"),
    Index("entries_question", "query_version", "parameters"),
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("lineage", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("query_version", Text, nullable=False),
    Column("question_hash", Text, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("fresh_until", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signature", Text, nullable=False),
    Index("releases_question", "question_hash", "fresh_until"),
    Index("releases_age", "created_at", "release_id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("release_id", Text, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("definition", Text, nullable=False),
    Column("lineage", Text, nullable=False),
    Column("registered_at", Text, nullable=False),
    info={"owner": "dataset", "number": "revision"},
)

data_versions = Table(
    "data_versions",
    metadata,
    Column("data_version", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("file", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("as_of", Text, nullable=False),
    Index("data_versions_order", "dataset", "number", unique=True),
    info={"owner": "dataset", "number": "number"},
)

freezes = Table(
    "freezes",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("frozen", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    info={"owner": "dataset", "number": "number"},
)

queries = Table(
    "queries",
    metadata,
    Column("query", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("dataset", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("submitted_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    info={"owner": "query", "number": "revision"},
)

approvals = Table(
    "approvals",
    metadata,
    Column("query", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", Text, nullable=False),
    Column("revoked_by", Text),
    Column("revoked_at", Text),
    info={"owner": "query", "number": "number"},
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("datasets", Text, nullable=False),
    Column("cap_steps", BigInteger),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)

# `INSERT OR REPLACE` removes the old row without firing a delete trigger, so inserting over a row is refused as well.
_TAKEN = {
    "lineages": "EXISTS (SELECT 1 FROM lineages WHERE lineage = NEW.lineage)",
    "entries": "EXISTS (SELECT 1 FROM entries WHERE lineage = NEW.lineage AND seq >= NEW.seq)"
    " OR EXISTS (SELECT 1 FROM entries WHERE release_id = NEW.release_id)",
    "releases": "EXISTS (SELECT 1 FROM releases WHERE release_id = NEW.release_id)",
    "datasets": "EXISTS (SELECT 1 FROM datasets WHERE dataset = NEW.dataset AND revision >= NEW.revision)",
    "queries": "EXISTS (SELECT 1 FROM queries WHERE query = NEW.query AND revision >= NEW.revision)",
    "freezes": "EXISTS (SELECT 1 FROM freezes WHERE dataset = NEW.dataset AND number >= NEW.number)",
}


def _append_only(table: Table, taken: str) -> None:
    abort = f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
    for name, when in (
        ("no_update", "BEFORE UPDATE"),
        ("no_delete", "BEFORE DELETE"),
        ("no_replace", "BEFORE INSERT"),
    ):
        condition = f" WHEN {taken}" if name == "no_replace" else ""
        sql = f"CREATE TRIGGER {table.name}_{name} {when} ON {table.name}{condition} {abort}"
        trigger = DDL(sql)  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", trigger.execute_if(dialect="sqlite"))


for _name, _taken in _TAKEN.items():
    _append_only(metadata.tables[_name], _taken)


def create_schema(connection: Connection) -> None:
    """Makes the tables if there are none yet.

    Raises:
      LedgerBroken: the tables are of another version than this code's.
    """
    if not inspect(connection).has_table("schema_version"):
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
        return
    found = connection.execute(select(schema_version.c.version)).scalars().all()
    if list(found) != [SCHEMA_VERSION]:
        raise LedgerBroken(
            f"the ledger's schema is version {', '.join(map(str, found)) or 'unknown'}, "
            f"this dpstats knows {SCHEMA_VERSION}: use the dpstats that wrote it, or a newer one"
        )
