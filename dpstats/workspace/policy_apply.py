"""Carrying a policy plan out: definitions first, then each query, submitted and approved at once or revoked.

Feature views come last, once what they name is approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dpstats.access import Action, check
from dpstats.errors import Conflict, Frozen, NotApproved, SecondStewardNeeded
from dpstats.ledger.proposals import approval_draft
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.features import Features
from dpstats.workspace.policy import PolicyPlan
from dpstats.workspace.policy_changes import APPROVED_BY_APPLYING, Change, DatasetChange, QueryChange
from dpstats.workspace.policy_files import ViewText
from dpstats.workspace.review import Review


@dataclass(frozen=True)
class Done:
    """One thing that was done. It counts at once.

    `what`: "registered", "approved", "proposed" or "revoked"; of feature views "view registered", "view withdrawn", or
    "view left" where a query of it is proposed alone.
    `proposal_id` is what another steward must confirm before a query that is "proposed" is approved.
    """

    what: str
    name: str
    version: str | None = None
    expires_at: str | None = None
    proposal_id: str | None = None

    def view(self) -> dict[str, Any]:
        """As JSON."""
        told = {"done": self.what, "name": self.name, "query_version": self.version, "expires_at": self.expires_at}
        return told | ({"proposal_id": self.proposal_id} if self.proposal_id else {})


class Applying:
    """Does what a plan says."""

    def __init__(self, store: Store, datasets: Datasets, review: Review, features: Features) -> None:
        self._registry, self._proposals = store.registry, store.proposals
        self._datasets, self._review, self._features = datasets, review, features

    def apply(self, identity: Identity, plan: PolicyPlan, *, prune: bool) -> Iterator[Done]:
        """Yields each thing once it is done and durable; one that fails undoes none before it.

        Between a definition and the queries that it changes, those queries answer nothing.

        Args:
          prune: revoke the queries, and withdraw the feature views, that have no file any more.

        Raises:
          Conflict: the plan holds a refusal: nothing is done. Or what is recorded has changed since it was made.
        """
        check(identity, Action.STEWARD)
        if plan.refusals:
            raise Conflict(f"the plan is refused, and nothing is changed: {' | '.join(plan.refusals)}")
        return self._done(identity, plan, prune)

    def _done(self, identity: Identity, plan: PolicyPlan, prune: bool) -> Iterator[Done]:
        for dataset in plan.datasets:
            if dataset.change in {Change.NEW, Change.CHANGED}:
                yield self._registered(identity, dataset)
        for query in plan.queries:
            if query.change in APPROVED_BY_APPLYING:
                yield self._approved(identity, query)
            if query.change is Change.WITHDRAWN and prune:
                self._registry.revoke(query.name, identity.name)
                yield Done("revoked", query.name)
        for view in plan.views:
            if view.said is not None and view.change in {Change.NEW, Change.CHANGED}:
                yield self._view(identity, view.said)
            if view.change is Change.WITHDRAWN and prune:
                self._features.withdraw(identity, view.name)
                yield Done("view withdrawn", view.name)

    def _view(self, identity: Identity, said: ViewText) -> Done:
        try:
            return Done("view registered", self._features.submit_text(identity, said.text, str(said.file)))
        except (NotApproved, Frozen):
            return Done("view left", said.view.view)

    def _registered(self, identity: Identity, change: DatasetChange) -> Done:
        self._datasets.register(identity, change.text, str(change.file))
        return Done("registered", change.name)

    def _approved(self, identity: Identity, change: QueryChange) -> Done:
        if change.said is None or change.priced is None:
            raise ValueError("only a query that has a file and a price is approved")
        analysis, text = change.priced.analysis, change.said.text
        wish = self._review.wish(analysis, 0, identity, analysis.dataset.approvals_expire)
        try:
            approval = self._registry.submit_and_approve(change.dataset, text, wish)
        except SecondStewardNeeded:
            record = self._registry.submit_query(change.name, change.dataset, text, identity.name)
            draft = approval_draft(change.dataset, replace(wish, revision=record.revision))
            return Done(
                "proposed", change.name, wish.version, None, self._proposals.propose(draft, identity).proposal_id
            )
        ends = approval.expires_at
        return Done("approved", change.name, change.version, ends.isoformat() if ends else None)
