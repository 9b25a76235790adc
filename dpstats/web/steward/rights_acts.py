"""What a steward does with a rights request: each act says what it does before it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

from dpstats.errors import Conflict, DpstatsError, InvalidParameters
from dpstats.rights.requests import LEVELS, Denial, Kind
from dpstats.web.refusals import FormRefused
from dpstats.web.rendering import done, page
from dpstats.web.steward.rights_clocks import is_open
from dpstats.web.steward.rights_words import ACTS, DENIALS_TOLD, Act, act_on
from dpstats.web.steward.visiting import Steward
from dpstats.web.visiting import Form, Sent, Visitor, page_router
from dpstats.workspace.correcting import Wanted

TEXT_MAX = 1000

router = page_router()


def _asking(act: str) -> Callable[[str, Request, Visitor], Response]:
    """The page of an act: what it does, and what it needs."""

    def ask(request_id: str, request: Request, visit: Steward) -> Response:
        found = visit.workspace.rights.one(visit.identity, request_id)
        if not is_open(found):
            raise Conflict(f"the request is {found['state']} already: open a new one")
        return _page(request, act_on(found, act), request_id, {})

    ask.__doc__ = f"What it means to {act} a request."
    return ask


for _name in ACTS:
    router.get(f"/rights/{{request_id}}/{_name}", name=f"ask_{_name}")(_asking(_name))


def _page(
    request: Request,
    act: Act,
    request_id: str,
    typed: Form,
    status: int = HTTPStatus.OK,
    faults: Mapping[str, str] | None = None,
    wrong: str = "",
) -> Response:
    return page(
        request,
        "steward/act.html",
        status,
        act=act,
        back=f"/rights/{request_id}",
        typed=typed,
        faults=faults or {},
        wrong=wrong,
    )


def _do(
    name: str, request_id: str, request: Request, visit: Visitor, sent: Form, step: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Does a step; where it is refused, shows its page again with what was typed, and why."""
    try:
        return step()
    except (InvalidParameters, Conflict) as error:
        act = act_on(visit.workspace.rights.one(visit.identity, request_id), name)
        raise _refused(request, act, request_id, sent, error) from None


def _refused(request: Request, act: Act, request_id: str, sent: Form, error: DpstatsError) -> FormRefused:
    names = {entry.name for entry in act.entries}
    faults = error.problems if isinstance(error, InvalidParameters) and names.issuperset(error.problems) else {}
    wrong = "" if faults else f"{str(error)[:1].upper()}{str(error)[1:]}."
    return FormRefused(error, lambda told: _page(request, act, request_id, sent, told.status, faults, wrong))


def _line(sent: Form, name: str, missing: str) -> str:
    """A text on one line.

    Raises:
      InvalidParameters: there is none, or it is too long.
    """
    text = sent.get(name, "").strip()
    if not text or not text.isprintable() or len(text) > TEXT_MAX:
        raise InvalidParameters({name: missing})
    return text


def _correction(sent: Form) -> Wanted:
    """What is to be corrected: one column, in rows that are told by `COLUMN=VALUE, ..`.

    Raises:
      InvalidParameters: a field is empty, or the rows are not told so.
    """
    where = {}
    for pair in filter(None, map(str.strip, sent.get("where", "").split(","))):
        column, told, value = pair.partition("=")
        if not told:
            raise InvalidParameters({"where": "write COLUMN=VALUE, with commas between"})
        where[column.strip()] = value.strip()
    column = _line(sent, "column", "name the column")
    value = _line(sent, "value", "say what is true instead, on one line")
    return Wanted(_line(sent, "table", "name the table"), {column: value}, where)


def _back(request: Request, name: str, found: Mapping[str, Any]) -> Response:
    return done(request, f"/rights/{found['id']}", act_on(found, name).done)


@router.post("/rights/{request_id}/confirm")
def confirm(request_id: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Notes that the person was told that the request came."""
    desk = visit.workspace.rights
    found = _do("confirm", request_id, request, visit, sent, lambda: desk.confirm(visit.identity, request_id))
    return _back(request, "confirm", found)


@router.post("/rights/{request_id}/verify")
def verify(request_id: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Notes how sure the steward is of who asks."""

    def step() -> dict[str, Any]:
        if sent.get("level") not in LEVELS:
            raise InvalidParameters({"level": "choose how sure you are"})
        method = _line(sent, "method", "say how it was found out, on one line")
        return visit.workspace.rights.verify(visit.identity, request_id, sent["level"], method)

    return _back(request, "verify", _do("verify", request_id, request, visit, sent, step))


@router.post("/rights/{request_id}/extend")
def extend(request_id: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Moves the answer 45 days on."""

    def step() -> dict[str, Any]:
        reason = _line(sent, "reason", "say why, on one line")
        return visit.workspace.rights.extend(visit.identity, request_id, reason)

    return _back(request, "extend", _do("extend", request_id, request, visit, sent, step))


@router.post("/rights/{request_id}/deny")
def deny(request_id: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Ends the request with a reason."""

    def step() -> dict[str, Any]:
        reason = sent.get("reason", "")
        if reason not in DENIALS_TOLD:
            raise InvalidParameters({"reason": "choose why"})
        if reason == Denial.OTHER:
            reason = _line(sent, "text", "say why, on one line")
        return visit.workspace.rights.deny(visit.identity, request_id, reason)

    return _back(request, "deny", _do("deny", request_id, request, visit, sent, step))


@router.post("/rights/{request_id}/revoke")
def revoke(request_id: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Ends the request: the person took it back."""
    desk = visit.workspace.rights
    found = _do("revoke", request_id, request, visit, sent, lambda: desk.revoke(visit.identity, request_id))
    return _back(request, "revoke", found)


@router.post("/rights/{request_id}/execute")
def execute(request_id: str, request: Request, visit: Steward, sent: Sent) -> Response:
    """Carries the request out. The way to a package is shown this once: it is in no address and no cookie."""
    desk = visit.workspace.rights

    def step() -> dict[str, Any]:
        begun = desk.one(visit.identity, request_id)
        return desk.execute(visit.identity, request_id, _correction(sent) if begun["type"] == Kind.CORRECT else None)

    found = _do("execute", request_id, request, visit, sent, step)
    if "package" not in found:
        return _back(request, "execute", found)
    path = found["package"]["path"]
    return page(
        request,
        "steward/package.html",
        way=path,
        secret=path.rpartition("/")[2],
        request_id=request_id,
        until=found["package"]["expires_at"],
    )


@router.post("/rights/{request_id}/package")
def package(request_id: str, visit: Steward, sent: Sent) -> Response:
    """The package as a file, once. A POST, so that no browser fetches it by itself."""
    visit.workspace.rights.one(visit.identity, request_id)
    content = visit.workspace.rights.package(visit.identity, sent.get("secret", ""))
    headers = {"Content-Disposition": 'attachment; filename="package.zip"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="application/zip")
