"""Sign-ins of browsers: the hash of each one's secret, and the token, in its present secret, that it began with.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0006"
down_revision = "0005"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the table, empty. Its rows are no history: they go when a sign-in is over."""
    op.create_table(
        "sessions",
        sa.Column("session_hash", _TEXT, primary_key=True),
        sa.Column("token_id", _TEXT, sa.ForeignKey("tokens.token_id"), nullable=False),
        sa.Column("token_hash", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("expires_at", _TEXT, nullable=False),
    )
