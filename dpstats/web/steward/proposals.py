"""What one steward proposed and another confirms or declines; each decision says what it does before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from dpstats.errors import NotFound
from dpstats.web.rendering import done, page
from dpstats.web.steward.visiting import Steward, confirm
from dpstats.web.visiting import Visitor, page_router
from dpstats.web.words import number

router = page_router()


@router.get("/proposals")
def proposals(request: Request, visit: Steward) -> Response:
    """What waits for a second steward, what was decided, and what takes two."""
    found = visit.workspace.stewards.all(visit.identity)
    return page(
        request,
        "steward/proposals.html",
        waiting=[item for item in found if item["outcome"] == "pending"],
        decided=[item for item in reversed(found) if item["outcome"] != "pending"],
        takes_two=policy_words(visit.workspace.stewards.policy(visit.identity)),
        asks=asks_words,
        mine=visit.identity.name,
    )


@router.get("/proposals/{proposal}/confirm")
def ask_confirm(proposal: str, request: Request, visit: Steward) -> Response:
    """What a confirmation does."""
    found = _one(visit, proposal)
    effects = [
        f"{found['proposed_by']} proposed it: {asks_words(found)}.",
        *_done_words(found),
        "It is done in both names, and the ledger keeps both.",
    ]
    return confirm(
        request,
        title=f"Confirm what {found['proposed_by']} proposed?",
        effects=tuple(effects),
        button=f"Confirm: {asks_words(found)}",
        grave=found["kind"] != "approval",
        back="/proposals",
        back_label="Leave it undecided",
    )


@router.post("/proposals/{proposal}/confirm")
def confirm_proposal(proposal: str, request: Request, visit: Steward) -> Response:
    """Does what another steward proposed."""
    made = visit.workspace.stewards.confirm(visit.identity, proposal)
    return done(request, "/proposals", f"Done, in your name and that of {made['proposed_by']}: {asks_words(made)}.")


@router.get("/proposals/{proposal}/decline")
def ask_decline(proposal: str, request: Request, visit: Steward) -> Response:
    """What declining does."""
    found = _one(visit, proposal)
    return confirm(
        request,
        title=f"Decline what {found['proposed_by']} proposed?",
        effects=(
            f"Nothing comes of it: {asks_words(found)}.",
            "Who proposed it may propose it again.",
        ),
        button=f"Decline: {asks_words(found)}",
        grave=False,
        back="/proposals",
        back_label="Leave it undecided",
    )


@router.post("/proposals/{proposal}/decline")
def decline_proposal(proposal: str, request: Request, visit: Steward) -> Response:
    """Ends a proposal, one's own or another's."""
    ended = visit.workspace.stewards.decline(visit.identity, proposal)
    return done(request, "/proposals", f"Declined: {asks_words(ended)}.")


def _one(visit: Visitor, proposal: str) -> dict[str, Any]:
    found = [item for item in visit.workspace.stewards.all(visit.identity) if item["proposal_id"] == proposal]
    if not found:
        raise NotFound("proposal", proposal)
    return found[0]


def asks_words(proposal: Mapping[str, Any]) -> str:
    """What is proposed, in words that stand after a colon."""
    subject, asks = proposal["subject"], proposal["asks"]
    match proposal["kind"]:
        case "grant":
            return f"raise the budget of {proposal['dataset']} by epsilon {number(asks['epsilon'])}, for good"
        case "lineage":
            return f"open a budget of epsilon {number(asks['epsilon'])} for the new lineage {subject}"
        case "approval":
            return f"approve {subject}, each new answer at epsilon {number(asks['epsilon'])}"
        case _:
            return f"from then on it takes two stewards for {policy_words(asks)}"


def policy_words(policy: Mapping[str, Any]) -> str:
    """What takes two stewards: `grants above epsilon 1 and new lineages`."""
    limits = {"grants": policy["grants_above"], "approvals": policy["approvals_above"]}
    parts = [f"{what} above epsilon {number(limit)}" for what, limit in limits.items() if limit is not None]
    parts += ["new lineages"] * policy["new_lineages"] + ["approvals that read sensitive columns"] * policy["sensitive"]
    *first, last = parts or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def _done_words(proposal: Mapping[str, Any]) -> tuple[str, ...]:
    """What follows for the people in the data, or for those who ask."""
    match proposal["kind"]:
        case "grant":
            return ("There is no way back. What is granted can be left unspent, and never taken back.",)
        case "lineage":
            return ("It is another pool of budget: make sure that it is not about people who have one already.",)
        case "approval":
            return ("Analysts and jobs can ask it in the version that was proposed, and no other.",)
        case _:
            return ("One steward alone may do more than before, or less.",)
