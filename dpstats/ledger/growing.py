"""Chains as one write transaction lengthens them: looked at once, and followed in memory from there.

Why that may be: a write transaction is alone until it ends, so between its own statements nothing changes but by them.
It goes with its transaction: what is undone there is forgotten with it; and on with the next one only where nothing was
committed in between (`succession`). Entries wait until something is to be read, or the transaction ends, and are then
written in one statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from dpstats.errors import DpstatsError
from dpstats.ledger import caps, journal, schema, standing
from dpstats.ledger.caps import Cap, CapTotals, Share
from dpstats.ledger.chain import Content, Entry
from dpstats.ledger.database import adding
from dpstats.ledger.journal import Sums
from dpstats.ledger.records import LineageTerms
from dpstats.ledger.standing import Caller, Standing
from dpstats.ledger.writer import ChainEnd, ChainWriter

_COLUMNS = tuple(column.name for column in schema.entries.c)


class Torn(Exception):
    """Something was written in part: its transaction must go, and `error` is why."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Growing:
    """The chains of one write transaction. `close` writes what waits: the transaction ends right after it."""

    def __init__(self, connection: Connection, writer: ChainWriter) -> None:
        self._connection, self._writer = connection, writer
        self._terms: dict[str, LineageTerms] = {}
        self._ends: dict[str, ChainEnd] = {}
        self._standings: dict[tuple[str, str, str], Standing] = {}
        self._callers: dict[str, Caller] = {}
        self._caps: dict[str, dict[Share, Cap]] = {}
        self.charged = CapTotals(connection)
        self._waiting: list[Entry] = []
        self._looked_at: set[str] = set()  # lineages whose saved head this transaction saw

    @property
    def size(self) -> int:
        """How many facts it remembers."""
        chains = len(self._terms) + len(self._ends) + len(self._caps)
        return chains + len(self._standings) + len(self._callers) + self.charged.size

    def go_on(self) -> None:
        """It is of another transaction from here, before which nothing was committed since the last one's end."""
        self._looked_at.clear()

    @property
    def connection(self) -> Connection:
        """For everything else: through it, every entry that was appended can be read."""
        self._write()
        return self._connection

    def known_terms(self, lineage: str) -> LineageTerms:
        """What is fixed for the lineage.

        Raises:
          NotFound: it was never opened.
        """
        if lineage not in self._terms:
            self._terms[lineage] = journal.known_terms(self._connection, lineage)
        return self._terms[lineage]

    def check_standing(self, dataset: str, query: str, version: str, now: datetime) -> None:
        """Lets pass what the stewards allow as of this transaction; see `standing.check_standing`."""
        asked = (dataset, query, version)
        if asked not in self._standings:
            self._standings[asked] = standing.read(self._connection, *asked)
        self._standings[asked].check(now)

    def check_caller(self, token_id: str | None, now: datetime) -> None:
        """Lets pass whoever's token is live as of this transaction, and who has none; see `standing.Caller`."""
        if token_id is None:
            return
        if token_id not in self._callers:
            self._callers[token_id] = standing.read_caller(self._connection, token_id)
        self._callers[token_id].check(now)

    def caps(self, lineage: str) -> dict[Share, Cap]:
        """The lineage's caps in force."""
        if lineage not in self._caps:
            self._caps[lineage] = caps.in_force(self._connection, lineage)
        return self._caps[lineage]

    def end(self, lineage: str) -> ChainEnd:
        """The end of the chain, with what was appended here.

        Raises:
          LedgerBroken: it cannot be trusted.
        """
        if lineage not in self._ends:
            self._ends[lineage] = self._writer.trusted_end(self._connection, lineage)
        elif lineage not in self._looked_at:
            self._writer.check_head(self._connection, self._ends[lineage].newest)
        self._looked_at.add(lineage)
        return self._ends[lineage]

    def begin(self, content: Content) -> Entry:
        """Appends the first entry of a chain."""
        return self._follow(self._writer.next_entry(content, None), Sums(0))

    def append(self, content: Content) -> Entry:
        """Appends an entry to a chain. It counts once the transaction commits.

        Raises:
          LedgerBroken: the chain's end cannot be trusted.
        """
        end = self.end(content.lineage)
        return self._follow(self._writer.next_entry(content, end.newest), end.sums)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Around what must be written whole: if it raises, the transaction must go."""
        try:
            yield
        except (DpstatsError, ValueError) as error:
            raise Torn(error) from error

    def close(self) -> None:
        """Writes the entries that wait, and the running totals of every chain whose kept ones do not go up to its end.

        Raises:
          Torn: an entry cannot be written.
        """
        self._write()
        self.charged.write()
        for lineage, end in self._ends.items():
            if not end.kept:
                self._writer.totals.keep(self._connection, end.newest, end.sums)
                self._ends[lineage] = replace(end, kept=True)

    def _follow(self, entry: Entry, before: Sums) -> Entry:
        self._waiting.append(entry)
        self.charged.add(entry)
        self._ends[entry.lineage] = ChainEnd(entry, before.plus(entry), kept=False)
        self._looked_at.add(entry.lineage)
        return entry

    def _write(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            with self.whole():
                statement = adding("entries", _COLUMNS, self._connection.dialect)
                self._connection.exec_driver_sql(statement, [vars(entry) for entry in waiting])
