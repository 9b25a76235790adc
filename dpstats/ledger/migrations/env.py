"""How Alembic runs the revisions: on the caller's connection, inside the caller's write transaction, all or nothing."""

from __future__ import annotations

from alembic import context

# SQLite's DDL is transactional once a transaction was begun, as it was here; Alembic takes it not to be.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
