"""Who asked what: a line for each request, empty at first, to which lines are only added.

Revision ID: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0010"
down_revision = "0009"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the table and the triggers that keep it append-only."""
    named = ("at", "request_id", "actor", "token_id", "role", "method", "route", "dataset", "query")
    op.create_table(
        "asked",
        # An identity, not a sequence: the service's role needs no right of its own to it.
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(always=True), primary_key=True
        ),
        *(sa.Column(name, _TEXT, nullable=False) for name in named),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("outcome", _TEXT, nullable=False),
    )
    # In SQLite a row that takes the next number has none yet when the trigger sees it.
    taken = "EXISTS (SELECT 1 FROM asked WHERE number = NEW.number)"
    for statement in append_only(op.get_context().dialect.name, "asked", taken):
        op.execute(statement)
