"""What a query's file says of its measures: their bounds, norms and candidates, and which aggregate each is meant for.

A measure that is one aggregate owns it: what the file says of the measure holds wherever that aggregate is asked again.
What it says of a measure that is arithmetic holds for the one aggregate in it that nobody owns; if there are several,
it would be a guess, and they are refused for want of bounds: each is to be selected as a measure of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from sqlglot import exp

from dpstats.plan.dialect import DIALECT
from dpstats.plan.moments import SATURATED
from dpstats.plan.quantiles import Points
from dpstats.plan.refusals import Refusals
from dpstats.plan.typed import Typed

Bounds = tuple[Decimal, Decimal]
Norms = Decimal | Mapping[str, Decimal] | None


def _row_line(name: str) -> str:
    return f"Give its columns `bounds` in dataset.yaml, or write bounds: {{{name}: [low, high]}}"


@dataclass
class Limits:
    """The limits that a file gives, by measure; the names that were used are noted: the others are refused."""

    refusals: Refusals
    bounds: Mapping[str, Bounds]
    norms: Norms
    candidates: Mapping[str, Points]
    used_bounds: set[str] = field(default_factory=set)
    used_norms: set[str] = field(default_factory=set)
    used_candidates: set[str] = field(default_factory=set)
    guessed: dict[str, Bounds] = field(default_factory=dict)
    """An aggregate's SQL -> bounds to go on with after it was refused for having none."""
    _owners: dict[str, str] = field(default_factory=dict)
    """An aggregate's SQL -> the measure that is just this aggregate and has limits."""
    refused: set[str] = field(default_factory=set)
    """The measures that are refused themselves: what is said of them cannot be judged."""
    _within: tuple[str, ...] | None = None
    """The aggregates, as SQL, of the measure at hand that nobody owns; None: it is one aggregate."""

    def own(self, name: str, aggregate: exp.Expr) -> None:
        """Notes that the measure `name` is this aggregate."""
        norms = self.norms if isinstance(self.norms, Mapping) else {}
        if name in self.bounds or name in norms or name in self.candidates:
            self._owners[aggregate.sql()] = name

    def within(self, aggregates: Sequence[exp.Expr] | None) -> None:
        """Says of which aggregates the measure at hand is made; None: it is one aggregate."""
        texts = [each.sql() for each in aggregates or ()]
        nobodys = tuple(dict.fromkeys(text for text in texts if text not in self._owners))
        self._within = None if aggregates is None else nobodys

    def line(self, name: str, node: exp.Expr, written: Callable[[str], str]) -> str:
        """What to write so that an aggregate without bounds has some.

        Args:
          written: the line for the measure of a name. Where that is made of several, the aggregate is to be one too.
        """
        if self._meant(name, node) or self._within is None:
            return written(name)
        own = f"{name}_{self._within.index(node.sql()) + 1}"
        return f"Select {node.sql(DIALECT)} AS {own} too, as {name} has several aggregates. {written(own)}"

    def of(self, name: str, node: exp.Expr) -> Bounds | None:
        """The bounds of the measure that is this aggregate; else those of the measure that it is part of."""
        name = self._meant(name, node)
        if name in self.bounds:
            self.used_bounds.add(name)
            return self.bounds[name]
        return self.guessed.get(node.sql())

    def of_a_row(self, name: str, node: exp.Expr, value: Typed) -> Bounds | None:
        """The bounds of each row's value; None, refused, where there are none."""
        bounds = self.of(name, node) or ((Decimal(value.low), Decimal(value.high)) if value.bounded else None)
        if bounds is None or bounds[0] >= bounds[1]:
            self.refusals.add(
                node,
                f"no bounds on a row's value of {name}",
                self.line(name, node, _row_line),
            )
            return None
        return bounds

    def points(self, name: str, node: exp.Expr) -> Points | None:
        """What the file declares as this quantile's candidates."""
        name = self._meant(name, node)
        if name in self.candidates:
            self.used_candidates.add(name)
        return self.candidates.get(name)

    def norm(self, name: str, node: exp.Expr) -> Decimal | None:
        """The norm of a unit's vector over all groups, in the measure's own units; None where groups are dropped."""
        if self.norms is None:
            return None
        if isinstance(self.norms, Decimal):
            return self.norms
        name = self._owners.get(node.sql(), name)
        if name not in self.norms:
            self.refusals.add(node, f"no max_norm for {name}", f"Write contribution: {{max_norm: {{{name}: ..}}}}")
            return Decimal(1)
        self.used_norms.add(name)
        return self.norms[name]

    def norm_steps(self, name: str, node: exp.Expr, norm: Decimal, step: Fraction) -> int:
        """A norm in whole grid steps, from 1 to SATURATED."""
        steps = math.floor(Fraction(norm) / step)
        if steps < 1:
            self.refusals.add(node, f"max_norm of {name} is below a step of its grid", "Raise it")
        if steps > SATURATED:
            self.refusals.add(node, f"max_norm of {name} is far above its bounds", "Lower it, or widen bounds")
        return max(1, steps)

    def _meant(self, name: str, node: exp.Expr) -> str:
        alone = self._within is None or len(self._within) == 1
        return self._owners.get(node.sql(), name if alone else "")
