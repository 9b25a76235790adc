"""Running totals of each chain: what its entries up to the newest grant and charge, signed with the newest's hash.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0007"
down_revision = "0006"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the table, empty: a chain without a row is added up when it is first looked at, and gets its row then."""
    op.create_table(
        "chain_totals",
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", _TEXT, nullable=False),
        sa.Column("granted_amount", sa.BigInteger, nullable=False),
        sa.Column("granted_delta", sa.BigInteger, nullable=False),
        sa.Column("granted_epsilon", sa.BigInteger, nullable=False),
        sa.Column("charged_amount", sa.BigInteger, nullable=False),
        sa.Column("charged_delta", sa.BigInteger, nullable=False),
        sa.Column("signature", _TEXT, nullable=False),
    )
