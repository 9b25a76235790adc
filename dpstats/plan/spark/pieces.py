"""What the translator passes around: a piece of Spark SQL with the sort of value that it has, and names in scope."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sqlglot import exp


class Sort(StrEnum):
    """The sort of a value: a Spark type, whole numbers of 64 bits in one sort and of 128 bits in another."""

    INT = "BIGINT"
    HUGE = "DECIMAL(38, 0)"
    DOUBLE = "DOUBLE"
    TEXT = "STRING"
    BOOL = "BOOLEAN"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP_NTZ"
    UUID = "UUID"
    INTERVAL = "INTERVAL"
    NULL = "NULL"
    GROUP = "STRUCT"
    CELLS = "MAP"


TEMPORAL = {Sort.DATE, Sort.TIMESTAMP}
WHOLE = {Sort.INT, Sort.HUGE}


class NotOnSpark(ValueError):
    """What cannot be said to Spark without meaning something else, and what to write instead."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}: {instead}")
        self.what, self.instead = what, instead


@dataclass(frozen=True)
class Piece:
    """Spark SQL of an expression; `fields` are the sorts inside a group that has several parts."""

    sql: str
    sort: Sort
    fields: tuple[tuple[str, Sort], ...] = ()

    @property
    def condition(self) -> str:
        """The SQL of something true or false: Spark takes no bare NULL for one."""
        return "CAST(NULL AS BOOLEAN)" if self.sort is Sort.NULL else self.sql


Columns = Mapping[str, Piece]
"""Name, in lower case -> what a relation has of it; `sql` is its quoted name."""


@dataclass(frozen=True)
class Item:
    """One item of a FROM clause, under its alias."""

    alias: str
    columns: Columns


Scope = Sequence[Item]


class Translating(Protocol):
    """What a handler may ask of the translator."""

    def piece(self, node: exp.Expr, scope: Scope) -> Piece:
        """An expression in Spark's words.

        Raises:
          NotOnSpark: it has no handler, or says what Spark does not.
        """
        ...

    def text(self, value: str) -> str:
        """A parameter marker that is bound to the text: no text stands in the SQL, where a backslash escapes."""
        ...

    def moves(self, years: float) -> None:
        """Counts by how many years dates may be moved, so that no row's can leave what Spark can hold."""
        ...

    def subquery(self, node: exp.Expr) -> str:
        """A SELECT inside an expression."""
        ...


Handler = Callable[[Translating, Any, Scope], Piece]


def named(name: str) -> str:
    """A name as Spark quotes it."""
    return "`" + name.replace("`", "``") + "`"


def together(*sorts: Sort) -> Sort:
    """The sort that holds them all."""
    known = [sort for sort in sorts if sort is not Sort.NULL]
    for wide in (Sort.DOUBLE, Sort.HUGE):
        if wide in known and set(known) <= {*WHOLE, wide}:
            return wide
    return known[0] if known else Sort.NULL


def unknown(node: exp.Expr) -> NotOnSpark:
    """The refusal of a node that has no handler."""
    name = node.name if isinstance(node, exp.Anonymous) else node.key
    return NotOnSpark(f"{name.upper()} is not understood on Spark", "Write it another way, or use DuckDB")
