"""The record that travels from planning to the engine, the noise and the ledger."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from dpstats.plan.arithmetic import Expression
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.mechanism import Mechanism
from dpstats.privacy.quantiles import Tree, cells_of

KeyValue = str | int | bool | Decimal | date | datetime


@dataclass(frozen=True)
class KeyColumn:
    """One grouping key: its name in the answer, its SQL type and every value that is released, sorted.

    The values are public knowledge: declared by a steward or read off a public table. Those of a `private` key are not
    known before the noise: there are none here, and a threshold decides which are released.
    """

    name: str
    sql_type: str
    values: tuple[KeyValue, ...]
    private: bool = False


@dataclass(frozen=True)
class Quantiles:
    """The public candidate values of a quantile, as rising codes on the draw's grid, in [low, high].

    `share`: the one quantile that is selected among them; None: a noisy tree of counts, for any number of quantiles.
    """

    candidates: tuple[int, ...]
    low: int
    high: int
    share: Fraction | None

    @property
    def cells(self) -> int:
        """How many exact counts of rows a group has."""
        return cells_of(len(self.candidates))

    @property
    def tree(self) -> Tree:
        """The tree over the bins between candidates."""
        return Tree(len(self.candidates) + 1)


@dataclass(frozen=True)
class Draw:
    """One noisy vector, an entry a group; for quantiles, several.

    The engine answers it as whole numbers in the SQL's column `d{index}`; one whole number is worth `grid` in the
    measure's own units. `kind` is "count", "units", "distinct", "sum", "rows_sum" (the centred sum behind an average),
    "rows_squares", "quantile" or "quantile_tree"; `bounding` says in words how one unit's part is limited. `least`: no
    true number is below it, whatever the noise makes of it; None: anything is possible.
    """

    index: int
    name: str
    kind: str
    grid: Fraction
    mechanism: Mechanism
    bounding: str
    quantiles: Quantiles | None = None
    least: int | None = None

    @property
    def cells(self) -> int:
        """How many exact whole numbers a group has: one, or the counts of its rows about each candidate."""
        return 1 if self.quantiles is None else self.quantiles.cells

    @property
    def entries(self) -> int:
        """How many noisy whole numbers a group has: one (which may be a candidate's place), or the nodes of a tree."""
        return 1 if self.quantiles is None or self.quantiles.share is not None else self.quantiles.tree.nodes


@dataclass(frozen=True)
class Top:
    """Only the `k` groups with the largest `draw` are released.

    `mechanism` selects them by their exact values, before anything else is drawn, where keys are declared. None: they
    are chosen by their noisy values, where those of every group that may be released are drawn anyhow.
    """

    draw: int
    k: int
    mechanism: Mechanism | None


@dataclass(frozen=True)
class Threshold:
    """Which groups are released where keys are private: those whose draw `draw` (their units) is at least `at`.

    `delta_steps`: what it costs, in steps of 1e-18, for a unit that touches at most `max_groups` groups.
    """

    draw: int
    at: int
    max_groups: int
    delta_steps: int


@dataclass(frozen=True)
class Floor:
    """Which groups tell their measures: those whose noisy draw `draw` (their units) is at least `at`, in units.

    It looks at noise that is paid for, and at nothing else. `added`: the query itself has no such count, and this one
    is drawn, and paid for, only to decide.
    """

    draw: int
    at: int
    added: bool = False


@dataclass(frozen=True)
class Output:
    """One measure of the answer: an expression over the draws, evaluated after the noise.

    `denominator`: the size of group for which the query's file asks for a half-width, where it states one.
    """

    name: str
    expression: Expression
    bounding: str
    unit: str | None = None
    denominator: float | None = None


Vectors = tuple[tuple[int, ...], ...]
"""One vector of whole numbers for each draw of a plan, its entries group by group."""
Group = tuple[KeyValue, ...]
"""The values of every key, in the plan's order."""


@dataclass(frozen=True)
class Noisy:
    """What is left after noise: a vector for each draw, and the groups that its entries are of, in order.

    A vector has `draw.entries` for each group.
    """

    groups: tuple[Group, ...]
    vectors: Vectors


@dataclass(frozen=True)
class AtRest:
    """What may be kept beside a data version so that a plan, and others like it, are answered sooner (`plan/at_rest`).

    `key` names it: the same key, the same tables. `build`: statements that make them in the schema `dp_rest`, where the
    data version's tables are found by their names alone. `sql`: over those tables, with the plan's binds, the very
    result of `Plan.sql`.
    """

    key: str
    build: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class ByUnit:
    """That a plan's answer is a sum over units, and where their ids are: in `column` of each of `tables`.

    These are all the personal tables that its SQL reads, by the names that they have in a data version, and none has a
    column that hides DuckDB's `rowid`.
    """

    column: str
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """An approved query with its parameters, bounded and priced; reading it tells everything but the rows.

    `sql` is the bounded aggregate in DuckDB's dialect. Its bind names: `$p_<parameter>` for the parameters (values in
    `parameter_values`), `$k_<i>` for the list of values of the i-th key, and `$dp_key` for the workspace's secret
    64-bit key, which only the engine knows. Its result has the column `g`, a group's place in the product of the
    keys' values (the last key varies fastest), and `d0 ... d<n-1>`, one HUGEINT for each draw, or, for a draw of
    several cells, a MAP of those that are not 0; a group without rows is absent and means zero in every draw. With
    private keys, `g` is the place among the other keys' values, and the i-th key's own value is in the column `k<i>`;
    nothing is known then of groups without rows.
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
    threshold: Threshold | None = None
    floor: Floor | None = None
    top: Top | None = None
    at_rest: AtRest | None = None
    by_unit: ByUnit | None = None

    @property
    def groups(self) -> int:
        """How many groups the declared keys make: the product of their sizes, 1 without them."""
        return math.prod(len(key.values) for key in self.keys if not key.private)

    def declared_groups(self) -> Iterator[Group]:
        """The values of the declared keys, group by group; the last key varies fastest."""
        return itertools.product(*(key.values for key in self.keys if not key.private))

    @property
    def private_keys(self) -> tuple[int, ...]:
        """The places of the keys whose values are found in the data."""
        return tuple(i for i, key in enumerate(self.keys) if key.private)

    @property
    def measure(self) -> Measure:
        """What the plan is priced in."""
        return self.loss.measure

    @property
    def events(self) -> tuple[dict[str, object], ...]:
        """The mechanism events of the charge: enough for anyone to compute the price again.

        One for each draw, in order: the noise's `scale` and how far one unit moves the vector (`per_cell` in `cells`
        entries, its norm at most `norm` where that is a number), all in steps of `grid`; for a selection, the range of
        one unit's change to the scores is `per_cell`, and it can touch `cells` of them. Then the selection of the
        largest groups, if there is one. Then the threshold, if there is one, on the draw at `place`: `cells` times the
        chance that noise of its scale is `at` - 1 or more.
        """
        drawn: tuple[dict[str, object], ...] = tuple(_event(draw) for draw in self.draws)
        if self.top is not None and self.top.mechanism is not None:
            ordered = self.draws[self.top.draw]
            drawn += ({"draw": f"top {self.top.k} by {ordered.name}", **_price_of(self.top.mechanism, ordered.grid)},)
        if self.threshold is None:
            return drawn
        threshold: dict[str, object] = {
            "draw": self.draws[self.threshold.draw].name,
            "place": self.threshold.draw,
            "mechanism": "threshold",
            "at": self.threshold.at,
            "cells": self.threshold.max_groups,
            "delta_steps": self.threshold.delta_steps,
        }
        return (*drawn, threshold)

    @property
    def hash(self) -> str:
        """SHA-256 over everything that decides the answer's distribution."""
        body = {
            "version": self.query_version,
            "parameters": dict(self.parameters),
            "sql": self.sql,
            "keys": [[key.name, key.sql_type, [str(value) for value in key.values]] for key in self.keys],
            "events": list(self.events),
            "top": None if self.top is None else [self.top.draw, self.top.k],
            "loss": [str(self.loss.measure), self.loss.amount, self.loss.delta],
        }
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _event(draw: Draw) -> dict[str, object]:
    event: dict[str, object] = {"draw": draw.name, **_price_of(draw.mechanism, draw.grid)}
    if draw.quantiles is not None and draw.quantiles.share is not None:
        event["quantile"] = str(draw.quantiles.share)
    return event


def _price_of(mechanism: Mechanism, grid: Fraction) -> dict[str, object]:
    return {
        "mechanism": str(mechanism.noise),
        "scale": repr(mechanism.scale),
        "per_cell": mechanism.sensitivity.per_cell,
        "cells": mechanism.sensitivity.cells,
        "norm": mechanism.sensitivity.norm,
        "grid": str(grid),
    }
