"""Feature views, and what each load brought: both append-only.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0005"
down_revision = "0004"

_TAKEN = {
    "feature_views": "EXISTS (SELECT 1 FROM feature_views WHERE view = NEW.view AND revision >= NEW.revision)",
    "load_manifests": "EXISTS (SELECT 1 FROM load_manifests WHERE data_version = NEW.data_version)",
}


def upgrade() -> None:
    """Makes both tables, empty: of a load from before, nothing is known but that it was."""
    text = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
    op.create_table(
        "feature_views",
        sa.Column("view", text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dataset", text, nullable=False),
        sa.Column("text", text, nullable=False),
        sa.Column("submitted_at", text, nullable=False),
        sa.Column("actor", text, nullable=False),
    )
    op.create_table(
        "load_manifests",
        sa.Column("data_version", text, primary_key=True),
        sa.Column("tables", text, nullable=False),
        sa.Column("first_block", text),
        sa.Column("last_block", text),
    )
    for table, taken in _TAKEN.items():
        for statement in append_only(op.get_context().dialect.name, table, taken):
            op.execute(statement)
