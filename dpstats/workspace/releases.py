"""Previews and releases, new and earlier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dpstats import views
from dpstats.access import Action, check, sees
from dpstats.catalog.parameters import bind_parameters
from dpstats.errors import Frozen, NotApproved, NotFound
from dpstats.ledger.records import StoredRelease
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.plan.advice import Earlier, compared
from dpstats.plan.answer import measures
from dpstats.plan.consequences import consequences
from dpstats.plan.plan import Plan
from dpstats.release import Ask, Road, question
from dpstats.views import Sent
from dpstats.workspace.budgets import Budgets
from dpstats.workspace.covering import Asked, tightest
from dpstats.workspace.earlier import earlier_releases


@dataclass(frozen=True)
class Given:
    """A release, and whether this request made it (and paid).

    `until`: from when on it is not given again as it is, even if nothing is committed to the ledger; None: not known.
    """

    sent: Sent
    made_now: bool
    until: datetime | None


class Releases:
    """The releases of a workspace. Those of a sandbox say so."""

    def __init__(self, store: Store, library: Library, road: Road, budgets: Budgets, *, sandbox: bool) -> None:
        self._mark = {"sandbox": True} if sandbox else {}
        self._store, self._registry, self._ledger, self._library = store, store.registry, store.ledger, library
        self._road, self._budgets = road, budgets

    def preview(self, identity: Identity, name: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """Cost and 95 % error of an approved query; reads no personal data and charges nothing."""
        known, analysis = self._library.runnable(identity, name)
        bound = bind_parameters(known.query, parameters)
        plan = self._road.plan(known, analysis, bound)
        free = self._ledger.find_fresh(question(analysis, bound)) is not None
        price = views.cost(plan.loss, known.dataset.conversion_delta)
        cover = tightest(self._store, identity, Asked(known, analysis, bound, plan.loss))
        return views.preview(
            plan,
            price,
            free_replay=free,
            times=cover.times,
            limit={"scope": cover.scope, "name": cover.name or None},
            costs=views.costs(analysis, plan),
            notes=(*consequences(analysis, plan), *compared(plan, measures(plan), self._earlier(plan))),
        )

    def remaining_like(self, identity: Identity, release: Mapping[str, Any]) -> int:
        """How many more answers like this one are covered, as a preview tells it; reads no data."""
        known, analysis = self._library.runnable(identity, release["query"])
        bound = bind_parameters(known.query, release["parameters"])
        loss = self._road.plan(known, analysis, bound).loss
        return tightest(self._store, identity, Asked(known, analysis, bound, loss)).times

    def _earlier(self, plan: Plan) -> tuple[Earlier, ...]:
        return earlier_releases(self._store, self._library, plan.dataset, plan.query)

    def make(self, ask: Ask) -> tuple[dict[str, Any], bool]:
        """A release as JSON, and whether this request made it (and paid)."""
        given = self.give(ask)
        return given.sent.body, given.made_now

    def give(self, ask: Ask) -> Given:
        """A release, and until when it would be given again as it is."""
        answer = self._road.release(ask)
        with self._registry.one_moment():
            lineage = self._library.dataset(ask.identity, answer.stored.dataset).lineage
            budget = self._budget(lineage, answer.stored)
        sent = views.release(answer.stored, replayed=not answer.made_now, budget_now=budget, mark=self._mark)
        return Given(sent, answer.made_now, answer.until)

    def earlier(self, identity: Identity, release_id: str) -> dict[str, Any]:
        """A release made before, free, as JSON; it raises what `sent` does."""
        return self.sent(identity, release_id).body

    def sent(self, identity: Identity, release_id: str) -> Sent:
        """A release made before, free.

        Raises:
          NotFound: there is none that the caller may see. Frozen, NotApproved: it is not given out now.
        """
        check(identity, Action.READ)
        self._library.check_terms(identity)
        stored = self._ledger.release(release_id)
        if not sees(identity, stored.dataset):
            raise NotFound("release", release_id)
        if self._registry.is_frozen(stored.dataset):
            raise Frozen(stored.dataset)
        if self._registry.approval(stored.query, stored.query_version) is None:
            raise NotApproved(stored.query, stored.query_version)
        lineage = self._library.dataset(identity, stored.dataset).lineage
        budget = self._budget(lineage, stored)
        return views.release(stored, replayed=True, budget_now=budget, mark=self._mark)

    def _budget(self, lineage: str, stored: StoredRelease) -> dict[str, Any]:
        return self._budgets.of_release(lineage, stored.release_id)

    def withdraw(self, identity: Identity, release_id: str, reason: str) -> None:
        """From now on nobody is given the release; asked again, it is drawn and charged anew.

        Raises:
          NotFound: there is none that the caller may see, or it was withdrawn before. ValueError: no reason.
        """
        check(identity, Action.STEWARD)
        if not sees(identity, self._ledger.release(release_id).dataset):
            raise NotFound("release", release_id)
        self._ledger.withdraw(release_id, actor=identity.name, reason=reason)

    def all(
        self,
        identity: Identity,
        *,
        dataset: str | None = None,
        query: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Releases that would be given out, newest first, without their rows; a page may come short of `limit`."""
        check(identity, Action.READ)
        self._library.check_terms(identity)
        page = self._ledger.releases(dataset, query, datasets=identity.datasets, after=after, limit=limit)
        items = [
            _listed(item)
            for item in page.items
            if not self._registry.is_frozen(item.dataset) and self._registry.approval(item.query, item.query_version)
        ]
        return {"items": items, "next": page.next}


def _listed(item: StoredRelease) -> dict[str, Any]:
    """A release without its rows: what was asked, what it cost, and until when it is given again for free."""
    body = views.head(item.body)
    return {
        "release_id": item.release_id,
        "query": item.query,
        "query_version": item.query_version,
        "dataset": item.dataset,
        "data_version": item.data_version,
        "parameters": body["parameters"],
        "cost": body["cost"],
        "created_at": item.created_at.isoformat(),
        "fresh_until": item.fresh_until.isoformat(),
    }
