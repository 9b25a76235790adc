"""Approvals may end by themselves.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column; approvals from before never end by themselves."""
    text = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
    op.add_column("approvals", sa.Column("expires_at", text))
