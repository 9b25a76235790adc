"""Who and what spends a budget: its charges added up by query, purpose, role and actor. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dpstats.ledger.chain import Kind
from dpstats.ledger.records import DaySum
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS

HIDDEN = "other datasets"
"""Stands for everything of datasets that the reader may not see."""
NO_TOKEN = "no token"  # noqa: S105
"""The role of whoever charged without a token: the host's operator, or somebody signed in with an issuer's JWT."""


@dataclass(frozen=True)
class Spender:
    """What one cause charged: how often, how much in steps, and when last."""

    name: str
    charges: int
    amount: int
    delta: int
    last: date

    def view(self, spent: int) -> dict[str, Any]:
        """As JSON; `share` is of everything spent."""
        return {
            "name": self.name,
            "charges": self.charges,
            "amount": self.amount / AMOUNT_STEPS,
            "delta": self.delta / DELTA_STEPS,
            "share": self.amount / spent if spent else 0.0,
            "last_on": self.last.isoformat(),
        }


@dataclass(frozen=True)
class Naming:
    """What a charge is told as: the datasets that the reader sees (empty: all), purposes and roles.

    `purposes`: by query and version. `roles`: by token id.
    """

    datasets: tuple[str, ...]
    purposes: Mapping[tuple[str, str], str]
    roles: Mapping[str, str]

    def sees(self, item: DaySum) -> bool:
        """Whether the reader may know what was charged for."""
        return not self.datasets or item.dataset in self.datasets

    def query(self, item: DaySum) -> str:
        """The query's name."""
        return str(item.query)

    def purpose(self, item: DaySum) -> str:
        """The purpose that the charged version of the query names."""
        return self.purposes.get((str(item.query), str(item.query_version)), "unknown")

    def role(self, item: DaySum) -> str:
        """The role of the token that charged."""
        return NO_TOKEN if item.token_id is None else self.roles.get(item.token_id, "unknown")

    def actor(self, item: DaySum) -> str:
        """The token's name, or the operator's."""
        return item.actor


def spenders(sums: Iterable[DaySum], naming: Naming) -> dict[str, tuple[Spender, ...]]:
    """The charges added up by query, purpose, role and actor, in each the largest first."""
    charges = [item for item in sums if item.kind == Kind.CHARGE]
    ways = {"query": naming.query, "purpose": naming.purpose, "role": naming.role, "actor": naming.actor}
    return {way: _summed(charges, naming, name) for way, name in ways.items()}


def _summed(charges: Iterable[DaySum], naming: Naming, name: Callable[[DaySum], str]) -> tuple[Spender, ...]:
    found: dict[str, Spender] = {}
    for item in charges:
        of = name(item) if naming.sees(item) else HIDDEN
        so_far = found.get(of, Spender(of, 0, 0, 0, item.day))
        found[of] = Spender(
            of,
            so_far.charges + item.entries,
            so_far.amount + item.amount,
            so_far.delta + item.delta,
            max(so_far.last, item.day),
        )
    return tuple(sorted(found.values(), key=lambda one: (-one.amount, one.name)))
