"""Approvals may end by themselves, and releases may be withdrawn.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0002"
down_revision = "0001"


_TAKEN = "EXISTS (SELECT 1 FROM withdrawals WHERE release_id = NEW.release_id)"


def upgrade() -> None:
    """Adds both; approvals from before never end by themselves."""
    text = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
    op.add_column("approvals", sa.Column("expires_at", text))
    op.create_table(
        "withdrawals",
        sa.Column("release_id", text, primary_key=True),
        sa.Column("actor", text, nullable=False),
        sa.Column("at", text, nullable=False),
        sa.Column("reason", text, nullable=False),
    )
    for statement in append_only(op.get_context().dialect.name, "withdrawals", _TAKEN):
        op.execute(statement)
