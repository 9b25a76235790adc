"""Second stewards: the policy, what is proposed and decided, and who confirmed an entry or an approval.

Entries from before have no second steward, and their hashes do not change: what is not said is left out.

Revision ID: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0008"
down_revision = "0007"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")

_TAKEN = {
    "policies": "EXISTS (SELECT 1 FROM policies WHERE scope = NEW.scope AND number >= NEW.number)",
    "proposals": "EXISTS (SELECT 1 FROM proposals WHERE proposal_id = NEW.proposal_id)",
    "decisions": "EXISTS (SELECT 1 FROM decisions WHERE proposal_id = NEW.proposal_id)",
}


def upgrade() -> None:
    """Adds the columns, all empty, the tables, and the triggers that keep their history append-only."""
    for table in ("entries", "approvals"):
        op.add_column(table, sa.Column("confirmed_by", _TEXT))
    _make_stewards()
    for table, taken in _TAKEN.items():
        for statement in append_only(op.get_context().dialect.name, table, taken):
            op.execute(statement)


def _make_stewards() -> None:
    op.create_table(
        "policies",
        sa.Column("scope", _TEXT, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("content"),
        _text("actor"),
        sa.Column("confirmed_by", _TEXT),
        _text("at"),
    )
    op.create_table(
        "proposals",
        sa.Column("proposal_id", _TEXT, primary_key=True),
        _text("kind"),
        _text("dataset"),
        _text("subject"),
        _text("content"),
        _text("actor"),
        _text("token_id"),
        _text("at"),
        _text("expires_at"),
    )
    op.create_table(
        "decisions",
        sa.Column("proposal_id", _TEXT, sa.ForeignKey("proposals.proposal_id"), primary_key=True),
        sa.Column("confirmed", sa.Boolean, nullable=False),
        _text("actor"),
        _text("at"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)
