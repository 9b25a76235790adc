"""Rows with known columns: a table as queries see it, or what a subquery makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dpstats.plan.fanout import Fanout
from dpstats.plan.typed import Typed


@dataclass(frozen=True)
class Relation:
    """Rows with known columns. `columns` maps a lower-case name to what is known of it (`sql` is the bare name).

    `personal`: its rows belong to privacy units. `rows`: the most rows that one unit can have in it; infinite where
    nothing bounds them, as in a public table. `table`: the dataset's table that it is, if it is one.
    `fanout`: what multiplies one unit's rows in it.
    """

    sql: str
    columns: Mapping[str, Typed]
    personal: bool
    rows: float
    table: str | None = None
    fanout: Fanout = field(default_factory=Fanout)
