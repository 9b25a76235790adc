"""The tables of the first ledgers.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")

_TAKEN = {
    "lineages": "EXISTS (SELECT 1 FROM lineages WHERE lineage = NEW.lineage)",
    "entries": "EXISTS (SELECT 1 FROM entries WHERE lineage = NEW.lineage AND seq >= NEW.seq)"
    " OR EXISTS (SELECT 1 FROM entries WHERE release_id = NEW.release_id)",
    "releases": "EXISTS (SELECT 1 FROM releases WHERE release_id = NEW.release_id)",
    "datasets": "EXISTS (SELECT 1 FROM datasets WHERE dataset = NEW.dataset AND revision >= NEW.revision)",
    "queries": "EXISTS (SELECT 1 FROM queries WHERE query = NEW.query AND revision >= NEW.revision)",
    "freezes": "EXISTS (SELECT 1 FROM freezes WHERE dataset = NEW.dataset AND number >= NEW.number)",
}


def upgrade() -> None:
    """Makes every table, then the triggers that keep history append-only."""
    # Ledgers from before Alembic have it; `migrating` keeps it up to date, so that the dpstats of then refuse later
    op.create_table("schema_version", sa.Column("version", sa.Integer, primary_key=True))
    op.execute("INSERT INTO schema_version (version) VALUES (1)")
    _make_ledger()
    _make_register()
    dialect = op.get_context().dialect.name
    for table, taken in _TAKEN.items():
        for statement in append_only(dialect, table, taken):
            op.execute(statement)


def _make_ledger() -> None:
    op.create_table(
        "lineages",
        sa.Column("lineage", _TEXT, primary_key=True),
        _text("measure"),
        sa.Column("conversion_delta", sa.BigInteger, nullable=False),
        _text("privacy_unit"),
        _text("created_at"),
    )
    op.create_table(
        "entries",
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("kind"),
        _text("measure"),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("delta", sa.BigInteger, nullable=False),
        sa.Column("epsilon", sa.BigInteger, nullable=False),
        _text("at"),
        _text("actor"),
        _text("reason"),
        sa.Column("token_id", _TEXT, index=True),
        sa.Column("release_id", _TEXT, unique=True),
        sa.Column("dataset", _TEXT),
        sa.Column("query", _TEXT),
        sa.Column("query_version", _TEXT),
        _text("parameters"),
        sa.Column("data_version", _TEXT),
        sa.Column("plan_hash", _TEXT),
        _text("events"),
        _text("prev_hash"),
        _text("hash"),
        _text("signature"),
        sa.CheckConstraint("kind IN ('grant', 'charge')", name="entries_kind"),
        sa.CheckConstraint("amount >= 0 AND delta >= 0 AND epsilon >= 0", name="entries_never_negative"),
        sa.CheckConstraint("kind = 'grant' OR (amount > 0 AND release_id IS NOT NULL)", name="entries_charge"),
    )
    if op.get_context().dialect.name == "sqlite":
        op.create_index("entries_question", "entries", ["query_version", "parameters"])
    else:  # a B-tree of PostgreSQL takes no more than 2,704 bytes, and parameters may be longer
        op.create_index("entries_version", "entries", ["query_version"])
        op.create_index("entries_parameters", "entries", ["parameters"], postgresql_using="hash")
    op.create_table(
        "releases",
        sa.Column("release_id", _TEXT, primary_key=True),
        _text("lineage"),
        _text("dataset"),
        _text("query"),
        _text("query_version"),
        _text("question_hash"),
        _text("data_version"),
        _text("created_at"),
        _text("fresh_until"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        _text("signature"),
    )
    op.create_index("releases_question", "releases", ["question_hash", "fresh_until"])
    op.create_index("releases_age", "releases", ["created_at", "release_id"])
    op.create_table(
        "idempotency",
        sa.Column("actor", _TEXT, primary_key=True),
        sa.Column("key", _TEXT, primary_key=True),
        _text("fingerprint"),
        _text("release_id"),
    )


def _make_register() -> None:
    op.create_table(
        "datasets",
        sa.Column("dataset", _TEXT, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        _text("definition"),
        _text("lineage"),
        _text("registered_at"),
    )
    op.create_table(
        "data_versions",
        sa.Column("data_version", _TEXT, primary_key=True),
        _text("dataset"),
        sa.Column("number", sa.Integer, nullable=False),
        _text("file"),
        _text("fingerprint"),
        _text("created_at"),
        _text("as_of"),
    )
    op.create_index("data_versions_order", "data_versions", ["dataset", "number"], unique=True)
    op.create_table(
        "freezes",
        sa.Column("dataset", _TEXT, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("frozen", sa.Boolean, nullable=False),
        _text("actor"),
        _text("at"),
    )
    op.create_table(
        "queries",
        sa.Column("query", _TEXT, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        _text("dataset"),
        _text("text"),
        _text("submitted_at"),
        _text("actor"),
    )
    op.create_table(
        "approvals",
        sa.Column("query", _TEXT, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("version"),
        sa.Column("revision", sa.Integer, nullable=False),
        _text("approved_by"),
        _text("approved_at"),
        sa.Column("revoked_by", _TEXT),
        sa.Column("revoked_at", _TEXT),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, nullable=False, index=True),
        _text("role"),
        _text("datasets"),
        sa.Column("cap_steps", sa.BigInteger),
        sa.Column("token_hash", _TEXT, nullable=False, unique=True),
        _text("prefix"),
        _text("created_by"),
        _text("created_at"),
        sa.Column("revoked_at", _TEXT),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)
