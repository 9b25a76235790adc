"""The only hand that lengthens a chain: it looks at its end first, and refuses to build on a broken one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from dpstats.errors import LedgerBroken
from dpstats.ledger import journal
from dpstats.ledger.chain import Content, Entry, content_hash, entry_hash, genesis
from dpstats.ledger.heads import Head, HeadFiles
from dpstats.ledger.journal import Sums
from dpstats.ledger.records import Charged
from dpstats.ledger.running import RunningTotals
from dpstats.ledger.signing import Signer, head_message

COUNTED = 10_000
"""Entries that are counted when a chain is first looked at: opening takes as long for a million as for so many."""


@dataclass(frozen=True)
class ChainEnd:
    """The end of a lineage's chain after it was looked at: its newest entry and its entries' sums.

    `kept`: these sums are written as its running totals.
    """

    newest: Entry
    sums: Sums
    kept: bool


class ChainWriter:
    """Looks at chains and makes their next entries, inside the caller's transaction."""

    def __init__(self, signer: Signer, heads: HeadFiles) -> None:
        self._signer = signer
        self.heads = heads
        self.totals = RunningTotals(signer)
        self._counted: dict[str, int] = {}  # up to this entry of each lineage, this process saw one in every place
        self._proven: dict[str, Entry] = {}  # the newest entry whose hash and signature this process made or checked
        self._published: dict[str, Head] = {}  # the newest head that this process saved, of an entry that is committed

    def trusted_end(self, connection: Connection, lineage: str) -> ChainEnd:
        """The end of the chain, after the checks that need no walk over it.

        The newest entry's hash and signature match its content, and so do the running totals that are kept; as many
        entries are there as it says (the first time the newest `COUNTED` are counted, all of them where no totals are
        kept, then those that came since); no more was charged than granted; the saved head is in the chain. An entry
        that is gone from further back gives no budget back, since the totals are signed; `verify` sees it. A head that
        was never saved (a crash after the first commit) is saved now: from the second entry on, its absence is a
        finding.

        Raises:
          LedgerBroken: one of them fails.
        """
        journal.lock(connection, lineage)
        saved = self.heads.read(lineage)
        newest = journal.newest(connection, lineage)
        if newest is None:
            raise _broken(lineage, "it has no entries in this database (is DPSTATS_LEDGER_URL the one that it had?)")
        problem = self._problem(connection, newest) or self._head_problem(connection, newest, saved)
        if problem:
            raise _broken(lineage, problem)
        kept = self.totals.of(connection, newest)
        problem = self._missing(connection, newest, since=newest.seq - COUNTED if kept else 0)
        if problem:
            raise _broken(lineage, problem)
        sums = kept or journal.sums(connection, lineage)
        if sums.overspent:
            raise _broken(lineage, "more was charged than granted")
        self._counted[lineage] = newest.seq
        if saved is None:
            self.publish(newest)
        return ChainEnd(newest, sums, kept=kept is not None)

    def check_head(self, connection: Connection, newest: Entry) -> None:
        """The part of `trusted_end` that is not in the database, for an end that was looked at and stands.

        Raises:
          LedgerBroken: the saved head is missing, or not in the chain.
        """
        saved = self.heads.read(newest.lineage)
        if saved is None or saved != self._published.get(newest.lineage):
            problem = self._head_problem(connection, newest, saved)
            if problem:
                raise _broken(newest.lineage, problem)

    def next_entry(self, content: Content, after: Entry | None) -> Entry:
        """The entry that comes after this one: the first one if it is None. It is not written yet."""
        seq = after.seq + 1 if after else 1
        prev_hash = after.hash if after else genesis(content.lineage)
        digest = content_hash(content, seq, prev_hash)
        signature = self._signer.sign(head_message(content.lineage, seq, digest))
        return Entry(**vars(content), seq=seq, prev_hash=prev_hash, hash=digest, signature=signature)

    def committed(self, entry: Entry) -> None:
        """Remembers that this entry is in its place, and one in every place before it; only for a committed one.

        It was looked at, or made here upon an end that was: the same text need not be looked at again.
        """
        self._proven[entry.lineage] = entry
        self._counted[entry.lineage] = entry.seq

    def publish(self, entry: Entry | Charged) -> None:
        """Saves the head outside the database; only for an entry that is committed."""
        head = head_of(entry)
        if self.heads.save(head):
            self._published[entry.lineage] = head

    def bring_up(self, newest: Entry) -> None:
        """Saves the head of the newest entry if the saved one is behind it."""
        saved = self.heads.read(newest.lineage)
        if saved is None or saved.seq < newest.seq:
            self.publish(newest)

    def _problem(self, connection: Connection, newest: Entry) -> str:
        if newest != self._proven.get(newest.lineage):
            if entry_hash(newest) != newest.hash:
                return f"entry {newest.seq} was changed"
            if not self._signer.signed(head_message(newest.lineage, newest.seq, newest.hash), newest.signature):
                return f"entry {newest.seq} is not signed with this workspace's key"
        return ""

    def _missing(self, connection: Connection, newest: Entry, *, since: int) -> str:
        counted = max(since, self._counted.get(newest.lineage, 0))
        if counted == newest.seq:
            return ""
        there = counted + journal.count(connection, newest.lineage, after=counted)
        return "" if there == newest.seq else f"{there} entries are there where {newest.seq} belong"

    def _head_problem(self, connection: Connection, newest: Entry, saved: Head | None) -> str:
        if saved is None:
            return "its saved head is missing" if newest.seq > 1 else ""
        if saved.seq > newest.seq:
            return f"it ends at entry {newest.seq}, but entry {saved.seq} was written before"
        there = newest if saved.seq == newest.seq else journal.at(connection, newest.lineage, saved.seq)
        if there is None or there.hash != saved.hash:
            return f"entry {saved.seq} is not the one that was saved as its head"
        return ""


def head_of(entry: Entry | Charged) -> Head:
    """The head that this entry is when it is the newest."""
    return Head(entry.lineage, entry.seq, entry.hash, entry.signature)


def _broken(lineage: str, what: str) -> LedgerBroken:
    return LedgerBroken(
        f"the ledger of lineage {lineage} cannot be trusted: {what}; `dpstats ledger verify` says more, and nothing is "
        "charged until the newest backup is restored"
    )
