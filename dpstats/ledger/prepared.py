"""SELECTs that are asked again and again, compiled once for SQLite and given to its driver as they are.

SQLAlchemy takes several times as long to pass such a statement on as SQLite to answer it. On any other database it is
asked as ever: there the way to the server takes longer than either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, RowMapping, Select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import Compiled

Row = Mapping[str, Any] | RowMapping
"""A row's values by column."""

_DIALECT = SQLiteDialect_pysqlite(paramstyle="named")


class Prepared:
    """A SELECT of columns, whose parameters are given by name each time. Thread-safe."""

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement

    def rows(self, connection: Connection, **values: object) -> Sequence[Row]:
        """Every row, in the caller's transaction; for few."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, values).mappings().all()
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError("a connection to SQLite has another driver than Python's own")
        return [self._named(row) for row in driver.execute(self._sql, self._fixed | values).fetchall()]

    def one(self, connection: Connection, **values: object) -> Row | None:
        """The one row, None if there is none; of a SELECT that has no more."""
        return next(iter(self.rows(connection, **values)), None)

    def _named(self, row: Sequence[Any]) -> Row:
        read = zip(self._columns, row, strict=True)
        return {name: value if made is None else made(value) for (name, made), value in read}

    @cached_property
    def _compiled(self) -> Compiled:
        return self._statement.compile(dialect=_DIALECT)

    @cached_property
    def _sql(self) -> str:
        return str(self._compiled)

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """The parameters that are the same each time."""
        return {name: value for name, value in self._compiled.params.items() if value is not None}

    @cached_property
    def _columns(self) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
        """Each column's name, and what makes its value of what SQLite gives; None: it is the same."""
        return tuple(
            (str(column.key), column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None))
            for column in self._statement.selected_columns
        )
