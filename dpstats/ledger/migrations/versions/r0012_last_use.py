"""When a token was last used is looked up in the log of who asked what, by an index: nothing else is written for it.

Revision ID: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Adds the index."""
    op.create_index("asked_token", "asked", ["token_id", "at"])
