"""A data version that is being made: SQL on it, and one error of ours whatever fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dpstats.engine.source import Trouble, trouble_in
from dpstats.errors import FileError


@dataclass(frozen=True)
class Making:
    """A connection to which the new file is attached as `dp_made`; `target`: what the file will be.

    `dp_rows` is a temporary table: the rows of the one table that is being loaded.
    """

    connection: duckdb.DuckDBPyConnection
    target: Path

    def one_row(self, sql: str, binds: Mapping[str, object] | None = None) -> tuple[Any, ...]:
        """The one row that a statement gives.

        Raises:
          FileError: as `write`.
        """
        self.write(sql, binds)
        (row,) = self.connection.fetchall()
        return row

    def changed(self, sql: str, binds: Mapping[str, object] | None = None) -> int:
        """How many rows a statement wrote or deleted.

        Raises:
          FileError: as `write`.
        """
        (count,) = self.one_row(sql, binds)
        return int(count)

    def write(self, sql: str, binds: Mapping[str, object] | None = None) -> None:
        """Runs a statement.

        Raises:
          FileError: it failed; of rows nothing is said.
        """
        if self.run(sql, binds):
            raise self.cannot_write()

    def run(self, sql: str, binds: Mapping[str, object] | None = None) -> Trouble | None:
        """Runs a statement; what went wrong, if something did."""
        return trouble_in(lambda: self.connection.execute(sql, binds or {}))

    def cannot_write(self) -> FileError:
        """The error of a file that cannot be made."""
        return FileError(str(self.target), "cannot be written: too little memory or disk, or no permission")
