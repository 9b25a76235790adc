"""Caps by role and purpose: what a steward lets each of them charge to a dataset's lineage, for ever."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dpstats.access import ALLOWED, Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.ledger.caps import Cap, CapState, Scope, Share
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.privacy.loss import AMOUNT_STEPS, Measure, amount_down

ROLES = tuple(sorted(str(role) for role, actions in ALLOWED.items() if Action.RELEASE in actions))
"""The roles that charge at all."""


@dataclass(frozen=True)
class NewCap:
    """What a steward decides of a role or a purpose: the cap as rho or as epsilon, or neither, to end it; and why."""

    role: str | None
    purpose: str | None
    rho: Decimal | None
    epsilon: Decimal | None
    reason: str


class Capping:
    """The caps of roles and purposes."""

    def __init__(self, store: Store, library: Library) -> None:
        self._ledger, self._caps, self._library = store.ledger, store.caps, library

    def all(self, identity: Identity, name: str) -> dict[str, Any]:
        """The caps in force of a dataset's lineage, with what was charged, and every change ever made, newest first."""
        check(identity, Action.STEWARD)
        lineage = self._library.dataset(identity, name).lineage
        measure = self._ledger.terms(lineage).measure
        return {
            "items": [_state_view(state, measure) for state in self._caps.of(lineage)],
            "next": None,
            "history": [_cap_view(cap, measure) for cap in reversed(self._caps.history(lineage))],
        }

    def change(self, identity: Identity, name: str, new: NewCap) -> dict[str, Any]:
        """Sets, changes or ends a cap; gives what `all` gives then.

        Raises:
          ValueError: not exactly one role or purpose, no such one, an amount of the wrong measure or out of its range,
            nothing to end, or no reason.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        share = _share(new, dataset)
        amount = _amount(new, self._ledger.terms(dataset.lineage).measure)
        self._caps.set(dataset.lineage, share, amount, actor=identity.name, reason=new.reason)
        return self.all(identity, name)


def _share(new: NewCap, dataset: DatasetFile) -> Share:
    if (new.role is None) == (new.purpose is None):
        raise ValueError("give either a role or a purpose")
    scope, name = (Scope.PURPOSE, new.purpose) if new.role is None else (Scope.ROLE, new.role)
    known = ROLES if scope is Scope.ROLE else tuple(sorted(dataset.purposes))
    ends = new.rho is None and new.epsilon is None  # of what is no longer declared, too
    if name not in known and not ends:
        raise ValueError(f"no such {scope}: it is one of {', '.join(known)}")
    return Share(scope, str(name))


def _amount(new: NewCap, measure: Measure) -> int | None:
    if new.rho is not None and new.epsilon is not None:
        raise ValueError("give either rho or epsilon")
    given, other = (new.epsilon, new.rho) if measure is Measure.PURE else (new.rho, new.epsilon)
    if other is not None:
        raise ValueError(f"charges to this dataset are counted in {measure.unit}: give the cap as {measure.unit}")
    return None if given is None else amount_down(given)


def _state_view(state: CapState, measure: Measure) -> dict[str, Any]:
    told = {f"{measure.unit}_spent": state.spent, f"{measure.unit}_remaining": state.left}
    return _cap_view(state.cap, measure) | {name: steps / AMOUNT_STEPS for name, steps in told.items()}


def _cap_view(cap: Cap, measure: Measure) -> dict[str, Any]:
    return {
        "scope": str(cap.share.scope),
        "name": cap.share.name,
        measure.unit: None if cap.amount is None else cap.amount / AMOUNT_STEPS,
        "actor": cap.actor,
        "at": cap.at.isoformat(),
        "reason": cap.reason,
    }
