"""The body of a large release may be deflated, which a dpstats from before cannot read: it refuses to open this ledger.

Revision ID: 0013
"""

from __future__ import annotations

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Changes nothing: what is stored stays as it is."""
