"""The record that travels from planning to the engine, the noise and the ledger."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from dpstats.plan.arithmetic import Expression
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.mechanism import Mechanism

KeyValue = str | int | bool | Decimal | date | datetime


@dataclass(frozen=True)
class KeyColumn:
    """One grouping key: its name in the answer, its SQL type and every value that is released, sorted.

    The values are public knowledge: declared by a steward or read off a public table, never off personal data.
    """

    name: str
    sql_type: str
    values: tuple[KeyValue, ...]


@dataclass(frozen=True)
class Draw:
    """One noisy vector, an entry a group.

    The engine answers it as whole numbers in the SQL's column `d{index}`; one whole number is worth `grid` in the
    measure's own units. `kind` is "count", "units", "sum" or "rows_sum" (the centred sum behind an average);
    `bounding` says in words how one unit's part is limited.
    """

    index: int
    name: str
    kind: str
    grid: Fraction
    mechanism: Mechanism
    bounding: str


@dataclass(frozen=True)
class Output:
    """One measure of the answer: an expression over the draws, evaluated after the noise."""

    name: str
    expression: Expression
    bounding: str
    unit: str | None = None


@dataclass(frozen=True)
class Plan:
    """An approved query with its parameters, bounded and priced; reading it tells everything but the rows.

    `sql` is the bounded aggregate in DuckDB's dialect. Its bind names: `$p_<parameter>` for the parameters (values in
    `parameter_values`), `$k_<i>` for the list of values of the i-th key, and `$dp_key` for the workspace's secret
    64-bit key, which only the engine knows. Its result has the column `g`, a group's place in the product of the
    keys' values (the last key varies fastest), and `d0 ... d<n-1>`, one HUGEINT for each draw; a group without rows
    is absent and means zero in every draw.
    """

    dataset: str
    query: str
    query_version: str
    parameters: Mapping[str, object]
    parameter_values: Mapping[str, date | int | str]
    sql: str
    keys: tuple[KeyColumn, ...]
    draws: tuple[Draw, ...]
    outputs: tuple[Output, ...]
    loss: Loss
    tables: tuple[str, ...]
    proof: tuple[str, ...] = field(default=())

    @property
    def groups(self) -> int:
        """How many groups are released: the product of the keys' sizes, 1 without keys."""
        return math.prod(len(key.values) for key in self.keys)

    @property
    def measure(self) -> Measure:
        """What the plan is priced in."""
        return self.loss.measure

    @property
    def events(self) -> tuple[dict[str, object], ...]:
        """The mechanism events of the charge: enough for anyone to compute the price again."""
        return tuple(
            {
                "draw": draw.name,
                "mechanism": str(draw.mechanism.noise),
                "scale": repr(draw.mechanism.scale),
                "per_cell": draw.mechanism.sensitivity.per_cell,
                "cells": draw.mechanism.sensitivity.cells,
                "grid": str(draw.grid),
            }
            for draw in self.draws
        )

    @property
    def hash(self) -> str:
        """SHA-256 over everything that decides the answer's distribution."""
        body = {
            "version": self.query_version,
            "parameters": dict(self.parameters),
            "sql": self.sql,
            "keys": [[key.name, key.sql_type, [str(value) for value in key.values]] for key in self.keys],
            "events": list(self.events),
            "loss": [str(self.loss.measure), self.loss.amount, self.loss.delta],
        }
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
