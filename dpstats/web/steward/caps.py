"""Caps of roles and purposes: who may charge how much of a dataset's budget; each change is said before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

from dpstats.errors import DpstatsError, InvalidParameters
from dpstats.web.refusals import FormRefused, refused_by_field
from dpstats.web.rendering import done, page
from dpstats.web.steward.visiting import Steward, confirm
from dpstats.web.visiting import Form, Sent, Visitor, page_router
from dpstats.web.words import number
from dpstats.words import at_least
from dpstats.workspace.caps import ROLES, NewCap

REASON_MAX = 1000
AMOUNT_MAX = 1000
"""Rho or epsilon that a cap may be at most."""

router = page_router()


@dataclass(frozen=True)
class _Typed:
    """What a form asks: a cap of a role or a purpose; `amount` None ends it."""

    scope: str
    name: str
    amount: Decimal | None
    reason: str

    def cap(self, measure: str) -> NewCap:
        """It as the workspace takes it; the amount is of the dataset's measure."""
        role = self.name if self.scope == "role" else None
        purpose = self.name if self.scope == "purpose" else None
        rho, epsilon = (self.amount, None) if measure == "rho" else (None, self.amount)
        return NewCap(role, purpose, rho, epsilon, self.reason)


@router.get("/budgets/{dataset}/caps")
def caps(dataset: str, request: Request, visit: Steward, of: str = "") -> Response:
    """The caps in force with what was charged, every change ever made, and a form."""
    return _shown(request, visit, dataset, {"of": of})


@router.post("/budgets/{dataset}/caps")
def set_cap(dataset: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """First says what the cap does; once that is confirmed, sets, changes or ends it."""
    left = visit.workspace.budgets.one(visit.identity, dataset)
    measure = measure_of(left)
    try:
        typed = _typed(sent)
        if sent.get("confirmed") != "yes":
            return _confirm(request, visit, dataset, typed, left)
        try:
            visit.workspace.capping.change(visit.identity, dataset, typed.cap(measure))
        except ValueError as error:
            raise InvalidParameters({"amount": str(error)}) from None
    except DpstatsError as error:
        raise _refused(request, visit, dataset, sent, error) from None
    told = "ended" if typed.amount is None else f"{measure} {number(float(typed.amount))}"
    return done(request, f"/budgets/{dataset}/caps", f"The cap of the {typed.scope} {typed.name} is {told}.")


def measure_of(budget: Mapping[str, Any]) -> str:
    """In what charges to a dataset are counted: rho, or epsilon."""
    return "epsilon" if budget.get("rho") is None else "rho"


def _typed(sent: Form) -> _Typed:
    """What is capped, at what, and why.

    Raises:
      InvalidParameters: something is not as it must be.
    """
    wrong: dict[str, str] = {}
    scope, _, name = sent.get("of", "").partition(":")
    reason, written, amount = sent.get("reason", "").strip(), sent.get("amount", "").strip(), None
    if scope not in ("role", "purpose") or not name:
        wrong["of"] = "choose a role or a purpose"
    try:
        amount = Decimal(written) if written else None
    except InvalidOperation:
        wrong["amount"] = "write a number like 0.1, or nothing to end the cap"
    if amount is not None and not (amount.is_finite() and 0 <= amount <= AMOUNT_MAX):
        wrong["amount"] = "must be from 0 to 1,000"
    if not reason or not reason.isprintable() or len(reason) > REASON_MAX:
        wrong["reason"] = "say why, on one line"
    if wrong:
        raise InvalidParameters(wrong)
    return _Typed(scope, name, amount, reason)


def _confirm(request: Request, visit: Visitor, dataset: str, typed: _Typed, left: Mapping[str, Any]) -> Response:
    measure, whom = measure_of(left), _whom(typed.scope, typed.name)
    now = _now(visit, dataset, typed)
    if typed.amount is None:
        effects = [f"{whom} may charge up to what is left of the budget of {dataset}, like everybody."]
        title, button = f"End the cap of {typed.name}?", f"End the cap of {typed.name}: only the budget limits it"
    else:
        amount = number(float(typed.amount))
        effects = [
            f"{whom} may charge {measure} {amount} to {dataset} in all, for ever; charges of before count."
            f" The budget for life is {measure} {at_least(left[measure])}.",
            "A new answer that does not fit is refused, and says so. Earlier answers are given as before.",
        ]
        title, button = f"Cap {typed.name} at {measure} {amount}?", f"Cap {typed.name} at {measure} {amount}"
    if now is not None:
        effects.append(
            f"Its cap now is {measure} {number(now[measure])}; {number(now[f'{measure}_spent'])} is charged."
        )
    effects.append(f"The ledger’s database keeps the change for good, with your name and the reason: {typed.reason}")
    effects.append("It shares the budget out among callers. What protects people is the budget itself.")
    fields = [("of", f"{typed.scope}:{typed.name}"), ("reason", typed.reason), ("confirmed", "yes")]
    return confirm(
        request,
        title=title,
        effects=tuple(effects),
        button=button,
        grave=False,
        fields=(*fields, ("amount", "" if typed.amount is None else f"{typed.amount:f}")),
        back=f"/budgets/{dataset}/caps",
        back_label="Leave the caps as they are",
    )


def _now(visit: Visitor, dataset: str, typed: _Typed) -> dict[str, Any] | None:
    """The cap that is in force, None if there is none."""
    items = visit.workspace.capping.all(visit.identity, dataset)["items"]
    return next((cap for cap in items if (cap["scope"], cap["name"]) == (typed.scope, typed.name)), None)


def _whom(scope: str, name: str) -> str:
    return f"All tokens of the role {name} together" if scope == "role" else f"All questions for {name} together"


def _refused(request: Request, visit: Visitor, dataset: str, sent: Form, error: DpstatsError) -> FormRefused:
    return refused_by_field(
        error,
        lambda status, faults, wrong: _shown(request, visit, dataset, sent, status, faults=faults, wrong=wrong),
    )


def _shown(
    request: Request,
    visit: Visitor,
    dataset: str,
    typed: Form,
    status: int = HTTPStatus.OK,
    *,
    faults: Mapping[str, str] | None = None,
    wrong: str = "",
) -> Response:
    described = visit.workspace.datasets.one(visit.identity, dataset)
    left = visit.workspace.budgets.one(visit.identity, dataset)
    found = visit.workspace.capping.all(visit.identity, dataset)
    purposes = sorted(described["purposes"])
    named = {(cap["scope"], cap["name"]) for cap in found["items"]}
    choices = [("role", name) for name in ROLES] + [("purpose", name) for name in purposes]
    return page(
        request,
        "steward/caps.html",
        status,
        dataset=dataset,
        measure=measure_of(left),
        whole=at_least(left[measure_of(left)]),
        caps=found["items"],
        history=found["history"],
        choices=choices + sorted(named - set(choices)),
        typed=typed,
        faults=faults or {},
        wrong=wrong,
    )
