"""The tables, as the newest revision in `migrations` leaves them: what is read and written goes by these.

History is append-only in the database too: triggers refuse to change, remove or replace a row (`append_only`).
`block_totals`, `chain_totals` and `cap_totals` are no history: they are what entries add up to. Nor is `sessions`: a
sign-in that is over is forgotten.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
)
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects.postgresql import TEXT

Text = AnyText().with_variant(TEXT(collation="C"), "postgresql")
"""Text that is compared byte by byte everywhere, so that the order of stamps and names is the same everywhere."""

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
    Column("blocks", Text),
)

block_totals = Table(
    "block_totals",
    metadata,
    Column("lineage", Text, ForeignKey("lineages.lineage"), primary_key=True),
    Column("block", Text, primary_key=True),
    Column("open_start", Boolean, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("delta", BigInteger, nullable=False),
    CheckConstraint("amount >= 0 AND delta >= 0", name="block_totals_never_negative"),
)

chain_totals = Table(
    "chain_totals",
    metadata,
    Column("lineage", Text, ForeignKey("lineages.lineage"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("granted_amount", BigInteger, nullable=False),
    Column("granted_delta", BigInteger, nullable=False),
    Column("granted_epsilon", BigInteger, nullable=False),
    Column("charged_amount", BigInteger, nullable=False),
    Column("charged_delta", BigInteger, nullable=False),
    Column("signature", Text, nullable=False),
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
    Column("blocks", Text),
    Column("confirmed_by", Text),
    Column("role", Text),
    Column("purpose", Text),
    CheckConstraint("kind IN ('grant', 'charge')", name="entries_kind"),
    CheckConstraint("amount >= 0 AND delta >= 0 AND epsilon >= 0", name="entries_never_negative"),
    CheckConstraint("kind = 'grant' OR (amount > 0 AND release_id IS NOT NULL)", name="entries_charge"),
    Index("entries_question", "query_version", "parameters", info={"only": "sqlite"}),
    # A B-tree of PostgreSQL takes no more than 2,704 bytes, and parameters may be longer.
    Index("entries_version", "query_version", info={"only": "postgresql"}),
    Index("entries_parameters", "parameters", postgresql_using="hash", info={"only": "postgresql"}),
)

caps = Table(
    "caps",
    metadata,
    Column("lineage", Text, ForeignKey("lineages.lineage"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("amount", BigInteger),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("scope IN ('role', 'purpose')", name="caps_scope"),
    CheckConstraint("amount >= 0", name="caps_never_negative"),
    info={"owner": "lineage", "number": "number"},
)

cap_totals = Table(
    "cap_totals",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("lineage", Text, ForeignKey("lineages.lineage"), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    CheckConstraint("amount >= 0", name="cap_totals_never_negative"),
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

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("reason", Text, nullable=False),
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
    Column("expires_at", Text),
    Column("confirmed_by", Text),
    info={"owner": "query", "number": "number"},
)

feature_views = Table(
    "feature_views",
    metadata,
    Column("view", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("dataset", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("submitted_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    info={"owner": "view", "number": "revision"},
)

load_manifests = Table(
    "load_manifests",
    metadata,
    Column("data_version", Text, primary_key=True),
    Column("tables", Text, nullable=False),
    Column("first_block", Text),
    Column("last_block", Text),
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
    Column("expires_at", Text),
    Column("rotated_at", Text),
    Column("earlier_hash", Text),
    Column("earlier_until", Text),
    Index("tokens_earlier", "earlier_hash", unique=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", Text, primary_key=True),
    Column("token_id", Text, ForeignKey("tokens.token_id"), nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("confirmed_by", Text),
    Column("at", Text, nullable=False),
    info={"owner": "scope", "number": "number"},
)

proposals = Table(
    "proposals",
    metadata,
    Column("proposal_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("proposal_id", Text, ForeignKey("proposals.proposal_id"), primary_key=True),
    Column("confirmed", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
)

asked = Table(
    "asked",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("asked_token", "token_id", "at"),
)

recipient_terms = Table(
    "recipient_terms",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    info={"owner": "scope", "number": "number"},
)

acceptances = Table(
    "acceptances",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
)
