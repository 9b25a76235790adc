"""The whole walk: every hash, signature, price, total, release and saved head, and a plain line for what is wrong.

It trusts nothing that is kept twice, and reads the database as it was at one moment, while others go on charging.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine, func, select, union

from dpstats.errors import LedgerBroken
from dpstats.ledger import caps, journal, running, schema, shelf
from dpstats.ledger.blocks import BlockTerms, Totals, totals
from dpstats.ledger.blocks import read as read_blocks
from dpstats.ledger.chain import Entry, Kind, verify_chain
from dpstats.ledger.database import reading
from dpstats.ledger.granting import recorded_terms
from dpstats.ledger.heads import Head, HeadFiles, KnownHeads
from dpstats.ledger.journal import Sums
from dpstats.ledger.signing import Verifier, head_message
from dpstats.privacy.loss import Loss
from dpstats.privacy.repricing import price_again

_SHOWN_MAX = 100
"""A finding past this many in one lineage is counted, not listed."""


@dataclass(frozen=True)
class VerifyReport:
    """What was walked and what was found: one plain line a finding, none if all is well."""

    lineages: tuple[str, ...]
    entries: int
    findings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(engine: Engine, signer: Verifier, heads: HeadFiles | KnownHeads, lineage: str | None) -> VerifyReport:
    """Verifies one lineage, or every one that the database or a saved head knows of."""
    names: tuple[str, ...] = ()
    findings: list[str] = []
    walked = 0
    try:
        names = (lineage,) if lineage is not None else _known(engine, heads)
        for name in names:
            walk = _Walk(name, signer, heads)
            with reading(engine) as connection:
                walk.run(connection)
            walked += walk.entries
            findings += [f"{name}: {finding}" for finding in walk.findings[:_SHOWN_MAX]]
            if len(walk.findings) > _SHOWN_MAX:
                findings.append(f"{name}: and {len(walk.findings) - _SHOWN_MAX} findings more")
    except LedgerBroken as error:
        findings.append(str(error))
    return VerifyReport(names, walked, tuple(findings))


def verify_entries(engine: Engine, signer: Verifier, head: Head) -> VerifyReport:
    """Verifies what entries alone can show, where there is nothing else of a ledger, against its head."""
    walk = _Walk(head.lineage, signer, KnownHeads([head]))
    with reading(engine) as connection:
        walk.run_entries(connection)
    return VerifyReport((head.lineage,), walk.entries, tuple(f"{head.lineage}: {told}" for told in walk.findings))


def owner_of(receipt: Head, lineages: Iterable[str], signer: Verifier) -> str:
    """The lineage that the receipt's signature is for; empty if it is none of these, or not signed with this key."""
    return next(
        (x for x in lineages if signer.signed(head_message(x, receipt.seq, receipt.hash), receipt.signature)), ""
    )


def check_receipt(engine: Engine, signer: Verifier, receipt: Head, lineages: Iterable[str]) -> tuple[str, ...]:
    """What contradicts a head that somebody kept: an entry that is gone, or another one in its place."""
    lineage = owner_of(receipt, lineages, signer)
    if not lineage:
        return ("the receipt is not signed with this ledger's key, or of a lineage that is not in it",)
    walk = _Walk(lineage, signer, KnownHeads([replace(receipt, lineage=lineage)]))
    with reading(engine) as connection:
        walk.run_head(connection)
    return tuple(f"{lineage}: {finding}" for finding in walk.findings)


def _known(engine: Engine, heads: HeadFiles | KnownHeads) -> tuple[str, ...]:
    tables = (schema.lineages, schema.entries, schema.releases)
    with reading(engine) as connection:
        named = connection.execute(union(*(select(table.c.lineage) for table in tables))).scalars().all()
    return tuple(sorted({str(name) for name in named} | set(heads.lineages())))


class _Walk:
    """One lineage's verification: `findings` grows as it goes."""

    def __init__(self, lineage: str, signer: Verifier, heads: HeadFiles | KnownHeads) -> None:
        self.lineage, self._signer, self._heads = lineage, signer, heads
        self.findings: list[str] = []
        self.entries = 0
        # Read before the database's snapshot is taken: a head is saved after its commit, so it is never ahead.
        with self._broken_is_a_finding():
            self._saved = heads.read(lineage)

    _saved: Head | None = None

    def run(self, connection: Connection) -> None:
        """All checks, each in a pass of its own: what one stumbles over does not keep the others from looking."""
        for check in (
            self._check_terms,
            self._check_chain,
            self._check_entries,
            self._check_prices,
            self._check_blocks,
            self._check_totals,
            self._check_caps,
            self._check_head,
            self._check_releases,
        ):
            with self._broken_is_a_finding():
                check(connection)

    def run_entries(self, connection: Connection) -> None:
        """The checks of an export: it has no releases and nothing that is kept twice."""
        for check in (self._check_terms, self._check_chain, self._check_entries, self._check_prices, self._check_head):
            with self._broken_is_a_finding():
                check(connection)

    def run_head(self, connection: Connection) -> None:
        """The check of a head alone."""
        with self._broken_is_a_finding():
            self._check_head(connection)

    @contextmanager
    def _broken_is_a_finding(self) -> Iterator[None]:
        try:
            yield
        except LedgerBroken as error:
            self.findings.append(str(error))
        except (TypeError, ValueError):
            self.findings.append("a column holds a value that the ledger never writes")

    def _check_chain(self, connection: Connection) -> None:
        self.findings += verify_chain(journal.stream(connection, self.lineage))

    def _check_terms(self, connection: Connection) -> None:
        terms = journal.terms(connection, self.lineage)
        first = journal.at(connection, self.lineage, 1)
        if terms is None:
            self.findings.append("it is not in the list of lineages")
        elif first is None:
            self.findings.append("it has no first entry")
        elif first.kind != Kind.GRANT or first.parameters != recorded_terms(terms):
            self.findings.append("its terms are not those that its first grant records")

    def _check_entries(self, connection: Connection) -> None:
        """Signatures, and in order: never more charged than granted, always in the lineage's own measure."""
        left_amount = left_delta = 0
        first_measure = ""
        for entry in journal.stream(connection, self.lineage):
            self.entries += 1
            first_measure = first_measure or entry.measure
            if entry.measure != first_measure:
                self.findings.append(f"entry {entry.seq} is counted in another measure")
            if not self._signer.signed(head_message(entry.lineage, entry.seq, entry.hash), entry.signature):
                self.findings.append(f"entry {entry.seq} is not signed with this workspace's key")
            sign = 1 if Kind(entry.kind) is Kind.GRANT else -1
            left_amount += sign * entry.amount
            left_delta += sign * entry.delta
            if entry.amount < 0 or entry.delta < 0 or left_amount < 0 or left_delta < 0:
                self.findings.append(f"entry {entry.seq} charges more than was left")

    def _check_prices(self, connection: Connection) -> None:
        """No charge is less than what a second accountant makes of its events; more than that is nobody's harm."""
        for entry in journal.stream(connection, self.lineage):
            if entry.kind != Kind.CHARGE:
                continue
            try:
                again = price_again(json.loads(entry.events), entry.loss.measure)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                self.findings.append(f"entry {entry.seq} cannot be priced again: its events are none that are known")
                continue
            if not again.fits(entry.loss):
                charged, due = _told(entry.loss), _told(again)
                self.findings.append(f"entry {entry.seq} charges {charged}, but its events come to {due}")

    def _check_blocks(self, connection: Connection) -> None:
        """Every charge names its blocks if there are any, none was ever charged past its budget, and totals agree."""
        terms = journal.terms(connection, self.lineage)
        if terms is None:
            return
        again = Totals(terms.measure)
        for entry in journal.stream(connection, self.lineage):
            if entry.kind == Kind.CHARGE or entry.blocks is not None:
                self._check_blocks_of(entry, terms.blocks, again)
        kept = totals(connection, self.lineage, terms.measure)
        if (kept.own, kept.open_to) != (again.own, again.open_to):
            self.findings.append("the running totals of its blocks are not what its charges add up to")

    def _check_blocks_of(self, entry: Entry, terms: BlockTerms | None, again: Totals) -> None:
        if terms is None or entry.blocks is None or entry.kind != Kind.CHARGE:
            if terms is not None or entry.blocks is not None:
                self.findings.append(f"entry {entry.seq} charges no blocks where it must, or some where there are none")
            return
        try:
            touched = read_blocks(entry.blocks)
            again.add(terms.every, touched, entry.loss)
            over = [block for block in again.spent_most(terms.every, touched) if not again.of(block).fits(terms.cap)]
        except (LookupError, TypeError, ValueError):
            self.findings.append(f"entry {entry.seq} names blocks that are none")
            return
        if over:
            self.findings.append(
                f"entry {entry.seq} charges a block more than was left of it ({over[0] or 'earliest'})"
            )

    def _check_totals(self, connection: Connection) -> None:
        """What is kept of the chain is signed, and what its entries add up to, to the newest. Nothing kept is fine."""
        kept = running.kept(connection, self.lineage)
        if kept is None:
            return
        if not running.is_signed(kept, self._signer):
            self.findings.append("its running totals are not signed with this workspace's key")
        again, newest = Sums(0), journal.newest(connection, self.lineage)
        for entry in journal.stream(connection, self.lineage):
            again = again.plus(entry)
        if newest is None or (kept["seq"], kept["hash"]) != (newest.seq, newest.hash) or running.sums_of(kept) != again:
            self.findings.append("its running totals are not what its entries add up to")

    def _check_caps(self, connection: Connection) -> None:
        if caps.kept_of(connection, self.lineage) != caps.added_up(journal.stream(connection, self.lineage)):
            self.findings.append("the running totals of tokens, roles and purposes are not what its charges add up to")

    def _check_head(self, connection: Connection) -> None:
        newest, saved = journal.newest(connection, self.lineage), self._saved
        if saved is None:
            self._check_never_saved(newest)
            return
        if not self._signer.signed(head_message(saved.lineage, saved.seq, saved.hash), saved.signature):
            self.findings.append("its saved head is not signed with this workspace's key")
        there = journal.at(connection, self.lineage, saved.seq)
        if newest is None or newest.seq < saved.seq:
            ends = f"ends at entry {newest.seq}" if newest else "is empty"
            self.findings.append(
                f"the ledger {ends}, but its saved head is entry {saved.seq}: "
                "a tail was cut or an older backup restored"
            )
        elif there is None or there.hash != saved.hash:
            self.findings.append(f"entry {saved.seq} is not the one that was saved as its head")

    def _check_never_saved(self, newest: Entry | None) -> None:
        # A second entry is only written once the first one's head is saved. Looked at again, in case it was just now.
        if newest is not None and newest.seq > 1 and self._heads.read(self.lineage) is None:
            self.findings.append("its saved head is missing")

    def _check_releases(self, connection: Connection) -> None:
        entry, release = schema.entries.c, schema.releases.c
        charges = (
            select(func.count())
            .where(
                entry.release_id == release.release_id,
                entry.kind == Kind.CHARGE,
                entry.lineage == release.lineage,
                entry.query_version == release.query_version,
                entry.data_version == release.data_version,
                entry.dataset == release.dataset,
                entry.at == release.created_at,
            )
            .scalar_subquery()
            .label("charges")
        )
        query = select(schema.releases, charges).where(release.lineage == self.lineage)
        with connection.execute(query.execution_options(yield_per=100)) as rows:
            for row in rows.mappings():
                if row["charges"] != 1:
                    self.findings.append(f"release {row['release_id']} has {row['charges']} charges instead of one")
                if not self._signer.signed(shelf.signed_part(row), row["signature"]):
                    self.findings.append(f"release {row['release_id']} was changed: its signature does not match")


def _told(loss: Loss) -> str:
    return f"{loss.measure.unit} {loss.amount_decimal:f}" + (f" and delta {loss.delta_decimal}" if loss.delta else "")
