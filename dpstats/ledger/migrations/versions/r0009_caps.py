"""Caps by role and purpose: their history, what each charged, and the role and purpose of every charge from now on.

Entries from before say neither, and their hashes do not change: what is not said is left out. What tokens charged is
added up from them here, once.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0009"
down_revision = "0008"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")

_TAKEN = "EXISTS (SELECT 1 FROM caps WHERE lineage = NEW.lineage AND number >= NEW.number)"
_TOKENS = (
    "INSERT INTO cap_totals (scope, name, lineage, amount)"
    " SELECT 'token', token_id, lineage, CAST(SUM(amount) AS BIGINT) FROM entries"
    " WHERE kind = 'charge' AND token_id IS NOT NULL GROUP BY token_id, lineage"
)


def upgrade() -> None:
    """Adds the columns, empty, and the tables: the history of caps is append-only, the totals begin with tokens'."""
    for column in ("role", "purpose"):
        op.add_column("entries", sa.Column(column, _TEXT))
    op.create_table(
        "caps",
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("at", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.CheckConstraint("scope IN ('role', 'purpose')", name="caps_scope"),
        sa.CheckConstraint("amount >= 0", name="caps_never_negative"),
    )
    for statement in append_only(op.get_context().dialect.name, "caps", _TAKEN):
        op.execute(statement)
    op.create_table(
        "cap_totals",
        sa.Column("scope", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount >= 0", name="cap_totals_never_negative"),
    )
    op.execute(_TOKENS)
