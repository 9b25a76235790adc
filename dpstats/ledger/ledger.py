"""The ledger: grants, charges and releases of every lineage.

Every change is one write transaction; a charge is durable before it is given, and the new head is saved outside
the database after it, before anybody is told what was made under it. Reads never write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine

from dpstats.errors import BudgetExhausted, DpstatsError, LedgerBroken, NotFound
from dpstats.ledger import granting, journal, schema, shelf
from dpstats.ledger.blocks import BlockTerms, Totals, totals
from dpstats.ledger.blocks import read as read_blocks
from dpstats.ledger.chain import Content, Entry, Kind
from dpstats.ledger.charging import Decision, decide, taken_up, together
from dpstats.ledger.clock import Clock, is_right, moment_of, month_of, stamp
from dpstats.ledger.database import reading, writing
from dpstats.ledger.granting import Opening
from dpstats.ledger.groups import Groups
from dpstats.ledger.growing import Growing, Torn
from dpstats.ledger.heads import Head
from dpstats.ledger.records import (
    BudgetState,
    Charged,
    ChargeRequest,
    DaySum,
    LineageTerms,
    Question,
    ReleaseMark,
    ReleasePage,
    StoredRelease,
    Which,
)
from dpstats.ledger.saving import Saving
from dpstats.ledger.signing import Signer
from dpstats.ledger.standing import check_standing
from dpstats.ledger.succession import Succession
from dpstats.ledger.verify import VerifyReport, check_receipt, verify
from dpstats.ledger.writer import ChainWriter, head_of
from dpstats.privacy.blocks import Touched
from dpstats.privacy.loss import Loss, Measure

Outcome = TypeVar("Outcome")


class Ledger:
    """Budgets, charges and releases. Safe for many threads and processes at once; not across a fork.

    Every method may raise `Unavailable` (locked, full, read-only) and `LedgerBroken` (malformed, or not to be trusted).
    """

    def __init__(self, engine: Engine, writer: ChainWriter, signer: Signer, clock: Clock) -> None:
        self._engine, self._writer, self._signer, self._clock = engine, writer, signer, clock
        self._succession = Succession(engine, writer)
        self._heads = Saving(writer)
        self._charges: Groups[ChargeRequest, Decision] = Groups(self._charge_group, self._heads.newest)
        self._early: Groups[ChargeRequest, Decision] = Groups(self._charge_group)

    def close(self) -> None:
        """Ends what is open between charges; none may be under way."""
        self._heads.close()
        self._succession.close()

    def open_lineage(
        self,
        lineage: str,
        *,
        measure: Measure,
        conversion_delta: int,
        privacy_unit: str,
        cap: Loss,
        epsilon: int,
        actor: str,
        blocks: BlockTerms | None = None,
    ) -> BudgetState:
        """Gives a new lineage its terms and its budget; finds a known one, and grants it nothing.

        Args:
          conversion_delta: steps of 1e-18, in [0, 1). cap: what may be charged for life, amount >= 1.
          epsilon: the cap as epsilon, steps of 1e-12, >= 0.
          blocks: its time blocks, if it has any.

        Raises:
          Conflict: known with another unit, measure, conversion delta or blocks, or with a smaller budget.
          SecondStewardNeeded: it is new, and policy asks for another steward.
          ValueError: a number is out of its range, or the cap is of another measure.
        """
        terms = LineageTerms(lineage, measure, conversion_delta, privacy_unit, self._clock(), blocks)
        return self.open_as(Opening(terms, cap, epsilon, actor))

    def open_as(self, opening: Opening) -> BudgetState:
        """The same for an opening, which is dated now, by the ledger's clock."""
        opening = replace(opening, terms=replace(opening.terms, created_at=self._clock()))
        first = self._written(lambda chains: granting.open_lineage(chains, self._writer.heads, opening))
        if first is not None:
            self._heads.save(first)
        return self.budget(opening.terms.lineage)

    def grant(self, lineage: str, added: Loss, *, epsilon: int, actor: str, reason: str) -> Entry:
        """Raises a budget by `added` and its epsilon cap by `epsilon` steps of 1e-12. There is no way back.

        Raises:
          NotFound: the lineage was never opened.
          SecondStewardNeeded: one steward may not add so much alone.
          ValueError: nothing is added, it is of another measure, the reason is empty, or the cap leaves its range.
        """
        return self.grant_as(self.grant_content(lineage, added, epsilon=epsilon, actor=actor, reason=reason))

    def grant_content(self, lineage: str, added: Loss, *, epsilon: int, actor: str, reason: str) -> Content:
        """What the entry of a grant says, that one steward makes now."""
        return Content(
            lineage=lineage,
            kind=Kind.GRANT,
            measure=added.measure,
            amount=added.amount,
            delta=added.delta,
            epsilon=epsilon,
            at=stamp(self._clock()),
            actor=actor,
            reason=reason,
        )

    def grant_as(self, content: Content) -> Entry:
        """Writes a grant; see `grant`."""
        entry = self._written(lambda chains: granting.grant(chains, content))
        self._heads.save(entry)
        return entry

    def budget(self, lineage: str) -> BudgetState:
        """The lineage's budget, by its chain's running totals.

        Raises:
          NotFound: it was never opened. LedgerBroken: more was charged than granted, or the totals are not the chain's.
        """
        with reading(self._engine) as connection:
            measure = journal.known_terms(connection, lineage).measure
            newest = journal.newest(connection, lineage)
            kept = None if newest is None else self._writer.totals.of(connection, newest)
            sums = kept or journal.sums(connection, lineage)
        if sums.overspent:
            raise LedgerBroken(f"the ledger of lineage {lineage} says that more was charged than granted")
        return sums.budget(measure)

    def block_totals(self, lineage: str) -> Totals:
        """What each time block of the lineage was charged.

        Raises:
          NotFound: it was never opened.
        """
        with reading(self._engine) as connection:
            return totals(connection, lineage, journal.known_terms(connection, lineage).measure)

    def charged_blocks(self, release_id: str) -> Touched | None:
        """The time blocks that a release was charged to; None in a lineage without blocks, or for no release."""
        with reading(self._engine) as connection:
            entry = journal.of_release(connection, release_id)
        return None if entry is None or entry.blocks is None else read_blocks(entry.blocks)

    def has_lineage(self, lineage: str) -> bool:
        """Whether the lineage was ever opened."""
        with reading(self._engine) as connection:
            return journal.terms(connection, lineage) is not None

    def terms(self, lineage: str) -> LineageTerms:
        """What is fixed for the life of the lineage.

        Raises:
          NotFound: it was never opened.
        """
        with reading(self._engine) as connection:
            return journal.known_terms(connection, lineage)

    def charge(self, request: ChargeRequest) -> Charged | StoredRelease:
        """Gives the release that answers the request already, or a charge to make it under; see `charging.decide`."""
        decision = self._charges.ask(request)
        return taken_up(decision, resumed=False) if isinstance(decision, Entry) else decision

    @contextmanager
    def charging(self, request: ChargeRequest) -> Iterator[Charged | StoredRelease]:
        """What `charge` gives, as soon as it is durable: its head is saved while the block runs, and before it ends.

        Rows may be read inside, for the charge stands. Nothing may be stored or told before the end: until then, a
        backup from before the charge would pass for the newest ledger.

        Raises:
          What `charge` raises; at the end, that the head cannot be saved, if the block itself did not fail.
        """
        decision = self._early.ask(request)
        with self._heads.meanwhile([decision]):
            yield taken_up(decision, resumed=False) if isinstance(decision, Entry) else decision

    def charge_all(self, requests: Sequence[ChargeRequest]) -> tuple[Charged | StoredRelease, ...]:
        """What `charge` gives, for several requests in one transaction: all that must be charged is, or nothing.

        Raises:
          What `charge` raises for any of them; `BudgetExhausted` tells what those up to the one that did not fit cost
          together, and what was left before all of them.
        """
        decisions = self._written(lambda chains: self._decided(chains, requests))
        self._heads.newest(decisions)
        return tuple(taken_up(made, resumed=False) if isinstance(made, Entry) else made for made in decisions)

    def _decided(self, chains: Growing, requests: Sequence[ChargeRequest]) -> tuple[Decision, ...]:
        decisions: list[Decision] = []
        for request in requests:
            try:
                decisions.append(decide(chains, request, self._clock()))
            except BudgetExhausted as error:
                raise together(error, [entry for entry in decisions if isinstance(entry, Entry)]) from None
        return tuple(decisions)

    def store(self, charged: Charged, *, body: bytes, fresh_for: timedelta) -> StoredRelease:
        """Stores the release made under a charge, unless one is there, and returns what is stored then.

        Only what this returns may be sent: of two draws under one charge, one is stored and the other never seen.

        Args:
          fresh_for: how long after the charge it is given again for free, >= 0.

        Raises:
          ValueError: no such charge was made, or `fresh_for` is negative.
          Frozen, NotApproved: stored, but not given out now: a steward froze the dataset or revoked the query.
          NotFound: or withdrew the release.
        """
        if fresh_for < timedelta(0):
            raise ValueError("a release cannot stay fresh for less than no time")
        # Through the connection of the charges: they go on from what they know, as after a commit of their own.
        with self._succession.growing(lambda later: shelf.find(later, charged.release_id) is not None) as chains:
            connection = chains.connection
            if shelf.find(connection, charged.release_id) is None:
                entry = journal.of_release(connection, charged.release_id)
                if entry is None or (entry.lineage, entry.seq) != (charged.lineage, charged.seq):
                    raise ValueError("a release is stored under the charge that paid for it")
                row = shelf.new_row(entry, body, fresh_for)
                shelf.add(connection, row | {"signature": self._signer.sign(shelf.signed_part(row))})
        with reading(self._engine) as connection:
            return _given_out(connection, shelf.known(connection, charged.release_id), self._clock())

    def find_fresh(self, question: Question) -> StoredRelease | None:
        """The newest release of the question that is still fresh; free.

        Raises:
          Frozen, NotApproved: there is one, and it is not given out now.
        """
        with reading(self._engine) as connection:
            found = shelf.find_fresh(connection, question, self._clock())
            return None if found is None else _given_out(connection, found, self._clock())

    def find_newest(self, question: Question) -> ReleaseMark | None:
        """The newest release of the question that was not withdrawn, fresh or not, without its body; free.

        Raises:
          Frozen, NotApproved: there is one, and it is not given out now.
        """
        with reading(self._engine) as connection:
            found = shelf.find_newest(connection, question)
            if found is not None:
                check_standing(connection, found.dataset, found.query, found.query_version, self._clock())
            return found

    def times_released(self, question: Question) -> int:
        """How often the question was ever answered anew, withdrawn answers too."""
        with reading(self._engine) as connection:
            return shelf.count(connection, question)

    def spent_this_month(self, lineage: str, reason: str) -> int:
        """What was charged for a reason in this calendar month of UTC, in steps of 1e-12."""
        with reading(self._engine) as connection:
            return journal.spent_since(connection, lineage, reason, month_of(self._clock()))

    def release(self, release_id: str) -> StoredRelease:
        """One release.

        Raises:
          NotFound: nothing is stored under this id, or it was withdrawn.
        """
        with reading(self._engine) as connection:
            if shelf.is_withdrawn(connection, release_id):
                raise NotFound("release", release_id)
            return shelf.known(connection, release_id)

    def withdraw(self, release_id: str, *, actor: str, reason: str) -> bool:
        """From now on the release is given to nobody; what it cost stays charged. There is no way back.

        Returns:
          False if it was withdrawn before.

        Raises:
          NotFound: nothing is stored under this id. ValueError: the reason is empty.
        """
        if not reason.strip():
            raise ValueError("a withdrawal needs a reason")
        with writing(self._engine) as connection:
            return shelf.withdraw(connection, release_id, actor, reason, self._clock())

    def releases(
        self,
        dataset: str | None = None,
        query: str | None = None,
        *,
        datasets: tuple[str, ...] = (),
        after: str | None = None,
        limit: int = 100,
    ) -> ReleasePage:
        """Releases, newest first: of one dataset, of one query, of none but `datasets` (empty: all).

        Args:
          after: the `next` of the page before. limit: how many, >= 1.
        """
        if dataset is not None:
            if datasets and dataset not in datasets:
                return ReleasePage((), None)
            datasets = (dataset,)
        with reading(self._engine) as connection:
            return shelf.page(connection, datasets=datasets, query=query, after=after, limit=max(1, limit))

    def entries(
        self, lineage: str, after: int = 0, limit: int = 1000, *, datasets: tuple[str, ...] = ()
    ) -> tuple[Entry, ...]:
        """Up to `limit` entries with a seq above `after`, oldest first; none for an unknown lineage.

        Args:
          datasets: leave out the charges of every other dataset; empty leaves none out.
        """
        with reading(self._engine) as connection:
            return journal.page(connection, lineage, after, max(1, limit), datasets)

    def latest(self, lineage: str, which: Which, limit: int = 100) -> tuple[Entry, ...]:
        """Up to `limit` entries of those that are asked for, newest first; none for an unknown lineage."""
        with reading(self._engine) as connection:
            return journal.latest(connection, lineage, which, max(1, limit))

    def by_day(self, lineage: str) -> tuple[DaySum, ...]:
        """The lineage's entries added up by day (UTC) and cause, oldest first; none for an unknown lineage."""
        with reading(self._engine) as connection:
            return journal.by_day(connection, lineage)

    def today(self) -> date:
        """The day that an entry of now would bear, in UTC."""
        return self._clock().astimezone(UTC).date()

    def head(self, lineage: str) -> Head:
        """The lineage's newest entry as a signed head.

        Raises:
          NotFound: the lineage was never opened.
        """
        with reading(self._engine) as connection:
            newest = journal.newest(connection, lineage)
        if newest is None:
            raise NotFound("lineage", lineage)
        return head_of(newest)

    def verify(self, lineage: str | None = None, receipts: Sequence[Head] = ()) -> VerifyReport:
        """Walks the whole ledger, or one lineage's, and reports everything that is wrong with it.

        Args:
          receipts: heads that were kept elsewhere: each must be in it.
        """
        report = verify(self._engine, self._signer, self._writer.heads, lineage)
        contradicted = [
            finding
            for receipt in receipts
            for finding in check_receipt(self._engine, self._signer, receipt, report.lineages)
        ]
        return replace(report, findings=tuple(dict.fromkeys([*report.findings, *contradicted])))

    @property
    def public_key(self) -> str:
        """What the ledger's signatures can be checked with, `ed25519:` and hex."""
        return self._signer.public

    def check(self) -> None:
        """Looks at the end of every lineage's chain and brings its saved head up to date.

        Raises:
          LedgerBroken: one of them cannot be trusted.
        """
        with self._growing() as chains:
            # The write lock is held, so no head can be saved for an entry that this transaction does not see.
            known = chains.connection.execute(schema.lineages.select()).scalars().all()
            for lineage in sorted({*known, *self._writer.heads.lineages()}):
                self._writer.bring_up(chains.end(lineage).newest)

    def clock_is_right(self) -> bool:
        """Whether the clock can be trusted with how long an answer stays fresh; see `clock.is_right`."""
        with reading(self._engine) as connection:
            lineages = connection.execute(schema.lineages.select()).scalars().all()
            ends = [journal.newest(connection, lineage) for lineage in lineages]
        return is_right(self._clock, max((moment_of(end.at) for end in ends if end is not None), default=None))

    @contextmanager
    def _growing(self, done: Callable[[Connection], bool] | None = None) -> Iterator[Growing]:
        """A write transaction for chains, all of which is written when it ends."""
        with writing(self._engine, done) as connection:
            chains = Growing(connection, self._writer)
            yield chains
            chains.close()

    def _written(self, step: Callable[[Growing], Outcome]) -> Outcome:
        """What `step` makes of one write transaction. An entry stands if it is in its place, lost connection or not."""
        outcomes: list[Outcome] = []
        try:
            with self._growing(lambda later: journal.holds(later, _last(outcomes[-1]))) as chains:
                outcomes.append(step(chains))
        except Torn as torn:
            raise torn.error from None
        return outcomes[-1]

    def _charge_group(self, requests: Sequence[ChargeRequest]) -> list[Decision | Exception]:
        """What each request gets: a refused one leaves nothing, and undoes no other's charge."""
        try:
            return self._charged(requests)
        except Torn as torn:  # nothing of it is left: it was raised before the commit
            if len(requests) == 1:
                return [torn.error]
            return [outcome for request in requests for outcome in self._charge_group([request])]

    def _charged(self, requests: Sequence[ChargeRequest]) -> list[Decision | Exception]:
        """What each gets in one transaction."""
        decisions: list[Decision | Exception] = []
        with self._succession.growing(lambda later: _hold(later, decisions)) as chains:
            for request in requests:
                decisions.append(self._decided_alone(chains, request))
        for entry in decisions:
            if isinstance(entry, Entry):  # in the order of their chain: the newest is remembered
                self._writer.committed(entry)
        return decisions

    def _decided_alone(self, chains: Growing, request: ChargeRequest) -> Decision | Exception:
        try:
            return decide(chains, request, self._clock())
        except (DpstatsError, ValueError) as refusal:
            return refusal


def _hold(connection: Connection, decisions: Sequence[object]) -> bool:
    """Whether the entries among these stand in their places; no if there are none, as nothing shows it then."""
    entries = [decision for decision in decisions if isinstance(decision, Entry)]
    return bool(entries) and all(journal.holds(connection, entry) for entry in entries)


def _last(outcome: object) -> object:
    """The newest entry of an outcome of several: the chain has it only if it has those before it."""
    entries = [made for made in outcome if isinstance(made, Entry)] if isinstance(outcome, tuple) else []
    return entries[-1] if entries else outcome


def _given_out(connection: Connection, stored: StoredRelease, now: datetime) -> StoredRelease:
    """The release, if it may be given out as of this transaction; raises NotFound, Frozen or NotApproved."""
    if shelf.is_withdrawn(connection, stored.release_id):
        raise NotFound("release", stored.release_id)
    check_standing(connection, stored.dataset, stored.query, stored.query_version, now)
    return stored
