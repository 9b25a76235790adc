"""The revisions of the ledger's schema, for Alembic. A revision that was ever released is never edited.

A new one says what `schema` says from then on (a test compares the two on both databases), takes the next number, and
has no way back: nothing in a ledger is undone. `migrating` applies them when a workspace is opened.
"""
