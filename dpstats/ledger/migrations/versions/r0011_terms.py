"""Recipients' terms: what is asked of whoever receives answers, and who accepted which version.

Where no terms were ever published, nobody is asked for any: a ledger from before goes on as it did.

Revision ID: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

from dpstats.ledger.append_only import append_only

revision = "0011"
down_revision = "0010"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")

_TAKEN = {
    "recipient_terms": "EXISTS (SELECT 1 FROM recipient_terms WHERE scope = NEW.scope AND number >= NEW.number)",
    "acceptances": "EXISTS (SELECT 1 FROM acceptances WHERE holder = NEW.holder AND number = NEW.number)",
}


def upgrade() -> None:
    """Adds both tables, empty, and the triggers that keep their history append-only."""
    op.create_table(
        "recipient_terms",
        sa.Column("scope", _TEXT, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("text"),
        _text("sha256"),
        _text("actor"),
        _text("at"),
    )
    op.create_table(
        "acceptances",
        sa.Column("holder", _TEXT, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("name"),
        _text("sha256"),
        _text("actor"),
        _text("at"),
    )
    for table, taken in _TAKEN.items():
        for statement in append_only(op.get_context().dialect.name, table, taken):
            op.execute(statement)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)
