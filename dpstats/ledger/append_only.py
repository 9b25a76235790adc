"""Triggers that refuse to change, remove or replace a row, as SQL for each database.

Revisions of the schema use it, so that what it makes of an argument stays as it is.
"""

from __future__ import annotations


def append_only(dialect: str, table: str, taken: str) -> tuple[str, ...]:
    """The statements that make `table` append-only; `taken` says, of NEW, that a row would not come as the next one."""
    return _sqlite(table, taken) if dialect == "sqlite" else _postgresql(table, taken)


def _sqlite(table: str, taken: str) -> tuple[str, ...]:
    abort = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    # `INSERT OR REPLACE` removes the old row without firing a delete trigger, so inserting over a row is refused too.
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {abort}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {abort}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} {abort}",
    )


def _postgresql(table: str, taken: str) -> tuple[str, ...]:
    refuse = f"RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'integrity_constraint_violation'"
    only_next = f"BEGIN IF {taken} THEN {refuse}; END IF; RETURN NEW; END"
    # A statement that would change no row is refused as well; TRUNCATE has triggers for statements alone.
    return (
        f"CREATE FUNCTION {table}_refused() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {refuse}; END$$",
        f"CREATE FUNCTION {table}_taken() RETURNS trigger LANGUAGE plpgsql AS $${only_next}$$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_refused()",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_taken()",
    )
