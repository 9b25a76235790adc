"""Names and texts inside SQL. What users write never comes here: it is bound, not written."""

from __future__ import annotations

from pathlib import Path


def quoted(name: str) -> str:
    """An identifier in SQL, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | Path) -> str:
    """A text literal in SQL, for statements that take no bound parameter (ATTACH, SET, COPY)."""
    return "'" + str(text).replace("'", "''") + "'"
