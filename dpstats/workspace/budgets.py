"""Budgets and the ledger: what is left, grants, freezing, entries and their verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from dpstats import views
from dpstats.access import Action, check
from dpstats.errors import NotFound, SecondStewardNeeded
from dpstats.ledger.granting import EPSILON_CAP
from dpstats.ledger.heads import Head
from dpstats.ledger.proposals import grant_draft
from dpstats.ledger.records import LineageTerms, Which
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.ledger.verify import VerifyReport
from dpstats.library import Library
from dpstats.plan.blocks import nameable
from dpstats.privacy.blocks import STATIC
from dpstats.privacy.conversion import epsilon_of_rho, rho_within
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS, Loss, Measure, amount_down, amount_up
from dpstats.workspace.stewards import proposal_view

_PAGE = 1000

BLOCKS_SHOWN = 12
"""Blocks in the budget of a release, which stands in a header of its answer."""


class Budgets:
    """The budgets of a workspace's datasets."""

    def __init__(self, store: Store, library: Library) -> None:
        self._registry, self._ledger, self._library = store.registry, store.ledger, library
        self._proposals, self._verify = store.proposals, store.verify

    def one(self, identity: Identity, name: str) -> dict[str, Any]:
        """What is left of a dataset's budget."""
        check(identity, Action.READ)
        return self.of_lineage(self._library.dataset(identity, name).lineage)

    def of_release(self, lineage: str, release_id: str) -> dict[str, Any]:
        """The budget as a release shows it: of the blocks that it was charged to, the few that have least left."""
        terms = self._ledger.terms(lineage)
        body = views.budget(self._ledger.budget(lineage), terms)
        touched = None if terms.blocks is None else self._ledger.charged_blocks(release_id)
        if touched is None or terms.blocks is None:
            return body
        totals = self._ledger.block_totals(lineage)
        charged = [name for name in {*totals.own, *totals.open_to} if touched.has(name)]
        scarce = sorted(charged, key=lambda name: (-totals.of(name).amount, name))[:BLOCKS_SHOWN]
        return body | {"blocks": [views.block(name, totals.of(name), terms.blocks) for name in sorted(scarce)]}

    def of_lineage(self, lineage: str) -> dict[str, Any]:
        """The budget, and that of every block that was charged or that a query's window can name, oldest first."""
        terms = self._ledger.terms(lineage)
        body = views.budget(self._ledger.budget(lineage), terms)
        if terms.blocks is None:
            return body
        totals = self._ledger.block_totals(lineage)
        names = {*totals.own, *totals.open_to, *self._nameable(lineage), STATIC} - {STATIC}
        rows = [views.block(name, totals.of(name), terms.blocks) for name in (*sorted(names), STATIC)]
        return body | {"blocks": rows}

    def _nameable(self, lineage: str) -> set[str]:
        """The blocks that a query's declared window can name, over all queries of the lineage's datasets; public."""
        datasets = {record.name for record in self._registry.datasets() if record.lineage == lineage}
        names: set[str] = set()
        for record in self._registry.queries():
            if record.dataset in datasets:
                known = self._library.as_it_stands(record)
                if known.analysis is not None:
                    names.update(nameable(known.analysis.blocks, known.query))
        return names

    def grant(
        self, identity: Identity, name: str, *, rho: Decimal | None = None, epsilon: Decimal | None = None, reason: str
    ) -> dict[str, Any]:
        """Raises a dataset's budget by `rho` or by `epsilon` (what is added to the cap); gives the ledger's entry.

        Where policy lets one steward not add so much alone, it is proposed, and the proposal is what is given.

        Raises:
          ValueError: not exactly one of the two, not positive, of the wrong measure, or no reason.
        """
        check(identity, Action.STEWARD)
        lineage = self._library.dataset(identity, name).lineage
        terms = self._ledger.terms(lineage)
        added, epsilon_steps = self._added(lineage, terms, rho, epsilon)
        content = self._ledger.grant_content(lineage, added, epsilon=epsilon_steps, actor=identity.name, reason=reason)
        try:
            return views.entry(self._ledger.grant_as(content))
        except SecondStewardNeeded:
            return proposal_view(self._proposals.propose(grant_draft(name, content), identity))

    def _added(
        self, lineage: str, terms: LineageTerms, rho: Decimal | None, epsilon: Decimal | None
    ) -> tuple[Loss, int]:
        if (rho is None) == (epsilon is None):
            raise ValueError("give either rho or epsilon")
        state = self._ledger.budget(lineage)
        delta = Decimal(terms.conversion_delta) / DELTA_STEPS
        if epsilon is not None:
            steps = amount_down(epsilon)
            cap = Decimal(state.epsilon_cap + steps) / AMOUNT_STEPS
            if steps < 1 or cap > EPSILON_CAP:
                raise ValueError(f"epsilon must be more than 0, and the cap at most {EPSILON_CAP}")
            amount = steps if terms.measure is Measure.PURE else rho_within(cap, delta) - state.cap.amount
            return Loss(terms.measure, max(0, amount)), steps
        if terms.measure is Measure.PURE:
            raise ValueError("a dataset with delta 0 counts epsilon: give epsilon")
        amount = amount_down(rho or Decimal(0))
        if amount < 1:
            raise ValueError("rho must be more than 0")
        cap_epsilon = amount_up(epsilon_of_rho(state.cap.amount + amount, delta))
        if cap_epsilon > EPSILON_CAP * AMOUNT_STEPS:
            raise ValueError(f"the cap may be at most epsilon {EPSILON_CAP}")
        return Loss(terms.measure, amount), max(0, cap_epsilon - state.epsilon_cap)

    def freeze(self, identity: Identity, name: str, *, frozen: bool) -> dict[str, Any]:
        """Freezes a dataset, so that nobody can ask it anything, or thaws it."""
        check(identity, Action.STEWARD)
        self._library.dataset(identity, name)
        change = self._registry.freeze if frozen else self._registry.thaw
        record = change(name, identity.name)
        return {"dataset": name, "frozen": record.frozen, "actor": record.actor, "at": record.at.isoformat()}

    def entries(self, identity: Identity, name: str, after: int = 0, limit: int = _PAGE) -> dict[str, Any]:
        """Ledger entries of a dataset's lineage above seq `after`, oldest first, and the signed head.

        Whoever may not see every dataset of the lineage gets its grants and the charges of those that they may see;
        the seqs left out only say that there were others, as the budget does.
        """
        check(identity, Action.STEWARD)
        lineage = self._library.dataset(identity, name).lineage
        entries = self._ledger.entries(lineage, after, limit, datasets=identity.datasets)
        head = self._ledger.head(lineage)
        return {
            "entries": [views.entry(entry) for entry in entries],
            "head": {"seq": head.seq, "hash": head.hash, "signature": head.signature},
        }

    def latest(self, identity: Identity, name: str, which: Which, limit: int = 50) -> dict[str, Any]:
        """Ledger entries of a dataset's lineage, newest first, as asked for, and where the next page begins.

        As `entries`, it leaves out the charges of datasets that the caller may not see.

        Returns:
          `entries`, `next`: the `before` of the following page, None on the last one; and the signed `head`.
        """
        check(identity, Action.STEWARD)
        lineage = self._library.dataset(identity, name).lineage
        found = self._ledger.latest(lineage, replace(which, datasets=identity.datasets), limit + 1)
        shown, head = found[:limit], self._ledger.head(lineage)
        return {
            "entries": [views.entry(entry) for entry in shown],
            "next": shown[-1].seq if len(found) > limit else None,
            "head": {"seq": head.seq, "hash": head.hash, "signature": head.signature},
        }

    def entry(self, identity: Identity, name: str, seq: int) -> dict[str, Any]:
        """One entry of a dataset's lineage.

        Raises:
          NotFound: there is none of that number that the caller may see.
        """
        for entry in self.entries(identity, name, seq - 1, 1)["entries"] if seq > 0 else ():
            if entry["seq"] == seq:
                found: dict[str, Any] = entry
                return found
        raise NotFound("ledger entry", str(seq))

    def freezes(self, identity: Identity, name: str) -> list[dict[str, Any]]:
        """Every freeze and thaw of a dataset, newest first."""
        check(identity, Action.STEWARD)
        self._library.dataset(identity, name)
        return [
            {"frozen": item.frozen, "actor": item.actor, "at": item.at.isoformat()}
            for item in reversed(self._registry.freezes(name))
        ]

    def verify(self, identity: Identity, name: str | None = None, receipts: Sequence[Head] = ()) -> VerifyReport:
        """Walks the ledger of one dataset's lineage, or all of it; every receipt's entry must be in it."""
        check(identity, Action.STEWARD)
        return self._verify(self._library.dataset(identity, name).lineage if name else None, receipts)

    def export(self, identity: Identity, name: str) -> dict[str, Any]:
        """A dataset's whole ledger, with what it takes to verify it elsewhere."""
        body = page = self.entries(identity, name)
        while len(page["entries"]) == _PAGE:
            page = self.entries(identity, name, page["entries"][-1]["seq"])
            body = {"entries": body["entries"] + page["entries"], "head": page["head"]}
        return {"dataset": name, "public_key": self._ledger.public_key} | body
