"""Tokens that expire, and tokens whose secret was changed.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds to tokens when they end, when the secret was changed, and the secret before it with its own end."""
    for name in ("expires_at", "rotated_at", "earlier_hash", "earlier_until"):
        op.add_column("tokens", sa.Column(name, _TEXT))
    # A constraint cannot be added to a table of SQLite, an index can; no two secrets are the same either way.
    op.create_index("tokens_earlier", "tokens", ["earlier_hash"], unique=True)
