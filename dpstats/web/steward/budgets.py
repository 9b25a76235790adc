"""Budgets: what is left and until when, who and what spends it; grants and freezes, each said before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

from dpstats.errors import DpstatsError, InvalidParameters, NotFound
from dpstats.ledger.chain import Kind
from dpstats.ledger.records import Which
from dpstats.web.charts import DRAWN_AS, Theme
from dpstats.web.refusals import FormRefused, refused_by_field
from dpstats.web.rendering import done, page
from dpstats.web.steward.burn_chart import SIZES, burn_spec
from dpstats.web.steward.visiting import Steward, by_dataset, confirm
from dpstats.web.visiting import Form, Sent, Visitor, page_router
from dpstats.web.words import number
from dpstats.words import at_least, counted
from dpstats.workspace.budget_words import percent
from dpstats.workspace.stewards import is_proposal

QUESTION = "What is left, and until when?"
SPENDERS_SHOWN = 8
"""Rows of a table of spenders; the rest is one row."""
LOW_SHARE, LOW_SPAN = 0.1, timedelta(days=30)
"""What is left counts as little below this share, or if it is likely to be used up within this span."""
REASON_MAX = 1000
"""Characters of a reason."""

WAYS = {"query": "Questions", "purpose": "Purposes", "role": "Roles", "actor": "Who"}
"""The tables of spenders, by what the charges are added up by."""

router = page_router()


@router.get("/budgets")
def all_budgets(request: Request, visit: Steward) -> Response:
    """The only dataset's budget, or a choice."""
    return by_dataset(request, visit, QUESTION)


@router.get("/budgets/{dataset}")
def budget(dataset: str, request: Request, visit: Steward) -> Response:
    """One dataset's budget over time, its forecasts and its spenders."""
    identity, budgets = visit.identity, visit.workspace.budgets
    described, left = visit.workspace.datasets.one(identity, dataset), budgets.one(identity, dataset)
    spending = visit.workspace.spending.of(identity, dataset)
    now = spending["burn_down"][-1]
    share = now["remaining"] / now["granted"] if now["granted"] else 0.0
    return page(
        request,
        "steward/budget.html",
        question=QUESTION,
        dataset=described,
        budget=left,
        spending=spending,
        forecast=spending["forecast"],
        share=percent(share),
        level=_level(share, spending),
        sizes=SIZES,
        spenders=[(head, _table(spending["spent_by"][way])) for way, head in WAYS.items()],
        grants=budgets.latest(identity, dataset, Which(kind=Kind.GRANT))["entries"],
        freezes=budgets.freezes(identity, dataset),
        percent=percent,
    )


@router.get("/budgets/{dataset}/burn-down.{form}")
def burn_down(dataset: str, form: str, visit: Steward, theme: str = "light", size: str = "wide") -> Response:
    """The burn-down's chart, as SVG or PNG, for a light or a dark ground."""
    themes = {str(item): item for item in Theme}
    if form not in DRAWN_AS or theme not in themes or size not in SIZES:
        raise NotFound("chart", f"burn-down.{form}")
    draw, media_type = DRAWN_AS[form]
    spending = visit.workspace.spending.of(visit.identity, dataset)
    return Response(draw(burn_spec(spending, themes[theme], size)), media_type=media_type)


def _level(share: float, spending: Mapping[str, Any]) -> str:
    """ "out" where nothing is left, "low" where it is little or soon used up."""
    if share <= 0:
        return "out"
    ends = spending["forecast"]["from_spending"]["ends_on"]
    soon = ends is not None and ends <= _later(spending["today"])
    return "low" if share < LOW_SHARE or soon else ""


def _later(today: str) -> str:
    return (date.fromisoformat(today) + LOW_SPAN).isoformat()


def _table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest spenders, and all others as one."""
    shown, rest = found[:SPENDERS_SHOWN], found[SPENDERS_SHOWN:]
    if len(rest) == 1:
        shown, rest = found, []
    if rest:
        others = {
            "name": counted(len(rest), "other"),
            "charges": sum(item["charges"] for item in rest),
            "share": sum(item["share"] for item in rest),
            "last_on": max(item["last_on"] for item in rest),
        }
        shown = [*shown, others]
    return shown


# -- grants ------------------------------------------------------------------------------------------------------


@router.get("/budgets/{dataset}/grant")
def ask_grant(dataset: str, request: Request, visit: Steward) -> Response:
    """The form of a grant."""
    return _grant_form(request, visit, dataset, {})


@router.post("/budgets/{dataset}/grant")
def grant(dataset: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """First says what the grant does; once that is confirmed, makes it."""
    budgets = visit.workspace.budgets
    left = budgets.one(visit.identity, dataset)
    try:
        epsilon, reason = _typed(sent)
        if sent.get("confirmed") != "yes":
            return _confirm_grant(request, dataset, left, epsilon, reason)
        try:
            entry = budgets.grant(visit.identity, dataset, epsilon=epsilon, reason=reason)
        except ValueError as error:
            raise InvalidParameters({"epsilon": str(error)}) from None
    except DpstatsError as error:
        raise _refused(request, visit, dataset, sent, error) from None
    if is_proposal(entry):
        told = f"Nothing is granted yet: another steward must confirm proposal {entry['proposal_id']}."
        return done(request, "/proposals", told)
    told = f"The budget of {dataset} is raised, as entry {entry['seq']} of its ledger."
    return done(request, f"/budgets/{dataset}", told)


def _typed(sent: Form) -> tuple[Decimal, str]:
    """What is granted and why.

    Raises:
      InvalidParameters: either is not as it must be.
    """
    wrong: dict[str, str] = {}
    reason, epsilon = sent.get("reason", "").strip(), Decimal(0)
    try:
        epsilon = Decimal(sent.get("epsilon", "").strip())
    except InvalidOperation:
        wrong["epsilon"] = "write a number like 1 or 0.5"
    if "epsilon" not in wrong and not (epsilon.is_finite() and 0 < epsilon <= 1000):
        wrong["epsilon"] = "must be more than 0 and at most 1,000"
    if not reason or not reason.isprintable() or len(reason) > REASON_MAX:
        wrong["reason"] = "say why, on one line"
    if wrong:
        raise InvalidParameters(wrong)
    return epsilon, reason


def _confirm_grant(request: Request, dataset: str, left: Mapping[str, Any], epsilon: Decimal, reason: str) -> Response:
    cap = Decimal(str(left["epsilon"]))
    return confirm(
        request,
        title=f"Raise the budget of {dataset}?",
        effects=(
            f"Its budget for life goes from epsilon {number(float(cap))} to {number(float(cap + epsilon))}: "
            "that bounds what all answers together can ever give away about any one of its people.",
            f"The ledger keeps the grant for good, with your name and the reason: {reason}",
            "There is no way back. What is granted can be left unspent, and never taken back.",
        ),
        button=f"Raise the budget of {dataset} by epsilon {number(float(epsilon))}, for good",
        fields=(("epsilon", f"{epsilon:f}"), ("reason", reason), ("confirmed", "yes")),
        back=f"/budgets/{dataset}",
        back_label="Leave the budget as it is",
    )


def _refused(request: Request, visit: Visitor, dataset: str, sent: Form, error: DpstatsError) -> FormRefused:
    return refused_by_field(
        error,
        lambda status, faults, wrong: _grant_form(request, visit, dataset, sent, status, faults=faults, wrong=wrong),
    )


def _grant_form(
    request: Request,
    visit: Visitor,
    dataset: str,
    typed: Form,
    status: int = HTTPStatus.OK,
    *,
    faults: Mapping[str, str] | None = None,
    wrong: str = "",
) -> Response:
    left = visit.workspace.budgets.one(visit.identity, dataset)
    return page(
        request,
        "steward/grant.html",
        status,
        dataset=dataset,
        budget=left,
        spent=number(left["epsilon_spent"]),
        left=at_least(left["epsilon_remaining"]),
        typed=typed,
        faults=faults or {},
        wrong=wrong,
    )


# -- freezes -----------------------------------------------------------------------------------------------------


@router.get("/budgets/{dataset}/freeze")
def ask_freeze(dataset: str, request: Request, visit: Steward) -> Response:
    """What a freeze does."""
    approved = _approved(visit, dataset)
    return confirm(
        request,
        title=f"Freeze {dataset}?",
        effects=(
            f"Nobody can ask it anything from then on: its {counted(approved, 'approved query', 'approved queries')} "
            "answer nothing, not even what was answered before.",
            "Requests under way get no answer. What they were charged stays charged.",
            "Nothing is lost: thawed, it goes on as it was.",
        ),
        button=f"Freeze {dataset}: nobody can ask it anything",
        back=f"/budgets/{dataset}",
        back_label="Leave it open",
    )


@router.get("/budgets/{dataset}/thaw")
def ask_thaw(dataset: str, request: Request, visit: Steward) -> Response:
    """What a thaw does."""
    approved = _approved(visit, dataset)
    return confirm(
        request,
        title=f"Thaw {dataset}?",
        effects=(
            f"Its {counted(approved, 'approved query', 'approved queries')} can be asked again, and spend its budget "
            "again.",
            "Earlier answers are given again, for free.",
        ),
        button=f"Thaw {dataset}: its approved queries can be asked again",
        grave=False,
        back=f"/budgets/{dataset}",
        back_label="Leave it frozen",
    )


@router.post("/budgets/{dataset}/freeze")
def freeze(dataset: str, request: Request, visit: Steward) -> Response:
    """Freezes."""
    visit.workspace.budgets.freeze(visit.identity, dataset, frozen=True)
    return done(request, f"/budgets/{dataset}", f"{dataset} is frozen: nobody can ask it anything.")


@router.post("/budgets/{dataset}/thaw")
def thaw(dataset: str, request: Request, visit: Steward) -> Response:
    """Thaws."""
    visit.workspace.budgets.freeze(visit.identity, dataset, frozen=False)
    return done(request, f"/budgets/{dataset}", f"{dataset} is open: its approved queries can be asked.")


def _approved(visit: Visitor, dataset: str) -> int:
    visit.workspace.datasets.one(visit.identity, dataset)
    queries = visit.workspace.review.all(visit.identity, approved_only=True)
    return sum(query["dataset"] == dataset for query in queries)
