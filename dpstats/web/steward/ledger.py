"""The ledger: its entries, newest first, one entry whole, and its verification."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Query, Request, Response

from dpstats.ledger.records import Which
from dpstats.web.rendering import page
from dpstats.web.steward.visiting import Steward, by_dataset
from dpstats.web.visiting import Visitor, page_router
from dpstats.workspace.budget_words import percent

QUESTION = "Is every charge in its place?"
PAGE = 50
"""Entries on a page."""

Before = Annotated[int, Query(ge=0, le=2**62)]
"""Entries with a seq below this one; 0 for the newest."""

router = page_router()


@router.get("/ledger")
def ledgers(request: Request, visit: Steward) -> Response:
    """The only dataset's ledger, or a choice."""
    return by_dataset(request, visit, QUESTION)


@router.get("/ledger/{dataset}")
def ledger(dataset: str, request: Request, visit: Steward, before: Before = 0) -> Response:
    """A page of the ledger."""
    return _page(request, visit, dataset, before, report=None)


@router.post("/ledger/{dataset}/verification")
def verify(dataset: str, request: Request, visit: Steward) -> Response:
    """Walks the whole chain now, and tells what was found."""
    return _page(request, visit, dataset, 0, report=visit.workspace.budgets.verify(visit.identity, dataset))


def _page(request: Request, visit: Visitor, dataset: str, before: int, report: Any) -> Response:
    budgets = visit.workspace.budgets
    found = budgets.latest(visit.identity, dataset, Which(before=before), PAGE)
    budget = budgets.one(visit.identity, dataset)
    whole = budget["epsilon"] if budget["rho"] is None else budget["rho"]
    return page(
        request,
        "steward/ledger.html",
        question=QUESTION,
        dataset=dataset,
        report=report,
        before=before,
        ledger=found,
        measure="epsilon" if budget["rho"] is None else "rho",
        share=lambda entry: percent(_amount(entry) / whole) if whole else "",
    )


def _amount(entry: dict[str, Any]) -> float:
    return float(entry["epsilon"] if entry["rho"] is None else entry["rho"])


@router.get("/ledger/{dataset}/{seq}")
def entry(dataset: str, seq: int, request: Request, visit: Steward) -> Response:
    """One entry, with everything that its hash covers."""
    found = visit.workspace.budgets.entry(visit.identity, dataset, seq)
    content = json.dumps(found["content"], indent=2, ensure_ascii=False)
    return page(request, "steward/entry.html", dataset=dataset, entry=found, content=content)
