"""Brings the database's schema up to the newest revision when a workspace is opened, inside the opener's transaction.

So it is done whole or not at all, once, however many open the workspace at once and whenever one of them is killed.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text, update

from dpstats.errors import LedgerBroken
from dpstats.ledger import schema

HEAD = "0013"
"""The newest revision in `migrations`: what this code reads and writes."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_one_at_a_time = threading.Lock()  # Alembic's `op` and `context` are of the process


def revision_of(connection: Connection) -> str | None:
    """The revision that the schema is at, None if there is no schema yet.

    Raises:
      LedgerBroken: something is there that no dpstats leaves behind.
    """
    names = set(inspect(connection).get_table_names())
    if "alembic_version" in names:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    elif "schema_version" in names:  # from before there were revisions: its only version is the first revision
        found = [f"{version:04d}" for version in connection.execute(select(schema.schema_version)).scalars()]
    else:
        return None
    if len(found) != 1:
        raise _other_version(", ".join(found) or "unknown")
    return str(found[0])


def upgrade(connection: Connection) -> None:
    """Applies every revision that the schema lacks, all of them if there is none yet.

    Raises:
      LedgerBroken: the schema is of a newer dpstats.
    """
    found = revision_of(connection)
    if found is not None and found > HEAD:
        raise _other_version(found)
    if found != HEAD or not inspect(connection).has_table("alembic_version"):
        with _one_at_a_time:
            _migrate(connection, found)
        connection.execute(update(schema.schema_version).values(version=int(HEAD)))


def _migrate(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        if found is not None:
            command.stamp(config, found)
        command.upgrade(config, HEAD)
    except CommandError:
        raise _other_version(found or "unknown") from None


def _other_version(found: str) -> LedgerBroken:
    return LedgerBroken(
        f"the ledger's schema is version {found}, this dpstats knows {HEAD}: "
        "use the dpstats that wrote it, or a newer one"
    )
