"""What waits for a steward: the review of a query, its approval and its revocation, each said before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import Request, Response

from dpstats.errors import InvalidParameters, SecondStewardNeeded
from dpstats.web.rendering import done, page
from dpstats.web.steward.visiting import Steward, confirm
from dpstats.web.visiting import Sent, page_router
from dpstats.web.words import amount, half_width, number
from dpstats.words import counted
from dpstats.workspace.budget_words import percent

STATES = {
    "new": "It was never approved.",
    "changed": "Its text changed since it was approved.",
    "redefined": "Its dataset was defined anew since it was approved.",
    "expired": "Its approval ran out.",
    "revoked": "A steward ended its approval.",
    "unanswerable": "Its dataset does not answer it as it is defined now.",
}
"""Why a query waits, as a sentence."""
SPANS = {"": "until it is revoked", "90": "for 90 days", "365": "for a year"}
"""For how long an approval holds: days, and how it is told."""
MARKS = {"+": "ins", "-": "del", " ": "span"}
"""The element of each kind of line of a difference."""

router = page_router()


@router.get("/waiting")
def waiting(request: Request, visit: Steward) -> Response:
    """What is to be decided, what was ended, and what is approved."""
    found = visit.workspace.waiting.all(visit.identity)
    ended = [item for item in found if item["state"] == "revoked"]
    return page(
        request,
        "steward/waiting.html",
        states=STATES,
        waiting=[item for item in found if item not in ended],
        ended=ended,
        proposed=sum(item["outcome"] == "pending" for item in visit.workspace.stewards.all(visit.identity)),
        approved=visit.workspace.review.all(visit.identity, approved_only=True),
        until=_until,
    )


def _until(query: Mapping[str, Any]) -> str | None:
    """When the approval that holds ends by itself."""
    ruling = [item for item in query["approvals"] if item["version"] == query["query_version"]]
    found: str | None = ruling[-1]["expires_at"] if ruling else None
    return found


@router.get("/waiting/{query}")
def review(query: str, request: Request, visit: Steward) -> Response:
    """Everything that it takes to decide on a query."""
    found = visit.workspace.waiting.one(visit.identity, query)
    errors = [(name, error_words(measure), measure["bounding"]) for name, measure in found["measures"].items()]
    return page(
        request,
        "steward/review.html",
        query=found,
        state=STATES.get(found["state"] or ""),
        errors=errors,
        percent=percent,
        marks=MARKS,
    )


def error_words(measure: Mapping[str, Any]) -> str:
    """A measure's 95 % error in words; of one that depends on its denominator, at the middle one that is told."""
    if measure.get("rank_error_95") is not None:
        return f"give or take {counted(measure['rank_error_95'], 'row')} in rank"
    at = measure.get("half_width_95_at")
    if not at:
        return half_width(measure["half_width_95"], measure.get("unit"))
    later = list(at)[len(at) // 2 :]
    size = next((name for name in later if at[name] is not None), later[-1])
    told = "too noisy to tell" if at[size] is None else f"give or take {amount(at[size], measure.get('unit'))}"
    return f"{told}, at {float(size):,.12g} in the denominator"


# -- approval ------------------------------------------------------------------------------------------------------


@router.get("/waiting/{query}/approve")
def ask_approve(query: str, request: Request, visit: Steward) -> Response:
    """What an approval does."""
    found = visit.workspace.waiting.one(visit.identity, query)
    effects = [f"Analysts and jobs can ask {query} in the version that you reviewed, and no other."]
    if found["cost"] is not None:
        price, rho = percent(found["cost"]["share"]), found["cost"]["rho"]
        told = "" if rho is None else f" (rho {number(rho)})"
        effects.append(f"Each new answer takes {price} of the dataset's budget for life{told}. {found['year']['says']}")
    effects.append("You can end the approval at any time. What was answered and charged until then stays so.")
    return confirm(
        request,
        title=f"Approve {query}?",
        effects=tuple(effects),
        button=f"Approve {query}: it can be asked",
        grave=False,
        fields=(("version", found["query_version"] or ""),),
        choices=(("days", "How long the approval holds", tuple(SPANS.items())),),
        back=f"/waiting/{query}",
        back_label="Go back to the review",
    )


@router.post("/waiting/{query}/approve")
def approve(query: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Approves the version that was reviewed; refused if another one stands by now."""
    days = sent.get("days", "")
    if days not in SPANS:
        raise InvalidParameters({"days": "choose how long the approval holds"})
    span = timedelta(days=int(days)) if days else None
    # An empty version is none that stands: a form without one approves nothing.
    try:
        visit.workspace.review.approve(visit.identity, query, sent.get("version", ""), expires_after=span)
    except SecondStewardNeeded as needed:
        told = f"{query} is not approved yet: another steward must confirm proposal {needed.proposal}."
        return done(request, "/proposals", told)
    return done(request, "/waiting", f"{query} is approved {SPANS[days]}: it can be asked.")


# -- revocation ----------------------------------------------------------------------------------------------------


@router.get("/waiting/{query}/revoke")
def ask_revoke(query: str, request: Request, visit: Steward) -> Response:
    """What a revocation does."""
    visit.workspace.review.one(visit.identity, query)
    return confirm(
        request,
        title=f"End the approval of {query}?",
        effects=(
            "Nobody can ask it from that moment on, and its earlier answers are given to nobody.",
            "Jobs that pull it fail until it is approved again. What it was charged stays charged.",
            "No file brings it back: a steward must approve it again.",
        ),
        button=f"Revoke {query}: it answers nothing",
        back=f"/waiting/{query}",
        back_label="Leave it approved",
    )


@router.post("/waiting/{query}/revoke")
def revoke(query: str, request: Request, visit: Steward) -> Response:
    """Ends the query's approvals."""
    visit.workspace.review.revoke(visit.identity, query)
    return done(request, "/waiting", f"{query} is revoked: it answers nothing.")
