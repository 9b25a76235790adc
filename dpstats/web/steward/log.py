"""The log: every request of a known caller, replays and refusals too, newest first. For stewards of every dataset."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request, Response

from dpstats.web.rendering import page
from dpstats.web.steward.asked import Name
from dpstats.web.steward.ledger import PAGE, Before
from dpstats.web.steward.visiting import Steward
from dpstats.web.visiting import page_router

router = page_router()


@router.get("/log")
def log(request: Request, visit: Steward, who: Name = "", query: Name = "", before: Before = 0) -> Response:
    """Who asked what, with what outcome: no parameter, no value and nobody's id is in it."""
    lines = visit.workspace.asked.before(visit.identity, before, PAGE, actor=who, query=query)
    onward = urlencode({"who": who, "query": query, "before": lines[-1]["number"]}) if len(lines) == PAGE else ""
    return page(
        request,
        "steward/log.html",
        lines=[line | {"day": str(line["at"])[:10]} for line in lines],
        more=f"/log?{onward}" if onward else "",
        who=who,
        query=query,
        before=before,
    )
