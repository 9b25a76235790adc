"""What a ledger must answer, in a few dictionaries: no database, no chain, no transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dpstats.errors import BudgetExhausted, Frozen, IdempotencyConflict, Unauthorized
from dpstats.ledger.records import Charged, StoredRelease

FRESH_FOR = timedelta(days=30)
BLOCKS = ("static", "2017-01", "2017-02", "2017-03")
BLOCK_CAP = 8
TOKEN_CAP = 9


@dataclass(frozen=True)
class Asked:
    """One request, as the model sees it; `blocks` are those it reads, None in a lineage that has none."""

    name: str
    amount: int
    fresh: bool = False
    key: str | None = None
    role: str = "analyst"
    purpose: str = "reports"
    token: bool = False
    blocks: tuple[str, ...] | None = None

    @property
    def fingerprint(self) -> tuple[str, bool]:
        """What a key is bound to."""
        return self.name, self.fresh


@dataclass
class Paid:
    """What is kept of one charge."""

    asked: Asked
    data_version: int
    charged: Charged
    at: datetime
    stored: StoredRelease | None = None


@dataclass(frozen=True)
class Refused:
    """A refusal; `scope` of an exhausted budget: whose."""

    error: type[Exception]
    scope: str = ""


@dataclass
class Model:
    """A lineage, its caps, a token, and everything that was ever paid."""

    cap: int
    paid: list[Paid] = field(default_factory=list)
    keys: dict[str, tuple[tuple[str, bool], Paid]] = field(default_factory=dict)
    caps: dict[tuple[str, str], int] = field(default_factory=dict)
    frozen: bool = False
    revoked: bool = False
    data_version: int = 1

    def expected(self, asked: Asked, now: datetime) -> Paid | Refused | None:
        """The charge that answers, a refusal, or None for a new charge."""
        if asked.token and self.revoked:
            return Refused(Unauthorized)
        if self.frozen:
            return Refused(Frozen)
        if asked.key in self.keys:
            fingerprint, bound = self.keys[asked.key]
            same = fingerprint == asked.fingerprint
            return bound if same and (bound.stored or self._pays(bound, asked)) else Refused(IdempotencyConflict)
        earlier = None if asked.fresh else self._earlier(asked, now)
        return earlier or next((Refused(BudgetExhausted, scope) for scope in self._too_little(asked)), None)

    def take(self, asked: Asked, charged: Charged, now: datetime) -> Paid:
        """Puts a new charge down."""
        self.paid.append(Paid(asked, self.data_version, charged, now))
        return self.paid[-1]

    def bind(self, asked: Asked, paid: Paid) -> None:
        """Binds the request's key, if it has one that is not bound."""
        if asked.key is not None:
            self.keys.setdefault(asked.key, (asked.fingerprint, paid))

    @property
    def spent(self) -> int:
        """Everything that was charged."""
        return sum(item.asked.amount for item in self.paid)

    def spent_by(self, scope: str, name: str) -> int:
        """What a role or a purpose charged."""
        return sum(item.asked.amount for item in self.paid if getattr(item.asked, scope) == name)

    def spent_of(self, block: str) -> int:
        """What a block was charged."""
        return sum(item.asked.amount for item in self.paid if block in (item.asked.blocks or ()))

    def _pays(self, item: Paid, asked: Asked) -> bool:
        same = (item.asked.name, item.data_version, item.asked.blocks) == (asked.name, self.data_version, asked.blocks)
        return item.stored is None and same and item.asked.amount >= asked.amount

    def _earlier(self, asked: Asked, now: datetime) -> Paid | None:
        stored = [x for x in self.paid if x.asked.name == asked.name and x.stored and x.at + FRESH_FOR > now]
        if stored:
            newest = max(item.at for item in stored)
            return min((x for x in stored if x.at == newest), key=lambda item: item.charged.release_id)
        unfinished = [item for item in self.paid if self._pays(item, asked) and now - item.at < FRESH_FOR]
        return unfinished[-1] if unfinished else None

    def _too_little(self, asked: Asked) -> Iterator[str]:
        if self.spent + asked.amount > self.cap:
            yield "dataset"
        if asked.token and sum(x.asked.amount for x in self.paid if x.asked.token) + asked.amount > TOKEN_CAP:
            yield "token"
        for scope, name in (("role", asked.role), ("purpose", asked.purpose)):
            cap = self.caps.get((scope, name))
            if cap is not None and self.spent_by(scope, name) + asked.amount > cap:
                yield scope
        if any(self.spent_of(block) + asked.amount > BLOCK_CAP for block in asked.blocks or ()):
            yield "block"
