"""Routes of releases: made, given again, listed."""

from __future__ import annotations

import base64
import binascii
import re
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from dpstats.api import answers, answers_ledger, asking, described
from dpstats.api.described import operation_id, problems
from dpstats.api.negotiation import Wanted
from dpstats.api.replays import GIVEN_UNTIL
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit
from dpstats.errors import InvalidParameters
from dpstats.formats import Format, encode, rest_ascii
from dpstats.release import Ask
from dpstats.views import Sent

RELEASE_HEADER = "Dpstats-Release"
"""Holds everything of a release but its rows, in every format."""

_CURSOR = re.compile(r"[-+:.T0-9]{32}~[0-9a-f]{32}")

router = APIRouter(prefix="/v1", tags=["releases"], route_class=StrictRoute, generate_unique_id_function=operation_id)


@router.post(
    "/queries/{query}/releases",
    status_code=HTTPStatus.CREATED,
    response_model=answers.Release,
    responses={
        **described.releases(made=True),
        **problems(
            "not-found",
            "not-acceptable",
            "not-approved",
            "budget-exhausted",
            "frozen",
            "idempotency-conflict",
            "query-refused",
        ),
    },
)
def make_release(
    query: str,
    visit: Visit,
    form: Wanted,
    request: Request,
    body: asking.RunBody = None,
    idempotency_key: asking.IdempotencyKey = None,
) -> Response:
    """A noisy answer: new and charged (201), or made before and free (200)."""
    run = body or asking.RunRequest()
    ask = Ask(visit.identity, query, run.parameters, fresh=run.reuse == "never", idempotency_key=idempotency_key)
    given = visit.workspace.releases.give(ask)
    request.scope[GIVEN_UNTIL] = given.until
    return _sent(given.sent, form, HTTPStatus.CREATED if given.made_now else HTTPStatus.OK)


@router.get("/releases", response_model=answers.Releases, responses=problems())
def list_releases(page: asking.ReleaseQuery, visit: Visit) -> Response:
    """Releases made, newest first, without their rows; free."""
    found = visit.workspace.releases.all(
        visit.identity,
        dataset=page.dataset,
        query=page.query,
        after=None if page.cursor is None else _after(page.cursor),
        limit=page.limit,
    )
    return JSONResponse({"items": found["items"], "next": found["next"] and _cursor(found["next"])})


@router.get(
    "/releases/{release_id}",
    response_model=answers.Release,
    responses={**described.releases(made=False), **problems("not-found", "not-acceptable", "not-approved", "frozen")},
)
def get_release(release_id: str, visit: Visit, form: Wanted) -> Response:
    """A release made before; free."""
    return _sent(visit.workspace.releases.sent(visit.identity, release_id), form, HTTPStatus.OK)


@router.post(
    "/releases/{release_id}/withdrawal",
    status_code=HTTPStatus.CREATED,
    response_model=answers_ledger.Withdrawal,
    responses=problems("not-found"),
)
def withdraw_release(release_id: str, withdrawal: asking.WithdrawalRequest, visit: Visit) -> Response:
    """From now on nobody is given the release; what it cost stays charged (steward)."""
    visit.workspace.releases.withdraw(visit.identity, release_id, withdrawal.reason)
    said = {"release_id": release_id, "reason": withdrawal.reason, "actor": visit.identity.name}
    return JSONResponse(said, HTTPStatus.CREATED)


def _sent(release: Sent, form: Format, status: int) -> Response:
    """The rows of JSON go out as they are stored, a large release in pieces; another format reads them first."""
    headers = {RELEASE_HEADER: rest_ascii(release.head), "Vary": "Accept"}
    if status == HTTPStatus.CREATED:
        headers["Location"] = f"/v1/releases/{release.head['release_id']}"
    if form is Format.JSON and release.large:
        return StreamingResponse(release.pieces(), status, headers, media_type=form.media_type)
    content = release.json if form is Format.JSON else encode(release.body, form)
    return Response(content, status, headers, media_type=form.media_type)


def _cursor(after: str) -> str:
    """The place in a list as a word that can stand in an address."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    try:
        after = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        after = ""
    if not _CURSOR.fullmatch(after):
        raise InvalidParameters({"cursor": "must be the `next` of the page before"})
    return after
