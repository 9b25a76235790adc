"""A policy plan as JSON: changes with their prices and errors, and what a year of them does to each budget."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from dpstats import views
from dpstats.errors import NotFound
from dpstats.ledger.ledger import Ledger
from dpstats.ledger.records import BudgetState
from dpstats.plan.answer import measures
from dpstats.privacy.conversion import epsilon_of_rho, shown
from dpstats.privacy.loss import AMOUNT_STEPS, Loss, Measure, amount_down, no_loss
from dpstats.workspace.dataset_terms import stated_cap
from dpstats.workspace.policy import PolicyPlan
from dpstats.workspace.policy_changes import Change, DatasetChange, Priced, QueryChange, cadence_of
from dpstats.workspace.policy_features import PricedView, ViewChange
from dpstats.workspace.yearly import Year, days_covered, together, year_of

LASTING = frozenset({Change.NEW, Change.CHANGED, Change.UNCHANGED, Change.SUBMITTED, Change.EXPIRED})
"""Queries that may be asked once the plan is carried out; withdrawn ones only until they are revoked."""


def policy_view(plan: PolicyPlan, ledger: Ledger) -> dict[str, Any]:
    """The whole plan."""
    return {
        "changes": not plan.is_empty,
        "refusals": list(plan.refusals),
        "datasets": [_dataset(change) for change in plan.datasets],
        "queries": [_query(change, _price_before(change, plan)) for change in plan.queries],
        "views": [_view(change) for change in plan.views],
        "budgets": [_budget(lineage, plan, ledger) for lineage in _lineages(plan)],
    }


def _dataset(change: DatasetChange) -> dict[str, Any]:
    return {
        "dataset": change.name,
        "file": str(change.file),
        "change": str(change.change),
        "parts": list(change.parts),
        "ends_approval_of": list(change.ends),
        "load": change.load,
        "reasons": list(change.reasons),
    }


def _query(change: QueryChange, cost_before: dict[str, Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "query": change.name,
        "dataset": change.dataset,
        "file": str(change.said.file) if change.said else None,
        "change": str(change.change),
        "query_version": change.version or None,
        "parts": list(change.parts),
        "cost": None,
        "cost_before": cost_before,
        "measures": {},
        "cadence": cadence_of(change.said.query) if change.said else None,
        "year": None,
        "warnings": [],
        "reasons": list(change.reasons),
    }
    if change.priced is None:
        return told
    delta = change.priced.analysis.dataset.conversion_delta
    return told | {
        "cost": views.cost(change.priced.plan.loss, delta),
        "measures": measures(change.priced.plan),
        "year": {"charges": _year(change.priced).charges} | views.cost(_year(change.priced).loss, delta),
        "warnings": list(change.priced.analysis.warnings),
    }


def _view(change: ViewChange) -> dict[str, Any]:
    view = change.said.view if change.said else None
    return {
        "view": change.name,
        "dataset": change.dataset,
        "file": str(change.said.file) if change.said else None,
        "change": str(change.change),
        "parts": list(change.parts),
        "queries": list(view.queries) if view else [],
        "refresh_s": int(view.refresh.total_seconds()) if view else None,
        "cost": _renewal(change.priced),
        "cost_before": _renewal(change.before),
        "year": _year_of_view(change.priced),
        "reasons": list(change.reasons),
        "warnings": list(change.warnings),
    }


def _renewal(priced: PricedView | None) -> dict[str, Any] | None:
    """What releasing all of a view once costs."""
    return None if priced is None else views.cost(priced.renewal, priced.queries[0][0].dataset.conversion_delta)


def _year_of_view(priced: PricedView | None) -> dict[str, Any] | None:
    if priced is None:
        return None
    cost = views.cost(priced.year, priced.queries[0][0].dataset.conversion_delta)
    return {"releases": priced.releases, "held_by_monthly": priced.held} | cost


def _price_before(change: QueryChange, plan: PolicyPlan) -> dict[str, Any] | None:
    """What a release of the query costs as it is approved now."""
    found = [priced for priced in plan.before if priced.analysis.query.query == change.name]
    return views.cost(found[0].plan.loss, found[0].analysis.dataset.conversion_delta) if found else None


def _year(priced: Priced) -> Year:
    return year_of(priced.analysis.query, priced.analysis.dataset, priced.plan.loss)


def _lineages(plan: PolicyPlan) -> Iterable[str]:
    return sorted({change.dataset.lineage for change in plan.datasets if change.change is not Change.REFUSED})


def _budget(lineage: str, plan: PolicyPlan, ledger: Ledger) -> dict[str, Any]:
    """What a year at the stated cadences takes from a lineage's budget; epsilons at its conversion delta."""
    of_it = {
        change.name: change.dataset
        for change in plan.datasets
        if change.dataset.lineage == lineage and change.change is not Change.REFUSED
    }
    dataset = next(iter(of_it.values()))
    now = _state(lineage, plan, ledger)
    lasting = [item.priced for item in plan.queries if item.priced and item.change in LASTING and item.dataset in of_it]
    before = [priced for priced in plan.before if priced.analysis.dataset.dataset in of_it]
    views_now = [view.priced for view in plan.views if view.dataset in of_it and view.change in LASTING]
    views_before = [view.before for view in plan.views if view.dataset in of_it]
    year = _sum(now.measure, lasting, views_now)
    year_before = _sum(now.measure, before, views_before)
    spent = Loss(now.measure, now.spent.amount + year.amount)
    return {
        "lineage": lineage,
        "datasets": sorted(of_it),
        "measure": now.measure.unit,
        "cap": float(now.cap.amount_decimal),
        "remaining": float(now.remaining.amount_decimal),
        "year": float(year.amount_decimal),
        "year_before": float(year_before.amount_decimal),
        "delta_remaining": float(now.remaining.delta_decimal),
        "delta_year": float(year.delta_decimal),
        "epsilon_cap": float(Decimal(now.epsilon_cap) / AMOUNT_STEPS),
        "epsilon_spent": _epsilon(now.spent, dataset.conversion_delta),
        "epsilon_after_year": _epsilon(spent, dataset.conversion_delta),
        "covered": year.fits(now.remaining),
        "days": days_covered(year, now.remaining),
    }


def _state(lineage: str, plan: PolicyPlan, ledger: Ledger) -> BudgetState:
    """The budget of a lineage, or the one that its file states where it is not open yet."""
    try:
        return ledger.budget(lineage)
    except NotFound:
        stated = next(change.dataset for change in plan.datasets if change.dataset.lineage == lineage)
        epsilon = amount_down(stated.budget.epsilon)
        return BudgetState(stated.measure, stated_cap(stated), epsilon, no_loss(stated.measure))


def _sum(measure: Measure, priced: Iterable[Priced], renewed: Iterable[PricedView | None]) -> Loss:
    """A year of queries and of views. A release that serves both is counted for each: so it is the most."""
    queries = together(measure, (_year(item) for item in priced))
    return sum((view.year for view in renewed if view is not None), start=queries)


def _epsilon(spent: Loss, conversion_delta: Decimal) -> float:
    if spent.measure is Measure.PURE:
        return float(spent.amount_decimal)
    return float(shown(epsilon_of_rho(spent.amount, conversion_delta)))
