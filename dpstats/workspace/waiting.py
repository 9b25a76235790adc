"""What waits for a steward: queries that were submitted, changed or ran out, each with what it takes to decide."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Any

from dpstats import views
from dpstats.access import Action, check
from dpstats.catalog.differences import differences
from dpstats.errors import FileError, NotFound, NotLoaded, QueryRefused
from dpstats.ledger.approvals import Approval
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Known, Library, analysis_of, query_of
from dpstats.plan.answer import measures
from dpstats.plan.plan import Plan
from dpstats.workspace.review import Check, Review
from dpstats.workspace.spending import year_view
from dpstats.workspace.yearly import year_of

_CONTEXT = 3
"""Lines shown around a change."""


class Wait(StrEnum):
    """Why a query answers nothing."""

    NEW = "new"
    """It was never approved."""
    CHANGED = "changed"
    """Another text of it was approved."""
    REDEFINED = "redefined"
    """Its text was approved, under another definition of its dataset."""
    EXPIRED = "expired"
    """Its approval ended by itself."""
    REVOKED = "revoked"
    """A steward ended its approval."""
    UNANSWERABLE = "unanswerable"
    """Its dataset's present definition does not answer it."""


class Waiting:
    """The queries of a workspace that are not approved as they stand."""

    def __init__(self, store: Store, library: Library, review: Review) -> None:
        self._registry, self._ledger = store.registry, store.ledger
        self._library, self._review = library, review

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """Every query that the caller may see and that is not approved as it stands, the longest waiting first."""
        check(identity, Action.STEWARD)
        found = [self._listed(known) for known in self._library.all(identity) if not known.approved]
        return sorted(found, key=lambda item: (item["submitted_at"], item["query"]))

    def one(self, identity: Identity, name: str) -> dict[str, Any]:
        """A query as a steward decides on it: what changed, how it is protected, its price, error and year.

        Raises:
          NotFound: no such query. Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        known = self._library.known(identity, name)
        body = self._listed(known) | self._changed(known) | {"text": known.record.text}
        return body | self._priced(known)

    def _listed(self, known: Known) -> dict[str, Any]:
        state = None if known.approved else self._state(known)
        return {
            "query": known.query.query,
            "dataset": known.record.dataset,
            "title": known.query.title,
            "purpose": known.query.purpose,
            "cadence": known.query.cadence,
            "query_version": known.version if known.analysis else None,
            "approved": known.approved,
            "state": str(state) if state else None,
            "submitted_at": known.record.submitted_at.isoformat(),
            "submitted_by": known.record.actor,
        }

    def _state(self, known: Known) -> Wait:
        approvals = self._registry.approvals(known.query.query)
        if known.analysis is None:
            return Wait.UNANSWERABLE
        if not approvals:
            return Wait.NEW
        ruling = [approval for approval in approvals if approval.version == known.version]
        if ruling:
            return Wait.EXPIRED if ruling[-1].revoked_at is None else Wait.REVOKED
        return Wait.REDEFINED if self._text(approvals[-1]) == known.record.text else Wait.CHANGED

    def _text(self, approval: Approval) -> str:
        return self._registry.query_revision(approval.query, approval.revision).text

    def _changed(self, known: Known) -> dict[str, Any]:
        """How the text differs from the one that was approved last; everything is new where none was."""
        approvals = self._registry.approvals(known.query.query)
        last = approvals[-1] if approvals else None
        before = self._text(last) if last else ""
        body: dict[str, Any] = {"before": None, "parts": [], "diff": list(_diff(before, known.record.text))}
        if last is None:
            return body
        parts: tuple[str, ...] = ()
        with suppress(FileError):  # a text that an earlier dpstats read, and this one does not
            parts = differences(query_of(before, known.query.query), known.query)
        ended = last.revoked_at or last.expires_at
        told = {
            "query_version": last.version,
            "approved_by": last.approved_by,
            "approved_at": last.approved_at.isoformat(),
            "revoked_by": last.revoked_by,
            "ended_at": ended.isoformat() if ended else None,
        }
        return body | {"before": told, "parts": list(parts)}

    def _priced(self, known: Known) -> dict[str, Any]:
        """Price, error, proof and a year; or every reason why there are none."""
        found: dict[str, Any] = {"cost": None, "measures": {}, "proof": [], "year": None, "costs": []}
        found |= {"warnings": [], "notes": [], "advice": [], "reasons": []}
        try:
            checked, plan = self._checked(known)
        except QueryRefused as error:
            return found | {"reasons": [str(reason) for reason in error.reasons]}
        except (FileError, NotFound, NotLoaded) as error:
            return found | {"reasons": [str(error)]}
        state = self._ledger.budget(known.dataset.lineage)
        price = views.cost(plan.loss, known.dataset.conversion_delta)
        return found | {
            "cost": price | {"share": plan.loss.amount / state.cap.amount if state.cap.amount else 0.0},
            "cost_before": self._cost_before(known),
            "measures": measures(plan),
            "proof": list(plan.proof),
            "year": year_view(year_of(known.query, known.dataset, plan.loss), state, known.query.cadence),
            "costs": list(checked.costs),
            "warnings": list(checked.warnings),
            "notes": list(checked.notes),
            "advice": list(checked.advice),
        }

    def _checked(self, known: Known) -> tuple[Check, Plan]:
        definition = self._registry.dataset(known.record.dataset).definition
        analysis = analysis_of(known.record.text, definition, known.record.name, known.record.dataset)
        checked = self._review.check_analysis(analysis)
        if checked.plan is None:
            raise NotLoaded(known.record.dataset)
        return checked, checked.plan

    def _cost_before(self, known: Known) -> dict[str, Any] | None:
        """What the text approved last would cost by the dataset's present definition."""
        approvals = self._registry.approvals(known.query.query)
        if not approvals:
            return None
        definition = self._registry.dataset(known.record.dataset).definition
        try:
            text, name, dataset = self._text(approvals[-1]), known.record.name, known.record.dataset
            plan = self._review.plan_of_defaults(analysis_of(text, definition, name, dataset))
        except (FileError, NotFound, NotLoaded, QueryRefused):
            return None
        return None if plan is None else views.cost(plan.loss, known.dataset.conversion_delta)


def _diff(before: str, after: str) -> Iterator[dict[str, str]]:
    """Changed lines with some around them; `sign` is "+", "-", " ", or "@" where lines are left out."""
    if before == after:
        return
    if not before:
        yield from ({"sign": "+", "text": line} for line in after.splitlines())
        return
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT)
    for line in list(lines)[2:]:
        yield {"sign": "@", "text": ""} if line.startswith("@@") else {"sign": line[0], "text": line[1:]}
