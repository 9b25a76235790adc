"""Second stewards, caps by role and purpose, and the log of who asked what.

Entries from before have none of it, and their hashes do not change: what is not said is left out.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0007"
down_revision = "0006"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")

_TAKEN = {
    "policies": "EXISTS (SELECT 1 FROM policies WHERE scope = NEW.scope AND number >= NEW.number)",
    "proposals": "EXISTS (SELECT 1 FROM proposals WHERE proposal_id = NEW.proposal_id)",
    "decisions": "EXISTS (SELECT 1 FROM decisions WHERE proposal_id = NEW.proposal_id)",
    "caps": "EXISTS (SELECT 1 FROM caps WHERE lineage = NEW.lineage AND number >= NEW.number)",
    "asked": "EXISTS (SELECT 1 FROM asked WHERE number >= NEW.number)",
}


def upgrade() -> None:
    """Adds the columns, all empty, the tables, and the triggers that keep their history append-only."""
    for name in ("confirmed_by", "role", "purpose"):
        op.add_column("entries", sa.Column(name, _TEXT))
    op.add_column("approvals", sa.Column("confirmed_by", _TEXT))
    _make_stewards()
    _make_caps()
    _make_log()
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


def _make_caps() -> None:
    op.create_table(
        "caps",
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("scope"),
        _text("name"),
        sa.Column("amount", sa.BigInteger),
        _text("actor"),
        _text("at"),
        _text("reason"),
    )
    op.create_table(
        "cap_totals",
        sa.Column("lineage", _TEXT, sa.ForeignKey("lineages.lineage"), primary_key=True),
        sa.Column("scope", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount >= 0", name="cap_totals_never_negative"),
    )


def _make_log() -> None:
    op.create_table(
        "asked",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("at"),
        _text("actor"),
        _text("token_id"),
        _text("token_prefix"),
        _text("act"),
        _text("dataset"),
        _text("query"),
        _text("query_version"),
        _text("parameters"),
        _text("outcome"),
        _text("release_id"),
    )
    op.create_index("asked_token", "asked", ["token_id", "at"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)
