"""A chain's running totals, kept beside it and signed, so that a budget is known without adding up every entry.

Claim: what `of` gives is what the entries up to the newest add up to.
Argument: the signature covers the lineage, the totals and the hash of the entry that they go up to, and that hash
covers every entry before it. Only this ledger's key signs, and it signs totals in one place: when a chain grows, in the
transaction that lengthens it, as the totals before plus what was added (`keep`). Totals that are not the newest
entry's, or not signed, are refused; where none are kept, whoever asks adds all entries up. `verify` adds them up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select

from dpstats.errors import LedgerBroken
from dpstats.ledger import schema
from dpstats.ledger.chain import Entry, canonical_json
from dpstats.ledger.database import adding, changing
from dpstats.ledger.journal import Sums
from dpstats.ledger.prepared import Prepared
from dpstats.ledger.signing import Signer, Verifier

_TABLE = schema.chain_totals
_ONE = Prepared(select(_TABLE).where(_TABLE.c.lineage == bindparam("of_lineage")))
_COLUMNS = tuple(column.name for column in _TABLE.c)


class RunningTotals:
    """Reads and keeps them. Thread-safe: what it remembers of a lineage is one value, replaced whole."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._trusted: dict[str, Mapping[str, Any]] = {}  # the rows whose signature was checked or made last

    def of(self, connection: Connection, newest: Entry) -> Sums | None:
        """What the entries up to the newest add up to, None if nothing is kept.

        Raises:
          LedgerBroken: what is kept is not signed with this key, or does not go up to this entry.
        """
        row = kept(connection, newest.lineage)
        if row is None:
            return None
        if self._trusted.get(newest.lineage) != row:
            if not is_signed(row, self._signer):
                raise _broken(newest, "are not signed with this workspace's key")
            self._trusted[newest.lineage] = row
        if (row["seq"], row["hash"]) != (newest.seq, newest.hash):
            raise _broken(newest, f"go up to entry {row['seq']}, and the ledger to entry {newest.seq}")
        return sums_of(row)

    def keep(self, connection: Connection, newest: Entry, sums: Sums) -> None:
        """Signs and writes what the entries up to the newest add up to, in the transaction that wrote it."""
        said = {"lineage": newest.lineage, "seq": newest.seq, "hash": newest.hash, **vars(sums)}
        said.pop("count")
        row = {**said, "signature": self._signer.sign(_message(said))}
        change = changing("chain_totals", _COLUMNS, "lineage", connection.dialect)
        if connection.exec_driver_sql(change, row).rowcount == 0:
            connection.exec_driver_sql(adding("chain_totals", _COLUMNS, connection.dialect), row)
        self._trusted[newest.lineage] = row  # signed here: whenever this very row is read, its signature fits


def kept(connection: Connection, lineage: str) -> Mapping[str, Any] | None:
    """What is kept of the lineage, unchecked; None if nothing is."""
    row = _ONE.one(connection, of_lineage=lineage)
    return None if row is None else dict(row)


def is_signed(row: Mapping[str, Any], signer: Verifier) -> bool:
    """Whether what is kept is signed with the key."""
    said = {name: value for name, value in row.items() if name != "signature"}
    try:
        return signer.signed(_message(said), str(row["signature"]))
    except TypeError:  # a value of a type that is never written
        return False


def sums_of(row: Mapping[str, Any]) -> Sums:
    """The totals that are kept. As many entries as the newest one's number says: they are numbered without gaps."""
    return Sums(
        row["seq"],
        row["granted_amount"],
        row["granted_delta"],
        row["granted_epsilon"],
        row["charged_amount"],
        row["charged_delta"],
    )


def _message(said: Mapping[str, Any]) -> bytes:
    return canonical_json({**said, "totals": "dpstats-totals-1"}).encode()


def _broken(newest: Entry, what: str) -> LedgerBroken:
    return LedgerBroken(
        f"the ledger of lineage {newest.lineage} cannot be trusted: its running totals {what}; `dpstats ledger verify` "
        "says more, and nothing is charged until the newest backup is restored"
    )
