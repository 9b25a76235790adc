"""Caps by token, role and purpose: how much of a lineage's budget each may ever charge. They share it out fairly; the
lineage's own budget is the guarantee, and holds whatever they say.

A token's cap is fixed when it is made. Those of roles and purposes are a lineage's, and their history only grows: the
newest of each holds. What was charged is kept as running totals beside the chain (`CapTotals`).

Claim: no role, purpose or token is charged more than its cap of that moment, whoever asks at once.
Argument: totals are read, looked at and added to in one write transaction, and writers are alone
(`database.writing`). Every entry says its role, purpose and token, so `verify` adds them up again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine, bindparam, select

from dpstats.ledger import histories, journal, schema
from dpstats.ledger.chain import Content, Entry, Kind
from dpstats.ledger.clock import Clock, moment_of, stamp
from dpstats.ledger.database import adding, reading, writing
from dpstats.ledger.prepared import Prepared

_TOTALS = schema.cap_totals.c
_OF_SHARE = Prepared(
    select(_TOTALS.lineage, _TOTALS.amount).where(
        _TOTALS.scope == bindparam("of_scope"), _TOTALS.name == bindparam("of_name")
    )
)
_HISTORY = Prepared(
    select(schema.caps).where(schema.caps.c.lineage == bindparam("of_lineage")).order_by(schema.caps.c.number)
)
_COLUMNS = tuple(column.name for column in _TOTALS)
_ADDED_TO = " ON CONFLICT (scope, name, lineage) DO UPDATE SET amount = cap_totals.amount + excluded.amount"
_STEPS_MAX = 2**62


class Scope(StrEnum):
    """Whose charges a cap is for."""

    TOKEN = "token"  # noqa: S105
    ROLE = "role"
    PURPOSE = "purpose"


@dataclass(frozen=True)
class Share:
    """One token, role or purpose."""

    scope: Scope
    name: str


@dataclass(frozen=True)
class Cap:
    """What a steward decided of a role or purpose of a lineage: at most `amount` steps of 1e-12; None: no cap."""

    share: Share
    amount: int | None
    actor: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class CapState:
    """A cap in force and what was charged, in steps of 1e-12."""

    cap: Cap
    amount: int
    spent: int

    @property
    def left(self) -> int:
        """What may still be charged."""
        return max(0, self.amount - self.spent)


class Caps:
    """The caps of roles and purposes."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def set(self, lineage: str, share: Share, amount: int | None, *, actor: str, reason: str) -> CapState | None:
        """Sets or changes a cap, `amount` steps of 1e-12, or ends it (None); what it says then.

        It counts everything that the role or purpose ever charged: one below that lets nothing more through.

        Raises:
          NotFound: the lineage was never opened.
          ValueError: it is a token's, the amount is out of its range, there is none to end, or no reason is given.
        """
        if share.scope is Scope.TOKEN or not share.name:
            raise ValueError("a cap is for a role or a purpose: a token's is set when it is made")
        if amount is not None and not 0 <= amount <= _STEPS_MAX:
            raise ValueError("a cap is at least 0 and below 4,000,000")
        if not reason.strip():
            raise ValueError("a cap needs a reason")
        row = {"scope": share.scope, "name": share.name, "amount": amount, "actor": actor, "reason": reason}
        with writing(self._engine) as connection:
            journal.known_terms(connection, lineage)
            if amount is None and share not in in_force(connection, lineage):
                raise ValueError(f"{share.scope} {share.name} has no cap to end")
            histories.append(connection, schema.caps, lineage, row | {"at": stamp(self._clock())})
        return next((state for state in self.of(lineage) if state.cap.share == share), None)

    def of(self, lineage: str) -> tuple[CapState, ...]:
        """The caps in force of a lineage and what was charged, roles first."""
        with reading(self._engine) as connection:
            totals, caps = CapTotals(connection), in_force(connection, lineage)
            found = [CapState(cap, cap.amount or 0, totals.of(share, lineage)) for share, cap in caps.items()]
        order = list(Scope)
        return tuple(sorted(found, key=lambda state: (order.index(state.cap.share.scope), state.cap.share.name)))

    def history(self, lineage: str) -> tuple[Cap, ...]:
        """Every cap that was ever set, changed or ended, oldest first."""
        with reading(self._engine) as connection:
            return tuple(_history(connection, lineage))

    def token_spent(self, token_id: str) -> int:
        """Everything that the token ever charged, whichever the lineage, in steps of 1e-12."""
        with reading(self._engine) as connection:
            return CapTotals(connection).of_all(Share(Scope.TOKEN, token_id))


@dataclass
class CapTotals:
    """What tokens, roles and purposes charged, as one transaction reads and changes it; written by `write`."""

    connection: Connection
    _kept: dict[Share, dict[str, int]] = field(default_factory=dict)
    _added: dict[tuple[Share, str], int] = field(default_factory=dict)

    def of(self, share: Share, lineage: str) -> int:
        """What it charged to one lineage."""
        return self._read(share).get(lineage, 0) + self._added.get((share, lineage), 0)

    def of_all(self, share: Share) -> int:
        """What it charged to all lineages."""
        added = sum(amount for (whose, _), amount in self._added.items() if whose == share)
        return sum(self._read(share).values()) + added

    @property
    def size(self) -> int:
        """How many totals were read."""
        return sum(map(len, self._kept.values()))

    def add(self, content: Content) -> None:
        """Adds an entry; a grant is nobody's."""
        for share in shares_of(content):
            key = share, content.lineage
            self._added[key] = self._added.get(key, 0) + content.amount

    def write(self) -> None:
        """Writes what was added since the last time; totals that were read go on with it."""
        rows = [
            {"scope": share.scope, "name": share.name, "lineage": lineage, "amount": amount}
            for (share, lineage), amount in self._added.items()
        ]
        if rows:
            statement = adding("cap_totals", _COLUMNS, self.connection.dialect) + _ADDED_TO
            self.connection.exec_driver_sql(statement, rows)
        for (share, lineage), amount in self._added.items():
            if share in self._kept:
                self._kept[share][lineage] = self._kept[share].get(lineage, 0) + amount
        self._added.clear()

    def _read(self, share: Share) -> dict[str, int]:
        if share not in self._kept:
            rows = _OF_SHARE.rows(self.connection, of_scope=share.scope, of_name=share.name)
            self._kept[share] = {row["lineage"]: int(row["amount"]) for row in rows}
        return self._kept[share]


def shares_of(content: Content) -> tuple[Share, ...]:
    """The token, role and purpose that a charge is counted for; none for a grant."""
    if content.kind != Kind.CHARGE:
        return ()
    named = ((Scope.TOKEN, content.token_id), (Scope.ROLE, content.role), (Scope.PURPOSE, content.purpose))
    return tuple(Share(scope, name) for scope, name in named if name is not None)


def in_force(connection: Connection, lineage: str) -> dict[Share, Cap]:
    """The lineage's caps that were not ended."""
    newest = {cap.share: cap for cap in _history(connection, lineage)}
    return {share: cap for share, cap in newest.items() if cap.amount is not None}


def kept_of(connection: Connection, lineage: str) -> dict[Share, int]:
    """The running totals of a lineage, unchecked."""
    query = select(_TOTALS.scope, _TOTALS.name, _TOTALS.amount).where(_TOTALS.lineage == lineage)
    return {Share(Scope(scope), name): int(amount) for scope, name, amount in connection.execute(query)}


def added_up(entries: Iterator[Entry]) -> dict[Share, int]:
    """The totals of these entries."""
    again: dict[Share, int] = {}
    for entry in entries:
        for share in shares_of(entry):
            again[share] = again.get(share, 0) + entry.amount
    return again


def _history(connection: Connection, lineage: str) -> Iterator[Cap]:
    for row in _HISTORY.rows(connection, of_lineage=lineage):
        share = Share(Scope(row["scope"]), row["name"])
        yield Cap(share, row["amount"], row["actor"], moment_of(row["at"]), row["reason"])
