"""Rows with known columns: a table as queries see it, or what a subquery makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dpstats.plan.typed import Typed


@dataclass(frozen=True)
class Relation:
    """Rows with known columns. `columns` maps a lower-case name to what is known of it (`sql` is the bare name).

    `personal`: its rows belong to privacy units. `one_row`: it has at most one row a unit. `table`: the dataset's
    table that it is, if it is one.
    """

    sql: str
    columns: Mapping[str, Typed]
    personal: bool
    one_row: bool
    table: str | None = None
