"""Who asked what: the charges of a dataset, newest first, by actor and query. Told from the ledger."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from dpstats.ledger.chain import Kind
from dpstats.ledger.records import Which
from dpstats.web.rendering import page
from dpstats.web.steward.ledger import PAGE, Before
from dpstats.web.steward.visiting import Steward, by_dataset
from dpstats.web.visiting import page_router

QUESTION = "Who asked what?"

Name = Annotated[str, Query(max_length=200)]
"""A name to look for; empty for all."""

router = page_router()


@router.get("/asked")
def asked_of(request: Request, visit: Steward) -> Response:
    """The only dataset's askings, or a choice."""
    return by_dataset(request, visit, QUESTION)


@router.get("/asked/{dataset}")
def asked(
    dataset: str, request: Request, visit: Steward, who: Name = "", query: Name = "", before: Before = 0
) -> Response:
    """New answers that were paid for, and who asked for them."""
    which = Which(before=before, kind=Kind.CHARGE, actor=who, query=query)
    found = visit.workspace.budgets.latest(visit.identity, dataset, which, PAGE)
    by = visit.workspace.spending.of(visit.identity, dataset)["spent_by"]
    onward = urlencode({"who": who, "query": query, "before": found["next"] or 0})
    return page(
        request,
        "steward/asked.html",
        question=QUESTION,
        dataset=dataset,
        entries=found["entries"],
        more=f"/asked/{dataset}?{onward}" if found["next"] else "",
        who=who,
        query=query,
        before=before,
        people=sorted(item["name"] for item in by["actor"]),
        queries=sorted(item["name"] for item in by["query"]),
    )
