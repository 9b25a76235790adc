"""What a data version's file says about itself, in its table `dp_meta(key, value)`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from dpstats.errors import FileError

FORMAT = "2"
"""The format of the files that this dpstats writes and reads: since 2, rows are ranked and texts have a length."""


@dataclass(frozen=True)
class ConsentMeta:
    """The epoch as of whose close a data version knows its people's consent, and what their truths were made by."""

    closed_at: datetime
    rules: str


@dataclass(frozen=True)
class Meta:
    """`fingerprint`: of the dataset file as it was at load; `public_columns`: the public tables, with their columns.

    `consent` None: it holds nobody's consent.
    """

    fingerprint: str
    public_columns: Mapping[str, tuple[str, ...]]
    consent: ConsentMeta | None = None


def write_meta(connection: duckdb.DuckDBPyConnection, schema: str, meta: Meta) -> None:
    """Creates `dp_meta` in `schema`, an SQL name."""
    columns = {table: list(names) for table, names in meta.public_columns.items()}
    rows = [["format", FORMAT], ["fingerprint", meta.fingerprint], ["public_columns", json.dumps(columns)]]
    if meta.consent is not None:
        said = {"closed_at": meta.consent.closed_at.isoformat(), "rules": meta.consent.rules}
        rows.append(["consent", json.dumps(said)])
    connection.execute(f"CREATE TABLE {schema}.dp_meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)")
    connection.executemany(f"INSERT INTO {schema}.dp_meta VALUES (?, ?)", rows)


def read_meta(connection: duckdb.DuckDBPyConnection, file: Path, schema: str = "main") -> Meta:
    """What `file`, open on `connection` as the SQL name `schema`, says about itself.

    Raises:
      FileError: it is not a data version, or one of another format.
    """
    values = _values(connection, schema)
    if values.get("format") != FORMAT:
        raise FileError(str(file), f"is not a data version of format {FORMAT}: load the dataset again")
    columns = json.loads(values["public_columns"])
    public = {table: tuple(names) for table, names in columns.items()}
    return Meta(values["fingerprint"], public, _consent(values.get("consent")))


def _consent(said: str | None) -> ConsentMeta | None:
    if said is None:
        return None
    parts = json.loads(said)
    return ConsentMeta(datetime.fromisoformat(parts["closed_at"]), parts["rules"])


def _values(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, str]:
    try:
        return dict(connection.execute(f"SELECT key, value FROM {schema}.dp_meta").fetchall())
    except duckdb.Error:
        return {}
