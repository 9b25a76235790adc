"""Rows with known columns: a table as queries see it, or what a subquery makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dpstats.plan.typed import Typed


@dataclass(frozen=True)
class Relation:
    """Rows with known columns. `columns` maps a lower-case name to what is known of it (`sql` is the bare name).

    `personal`: its rows belong to privacy units. `rows`: the most rows that one unit can have in it; infinite where
    nothing bounds them, as in a public table. `table`: the dataset's table that it is, if it is one.
    """

    sql: str
    columns: Mapping[str, Typed]
    personal: bool
    rows: float
    table: str | None = None
