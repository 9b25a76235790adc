"""Tokens: who may come in, a new one (shown once), and its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

from dpstats.errors import Conflict, DpstatsError, InvalidParameters, NotFound
from dpstats.ledger.tokens import Role
from dpstats.web.refusals import FormRefused
from dpstats.web.rendering import done, page
from dpstats.web.steward.visiting import Steward, confirm
from dpstats.web.visiting import Form, Sent, Visitor, page_router

QUESTION = "Who may come in?"
ROLES = {
    "analyst": "asks approved questions",
    "job": "pulls approved answers for a service",
    "steward": "approves questions, manages budgets and tokens",
    "collector": "sends consent events and sees nothing",
}
"""What each role may do, after its name."""
LIVES = {"90": "90 days", "30": "30 days", "365": "a year", "": "until it is revoked"}
"""How long a token lives: days, and how it is told; the first is chosen unless said otherwise."""
NAME_MAX = 100
SEES = "sees:"
"""Before a dataset's name in the form: that the token sees it."""

router = page_router()


@router.get("/tokens")
def tokens(request: Request, visit: Steward) -> Response:
    """Live tokens, and those that are over."""
    found = list(reversed(visit.workspace.tokens.all(visit.identity)))
    live = [item for item in found if item["state"] == "live"]
    over = [item for item in found if item["state"] != "live"]
    me, limited = visit.identity.token_id, bool(visit.identity.datasets)
    return page(request, "steward/tokens.html", question=QUESTION, live=live, over=over, me=me, limited=limited)


@router.get("/tokens/new")
def ask_create(request: Request, visit: Steward) -> Response:
    """The form of a new token."""
    return _form(request, visit, {"role": "analyst", "days": next(iter(LIVES))})


@router.post("/tokens/new")
def create(request: Request, visit: Steward, sent: Sent) -> Response:
    """Makes a token and shows it, this once: it is in no address and no cookie, and this page is kept nowhere."""
    try:
        name, cap, life = _typed(sent)
        datasets = tuple(field.removeprefix(SEES) for field in sent if field.startswith(SEES))
        try:
            text = visit.workspace.tokens.create(
                visit.identity, name, sent["role"], datasets=datasets, cap_rho=cap, life=life
            )
        except ValueError as error:
            raise InvalidParameters({"cap": str(error)}) from None
        except Conflict as error:
            raise InvalidParameters({"name": str(error)}) from None
    except DpstatsError as error:
        raise _refused(request, visit, sent, error) from None
    return page(
        request, "steward/token.html", HTTPStatus.CREATED, name=name, role=sent["role"], text=text, datasets=datasets
    )


def _typed(sent: Form) -> tuple[str, Decimal | None, timedelta | None]:
    """Name, cap and life of a new token.

    Raises:
      InvalidParameters: one of them, or the role, is not as it must be.
    """
    wrong: dict[str, str] = {}
    name, cap_text, days = sent.get("name", "").strip(), sent.get("cap", "").strip(), sent.get("days", "?")
    if not name or not name.isprintable() or len(name) > NAME_MAX:
        wrong["name"] = f"give it a name of at most {NAME_MAX} characters"
    if sent.get("role") not in set(Role):
        wrong["role"] = "choose what it may do"
    if days not in LIVES:
        wrong["days"] = "choose how long it lives"
    cap: Decimal | None = None
    try:
        cap = Decimal(cap_text) if cap_text else None
    except InvalidOperation:
        wrong["cap"] = "write a number like 0.1, or nothing"
    if wrong:
        raise InvalidParameters(wrong)
    return name, cap, timedelta(days=int(days)) if days else None


def _refused(request: Request, visit: Visitor, sent: Form, error: DpstatsError) -> FormRefused:
    faults = error.problems if isinstance(error, InvalidParameters) else {"datasets": str(error)}
    return FormRefused(error, lambda told: _form(request, visit, sent, told.status, faults))


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
        "steward/new_token.html",
        status,
        typed=typed,
        faults=faults or {},
        datasets=datasets,
        restricted=bool(visit.identity.datasets),
        roles=ROLES,
        lives=LIVES,
        sees=SEES,
    )


@router.get("/tokens/{token_id}/revoke")
def ask_revoke(token_id: str, request: Request, visit: Steward) -> Response:
    """What the end of a token does."""
    token = _live(visit, token_id)
    effects = [
        f"Whoever holds {token['name']} can do nothing with it from that moment on, here or through the API.",
        "There is no way back: who is to come in again needs a new token. What it was charged stays charged.",
    ]
    if token_id == visit.identity.token_id:
        effects.insert(0, "This is the token that you are signed in with: you are signed out too.")
    return confirm(
        request,
        title=f"End the token {token['name']}?",
        effects=tuple(effects),
        button=f"Revoke {token['name']}: it opens nothing any more",
        back="/tokens",
        back_label="Leave it live",
    )


@router.post("/tokens/{token_id}/revoke")
def revoke(token_id: str, request: Request, visit: Steward) -> Response:
    """Ends a token."""
    token = _live(visit, token_id)
    visit.workspace.tokens.revoke(visit.identity, token_id)
    return done(request, "/tokens", f"The token {token['name']} is revoked: it opens nothing any more.")


def _live(visit: Visitor, token_id: str) -> dict[str, Any]:
    for token in visit.workspace.tokens.all(visit.identity):
        if token["token_id"] == token_id and token["state"] == "live":
            return token
    raise NotFound("live token", token_id)
