"""Rights requests and their clocks: what is due when, a request's own page, and a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request, Response

from dpstats.errors import InvalidParameters
from dpstats.rights.deadlines import day_of
from dpstats.rights.requests import Kind
from dpstats.web.refusals import FormRefused
from dpstats.web.rendering import done, page
from dpstats.web.steward import rights_clocks
from dpstats.web.steward.visiting import Steward
from dpstats.web.visiting import Form, Sent, Visitor, page_router

QUESTION = "What do people ask about their data?"
SHOWN = {"open": "open", "due": "due soon or overdue", "closed": "closed", "all": "all"}
"""Which requests the list shows, and how that is told; the first is chosen unless said otherwise."""
ACTS = {
    "confirm": "Note that its receipt was confirmed",
    "verify": "Note who asks",
    "execute": "Carry it out",
    "extend": "Take 45 days more",
    "deny": "Deny it",
    "revoke": "The person took it back",
}
"""What may be done with a request, as its buttons say it."""

Which = Annotated[str, Query(max_length=20)]

router = page_router()


def today() -> date:
    """The day in Los Angeles, which the clocks go by."""
    return day_of(datetime.now(UTC))


@router.get("/rights")
def requests(request: Request, visit: Steward, show: Which = "", kind: Which = "") -> Response:
    """Requests and what is due of them, the most pressing first."""
    show = show if show in SHOWN else next(iter(SHOWN))
    rows = _rows(visit)
    open_rows = [row for row in rows if row["clock"]]
    return page(
        request,
        "steward/rights.html",
        question=QUESTION,
        rows=[row for row in rows if _is_shown(row, show) and kind in {"", row["request"]["type"]}],
        any=bool(rows),
        open=len(open_rows),
        overdue=sum(row["clock"].level == "out" for row in open_rows),
        show=show,
        shown=SHOWN,
        kind=kind,
        kinds=tuple(Kind),
        asks=rights_clocks.ASKS,
        states=rights_clocks.STATES,
        day_words=partial(rights_clocks.day_words, today=today()),
    )


def _rows(visit: Visitor) -> list[dict[str, Any]]:
    """Every request that the steward sees, with its clock: what is due first comes first, what is closed last."""
    alarms = visit.workspace.rights.due()
    rows = [
        {"request": found, "clock": rights_clocks.clock(found, [a for a in alarms if a["id"] == found["id"]], today())}
        for found in reversed(visit.workspace.rights.all(visit.identity))
    ]
    return sorted(rows, key=lambda row: row["clock"].due if row["clock"] else date.max)


def _is_shown(row: Mapping[str, Any], show: str) -> bool:
    clock = row["clock"]
    return {"open": bool(clock), "due": bool(clock and clock.level), "closed": not clock}.get(show, True)


# -- a new one -----------------------------------------------------------------------------------------------------


@router.get("/rights/new")
def ask_open(request: Request, visit: Steward) -> Response:
    """The form of a new request."""
    return _form(request, visit, {})


@router.post("/rights/new")
def open_request(request: Request, visit: Steward, sent: Sent) -> Response:
    """Keeps a request, and leads to its page."""
    try:
        opened = visit.workspace.rights.open(
            visit.identity,
            sent.get("type", ""),
            sent.get("dataset", ""),
            sent.get("unit", "").strip(),
            agent=sent.get("agent", "").strip(),
            permission=sent.get("permission", "").strip(),
            waive=sent.get("waive") == "yes",
        )
    except InvalidParameters as error:
        faults = error.problems
        raise FormRefused(error, lambda told: _form(request, visit, sent, told.status, faults)) from None
    return done(request, f"/rights/{opened['id']}", "The request is kept, and its clocks run.")


def _form(
    request: Request,
    visit: Visitor,
    typed: Form,
    status: int = HTTPStatus.OK,
    faults: Mapping[str, str] | None = None,
) -> Response:
    datasets = [item["dataset"] for item in visit.workspace.datasets.all(visit.identity)]
    return page(
        request,
        "steward/new_right.html",
        status,
        typed=typed,
        faults=faults or {},
        datasets=datasets,
        asks=rights_clocks.ASKS,
    )


# -- one -----------------------------------------------------------------------------------------------------------


@router.get("/rights/{request_id}")
def one(request_id: str, request: Request, visit: Steward) -> Response:
    """Where a request stands, what may be done next, its steps, and the evidence once it is done."""
    found, day = visit.workspace.rights.one(visit.identity, request_id), today()
    alarms = [alarm for alarm in visit.workspace.rights.due() if alarm["id"] == request_id]
    evidence = dict(found["evidence"])
    return page(
        request,
        "steward/right.html",
        found=found,
        asks=rights_clocks.ASKS[found["type"]],
        state=rights_clocks.STATES[found["state"]],
        clock=rights_clocks.clock(found, alarms, day),
        acts=[(act, ACTS[act]) for act in rights_clocks.acts(found, day)],
        told=evidence.pop("told", ()),
        evidence=json.dumps(evidence, indent=2, ensure_ascii=False) if evidence else "",
        day_words=partial(rights_clocks.day_words, today=day),
    )
