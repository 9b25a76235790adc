"""Time blocks: a lineage's terms for them, the blocks that a charge names, and what each was charged.

Ledgers from before have none of them, and their hashes do not change: what is not said is left out.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the columns, all empty, and the table of running totals."""
    op.add_column("lineages", sa.Column("blocks", _TEXT))
    op.add_column("entries", sa.Column("blocks", _TEXT))
    op.create_table(
        "block_totals",
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("block", _TEXT, primary_key=True),
        sa.Column("open_start", sa.Boolean, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("delta", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount >= 0 AND delta >= 0", name="block_totals_never_negative"),
    )
