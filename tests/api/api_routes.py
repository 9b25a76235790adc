"""Every route of the service, with a request to it and the status that each caller gets: what is not here is denied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from api_town import ME, Town

from dpstats.api.middleware import PUBLIC, REQUEST_HEADER
from dpstats.ledger.proposals import grant_draft
from dpstats.privacy.loss import Loss, Measure
from dpstats.web.assets import address_of

CALLERS = (
    None,
    "analyst",
    "job",
    "steward",
    "collector",
    "analyst of another dataset",
    "steward of another dataset",
    "expired",
    "revoked",
    "rotated",
)
"""Everybody who may come: nobody, a token of each role for all datasets, for another one, and tokens that are over."""

ANYONE: dict[str | None, int] = dict.fromkeys(CALLERS, 200)
NO_TOKEN: dict[str | None, int] = {None: 401, "expired": 401, "revoked": 401, "rotated": 401}


def asks_for_a_token(path: str) -> bool:
    """Everything under /v1 does, but the public report."""
    return path.startswith("/v1") and path != PUBLIC


def readers(status: int = 200, elsewhere: int = 404) -> dict[str | None, int]:
    """For those who may read; `elsewhere`: what one gets who may read another dataset alone."""
    return NO_TOKEN | {
        "analyst": status,
        "job": status,
        "steward": status,
        "collector": 403,
        "analyst of another dataset": elsewhere,
        "steward of another dataset": elsewhere,
    }


def stewards(status: int) -> dict[str | None, int]:
    """For stewards alone."""
    return NO_TOKEN | {
        "analyst": 403,
        "job": 403,
        "steward": status,
        "collector": 403,
        "analyst of another dataset": 403,
        "steward of another dataset": 404,
    }


def visitors(status: int, elsewhere: int | None = None, collector: int = 403) -> dict[str | None, int]:
    """For pages of whoever is signed in and may read; nobody signs in with a token that is over."""
    return readers(status, status if elsewhere is None else elsewhere) | {"collector": collector}


def collectors(status: int) -> dict[str | None, int]:
    """For those who send consent."""
    return stewards(status) | {"collector": status}


def for_stewards(status: int, elsewhere: int = 404) -> dict[str | None, int]:
    """For pages of stewards: to everybody else who is signed in they are not there."""
    return dict.fromkeys(CALLERS, 404) | NO_TOKEN | {"steward": status, "steward of another dataset": elsewhere}


@dataclass(frozen=True)
class Case:
    """A request to a route, and the status that each caller gets.

    `form`: of a page's POST; whoever sends it is signed in with their token, if that can be done.
    """

    path: str
    statuses: dict[str | None, int]
    body: dict[str, Any] | None = None
    form: dict[str, str] | None = None
    page: bool = False


TABLE = {
    ("GET", "/"): Case("/", ANYONE),
    ("GET", "/static/{address}"): Case(address_of("style.css"), ANYONE),
    ("GET", "/welcome"): Case("/welcome", visitors(200, collector=200), page=True),
    ("GET", "/queries"): Case("/queries?q=spend", visitors(200), page=True),
    ("GET", "/queries/{name}"): Case("/queries/spend_by_band", visitors(200, 404), page=True),
    ("GET", "/queries/{name}/expected"): Case("/queries/spend_by_band/expected", visitors(200, 404), page=True),
    ("POST", "/queries/{name}/ask"): Case("/queries/spend_by_band/ask", visitors(303, 404), form={}, page=True),
    ("GET", "/releases"): Case("/releases", visitors(200), page=True),
    ("GET", "/releases/{release_id}"): Case("/releases/RELEASE", visitors(200, 404), page=True),
    ("GET", "/releases/{release_id}/chart/{measure}.{form}"): Case(
        "/releases/RELEASE/chart/spend.svg?theme=dark", visitors(200, 404), page=True
    ),
    ("GET", "/releases/{release_id}/file.{form}"): Case("/releases/RELEASE/file.csv", visitors(200, 404), page=True),
    ("GET", "/compare"): Case("/compare?left=RELEASE", visitors(200, 404), page=True),
    ("GET", "/waiting"): Case("/waiting", for_stewards(200, 200), page=True),
    ("GET", "/waiting/{query}"): Case("/waiting/draft", for_stewards(200), page=True),
    ("GET", "/waiting/{query}/approve"): Case("/waiting/draft/approve", for_stewards(200), page=True),
    ("POST", "/waiting/{query}/approve"): Case("/waiting/draft/approve", for_stewards(409), form={}, page=True),
    ("GET", "/waiting/{query}/revoke"): Case("/waiting/draft/revoke", for_stewards(200), page=True),
    ("POST", "/waiting/{query}/revoke"): Case("/waiting/draft/revoke", for_stewards(303), form={}, page=True),
    ("GET", "/rights"): Case("/rights?show=all&kind=delete", for_stewards(200, 200), page=True),
    ("GET", "/rights/new"): Case("/rights/new", for_stewards(200, 200), page=True),
    ("POST", "/rights/new"): Case(
        "/rights/new", for_stewards(303), form={"type": "know", "dataset": "town", "unit": "1"}, page=True
    ),
    ("GET", "/rights/{request_id}"): Case("/rights/RIGHTS", for_stewards(200), page=True),
    ("GET", "/rights/{request_id}/confirm"): Case("/rights/RIGHTS/confirm", for_stewards(200), page=True),
    ("POST", "/rights/{request_id}/confirm"): Case("/rights/RIGHTS/confirm", for_stewards(303), form={}, page=True),
    ("GET", "/rights/{request_id}/verify"): Case("/rights/RIGHTS/verify", for_stewards(200), page=True),
    ("POST", "/rights/{request_id}/verify"): Case(
        "/rights/RIGHTS/verify",
        for_stewards(303),
        form={"level": "reasonable", "method": "two facts matched"},
        page=True,
    ),
    ("GET", "/rights/{request_id}/execute"): Case("/rights/RIGHTS/execute", for_stewards(200), page=True),
    ("POST", "/rights/{request_id}/execute"): Case("/rights/OPT-OUT/execute", for_stewards(303), form={}, page=True),
    ("GET", "/rights/{request_id}/extend"): Case("/rights/RIGHTS/extend", for_stewards(200), page=True),
    ("POST", "/rights/{request_id}/extend"): Case(
        "/rights/RIGHTS/extend", for_stewards(303), form={"reason": "many files"}, page=True
    ),
    ("GET", "/rights/{request_id}/deny"): Case("/rights/RIGHTS/deny", for_stewards(200), page=True),
    ("POST", "/rights/{request_id}/deny"): Case(
        "/rights/RIGHTS/deny", for_stewards(303), form={"reason": "no_match"}, page=True
    ),
    ("GET", "/rights/{request_id}/revoke"): Case("/rights/RIGHTS/revoke", for_stewards(200), page=True),
    ("POST", "/rights/{request_id}/revoke"): Case("/rights/RIGHTS/revoke", for_stewards(303), form={}, page=True),
    ("POST", "/rights/{request_id}/package"): Case(
        "/rights/RIGHTS/package", for_stewards(404), form={"secret": "of_nobody"}, page=True
    ),
    ("GET", "/consent"): Case("/consent", for_stewards(200, 200), page=True),
    ("GET", "/consent/close"): Case("/consent/close", for_stewards(200, 403), page=True),
    ("POST", "/consent/close"): Case("/consent/close", for_stewards(303, 403), form={}, page=True),
    ("GET", "/budgets"): Case("/budgets", for_stewards(200, 303), page=True),
    ("GET", "/budgets/{dataset}"): Case("/budgets/town", for_stewards(200), page=True),
    ("GET", "/budgets/{dataset}/burn-down.{form}"): Case(
        "/budgets/town/burn-down.svg?theme=dark&size=narrow", for_stewards(200), page=True
    ),
    ("GET", "/budgets/{dataset}/grant"): Case("/budgets/town/grant", for_stewards(200), page=True),
    ("POST", "/budgets/{dataset}/grant"): Case(
        "/budgets/town/grant", for_stewards(200), form={"epsilon": "0.5", "reason": "more"}, page=True
    ),
    ("GET", "/budgets/{dataset}/caps"): Case("/budgets/town/caps", for_stewards(200), page=True),
    ("POST", "/budgets/{dataset}/caps"): Case(
        "/budgets/town/caps", for_stewards(200), form={"of": "role:job", "amount": "5", "reason": "share"}, page=True
    ),
    ("GET", "/proposals"): Case("/proposals", for_stewards(200, 200), page=True),
    ("GET", "/proposals/{proposal}/confirm"): Case("/proposals/PROPOSAL/confirm", for_stewards(200), page=True),
    ("POST", "/proposals/{proposal}/confirm"): Case(
        "/proposals/PROPOSAL/confirm", for_stewards(303), form={}, page=True
    ),
    ("GET", "/proposals/{proposal}/decline"): Case("/proposals/PROPOSAL/decline", for_stewards(200), page=True),
    ("POST", "/proposals/{proposal}/decline"): Case(
        "/proposals/PROPOSAL/decline", for_stewards(303), form={}, page=True
    ),
    ("GET", "/budgets/{dataset}/freeze"): Case("/budgets/town/freeze", for_stewards(200), page=True),
    ("POST", "/budgets/{dataset}/freeze"): Case("/budgets/harbour/freeze", for_stewards(303, 303), form={}, page=True),
    ("GET", "/budgets/{dataset}/thaw"): Case("/budgets/town/thaw", for_stewards(200), page=True),
    ("POST", "/budgets/{dataset}/thaw"): Case("/budgets/town/thaw", for_stewards(303), form={}, page=True),
    ("GET", "/asked"): Case("/asked", for_stewards(200, 303), page=True),
    ("GET", "/log"): Case("/log?query=spend_by_band", for_stewards(200, 200), page=True),
    ("GET", "/asked/{dataset}"): Case("/asked/town?who=analyst", for_stewards(200), page=True),
    ("GET", "/ledger"): Case("/ledger", for_stewards(200, 303), page=True),
    ("GET", "/ledger/{dataset}"): Case("/ledger/town?before=2", for_stewards(200), page=True),
    ("GET", "/ledger/{dataset}/{seq}"): Case("/ledger/town/1", for_stewards(200), page=True),
    ("POST", "/ledger/{dataset}/verification"): Case(
        "/ledger/town/verification", for_stewards(200), form={}, page=True
    ),
    ("GET", "/tokens"): Case("/tokens", for_stewards(200, 200), page=True),
    ("GET", "/tokens/new"): Case("/tokens/new", for_stewards(200, 200), page=True),
    ("POST", "/tokens/new"): Case(
        "/tokens/new",
        for_stewards(201),
        form={"name": "a new one", "role": "analyst", "days": "30", "sees:town": "yes"},
        page=True,
    ),
    ("GET", "/tokens/{token_id}/revoke"): Case("/tokens/tok_of_nobody/revoke", for_stewards(404), page=True),
    ("POST", "/tokens/{token_id}/revoke"): Case("/tokens/tok_of_nobody/revoke", for_stewards(404), form={}, page=True),
    ("GET", "/terms"): Case("/terms", ANYONE),
    ("POST", "/terms"): Case("/terms", visitors(409, collector=409), form={"version": "1"}, page=True),
    ("POST", "/sign-in"): Case("/sign-in", dict.fromkeys(CALLERS, 403), form={"proof": "", "token": "dps_of_nobody"}),
    ("POST", "/sign-out"): Case("/sign-out", visitors(303, collector=303), form={}, page=True),
    ("GET", "/problems/{slug}"): Case("/problems/frozen", ANYONE),
    ("GET", "/openapi.json"): Case("/openapi.json", ANYONE),
    ("GET", "/health/live"): Case("/health/live", ANYONE),
    ("GET", "/health/ready"): Case("/health/ready", ANYONE),
    ("GET", "/metrics"): Case("/metrics", ANYONE),
    ("GET", "/privacy"): Case("/privacy", ANYONE),
    ("GET", "/opt-out"): Case("/opt-out", ANYONE),
    ("POST", "/opt-out"): Case("/opt-out", ANYONE, form={"unit": "1"}, page=True),
    ("GET", "/opt-out/{receipt}"): Case("/opt-out/no_receipt", dict.fromkeys(CALLERS, 404)),
    ("GET", "/transparency"): Case("/transparency", ANYONE),
    ("GET", "/v1/transparency"): Case("/v1/transparency", ANYONE),
    ("GET", "/.well-known/gpc.json"): Case("/.well-known/gpc.json", ANYONE),
    ("GET", "/v1/datasets"): Case("/v1/datasets", readers(elsewhere=200)),
    ("GET", "/v1/datasets/{dataset}"): Case("/v1/datasets/town", readers()),
    ("GET", "/v1/datasets/{dataset}/budget"): Case("/v1/datasets/town/budget", readers()),
    ("GET", "/v1/datasets/{dataset}/spending"): Case("/v1/datasets/town/spending", stewards(200)),
    ("GET", "/v1/datasets/{dataset}/ledger"): Case("/v1/datasets/town/ledger?after=0", stewards(200)),
    ("POST", "/v1/datasets/{dataset}/budget/grants"): Case(
        "/v1/datasets/town/budget/grants", stewards(201), {"epsilon": 0.5, "reason": "more"}
    ),
    ("GET", "/v1/datasets/{dataset}/budget/caps"): Case("/v1/datasets/town/budget/caps", stewards(200)),
    ("PUT", "/v1/datasets/{dataset}/budget/caps"): Case(
        "/v1/datasets/town/budget/caps", stewards(200), {"role": "job", "rho": 5, "reason": "share"}
    ),
    ("GET", "/v1/log"): Case("/v1/log?after=0", stewards(200) | {"steward of another dataset": 200}),
    ("GET", "/v1/proposals"): Case("/v1/proposals", stewards(200) | {"steward of another dataset": 200}),
    ("POST", "/v1/proposals/{proposal_id}/confirm"): Case("/v1/proposals/PROPOSAL/confirm", stewards(200)),
    ("POST", "/v1/proposals/{proposal_id}/decline"): Case("/v1/proposals/PROPOSAL/decline", stewards(200)),
    ("PUT", "/v1/datasets/{dataset}/frozen"): Case("/v1/datasets/town/frozen", stewards(200), {"frozen": False}),
    ("POST", "/v1/consent/events"): Case(
        "/v1/consent/events",
        collectors(202),
        {"dataset": "town", "unit": 7, "purpose": "all_sale_share", "decision": "opt_out", "event_id": "e1"},
    ),
    ("POST", "/v1/consent/state"): Case("/v1/consent/state", collectors(200), {"dataset": "town", "unit": 7}),
    ("GET", "/v1/consent/receipts/{receipt}"): Case(
        "/v1/consent/receipts/RECEIPT", stewards(200) | {"collector": 404, "steward of another dataset": 200}
    ),
    ("POST", "/v1/consent/signals"): Case(
        "/v1/consent/signals", collectors(202), {"dataset": "town", "units": [7, "device-1"], "gpc": "1"}
    ),
    ("GET", "/v1/queries"): Case("/v1/queries", readers(elsewhere=200)),
    ("GET", "/v1/queries/{query}"): Case("/v1/queries/spend_by_band", readers()),
    ("POST", "/v1/queries/{query}/preview"): Case("/v1/queries/spend_by_band/preview", readers(), {}),
    ("POST", "/v1/queries/{query}/releases"): Case("/v1/queries/spend_by_band/releases", readers(), {}),
    ("GET", "/v1/releases"): Case("/v1/releases", readers(elsewhere=200)),
    ("GET", "/v1/releases/{release_id}"): Case("/v1/releases/RELEASE", readers()),
    ("GET", "/v1/rights/packages/{secret}"): Case(
        "/v1/rights/packages/PACKAGE", stewards(200) | {"steward of another dataset": 200}
    ),
    ("POST", "/v1/rights/requests"): Case(
        "/v1/rights/requests", stewards(201), {"type": "delete", "dataset": "town", "unit": 1}
    ),
    ("GET", "/v1/rights/requests"): Case("/v1/rights/requests", stewards(200) | {"steward of another dataset": 200}),
    ("GET", "/v1/rights/requests/{request_id}"): Case("/v1/rights/requests/RIGHTS", stewards(200)),
    ("POST", "/v1/rights/requests/{request_id}/confirm"): Case("/v1/rights/requests/RIGHTS/confirm", stewards(200)),
    ("POST", "/v1/rights/requests/{request_id}/verify"): Case(
        "/v1/rights/requests/RIGHTS/verify", stewards(200), {"level": "reasonable", "method": "two facts matched"}
    ),
    ("POST", "/v1/rights/requests/{request_id}/execute"): Case("/v1/rights/requests/OPT-OUT/execute", stewards(200)),
    ("POST", "/v1/rights/requests/{request_id}/extend"): Case(
        "/v1/rights/requests/RIGHTS/extend", stewards(200), {"reason": "many files"}
    ),
    ("POST", "/v1/rights/requests/{request_id}/deny"): Case(
        "/v1/rights/requests/RIGHTS/deny", stewards(200), {"reason": "no_match"}
    ),
    ("GET", "/v1/terms"): Case("/v1/terms", ANYONE | NO_TOKEN),
    ("POST", "/v1/terms/acceptance"): Case(
        "/v1/terms/acceptance", dict.fromkeys(CALLERS, 409) | NO_TOKEN, {"version": 1}
    ),
    ("POST", "/v1/features"): Case("/v1/features", readers(), {"queries": ["spend_by_band"]}),
    ("GET", "/v1/features"): Case("/v1/features", readers(elsewhere=200)),
    ("GET", "/v1/features/{view}"): Case("/v1/features/bands", readers()),
    ("GET", "/v1/features/{view}/segments"): Case("/v1/features/bands/segments", readers()),
    ("POST", "/v1/releases/{release_id}/withdrawal"): Case(
        "/v1/releases/RELEASE/withdrawal", stewards(201), {"reason": "a wrong file"}
    ),
    ("POST", "/v1/queries/{query}/approvals"): Case(
        "/v1/queries/draft/approvals", stewards(201), {"version": "VERSION"}
    ),
    ("DELETE", "/v1/queries/{query}/approvals/{version}"): Case(
        "/v1/queries/spend_by_band/approvals/sha256:unknown", stewards(404)
    ),
}


def token_of(town: Town, caller: str | None) -> str | None:
    """The token that one of `CALLERS` comes with."""
    tokens = town.workspace.tokens
    match caller:
        case None:
            return None
        case "expired":
            ended = tokens.create(ME, "short-lived", "steward", life=timedelta(microseconds=1))
            assert tokens.all(ME)[-1]["state"] == "expired"
            return ended
        case "revoked":
            ended = tokens.create(ME, "ended", "steward")
            tokens.revoke(ME, "ended")
            return ended
        case "rotated":
            ended = tokens.create(ME, "turned", "steward")
            tokens.rotate(ME, "turned")
            tokens.revoke(ME, "turned")
            return ended
        case _:
            role, _, elsewhere = caller.partition(" of ")
            return town.token(role, *(["harbour"] if elsewhere else []))


def _request(town: Town, kind: str = "delete") -> str:
    return str(town.workspace.rights.open(ME, kind, "town", 1, waive=True)["id"])


def _package(town: Town) -> str:
    request = _request(town, "know")
    town.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    return str(town.workspace.rights.execute(ME, request)["package"]["path"].rpartition("/")[2])


def _proposal(town: Town) -> str:
    ledger, added = town.workspace.store.ledger, Loss(Measure.ZCDP, 1)
    content = ledger.grant_content("town", added, epsilon=1, actor=ME.name, reason="more")
    return town.workspace.store.proposals.propose(grant_draft("town", content), ME).proposal_id


PLACEHOLDERS = {
    "PROPOSAL": _proposal,
    "RIGHTS": _request,
    "OPT-OUT": lambda town: _request(town, "opt_out"),
    "PACKAGE": _package,
    "RECEIPT": lambda town: town.workspace.opting_out.refuse("7"),
}
"""What stands in a path for something that is made anew for each steward who asks."""


def _filled(town: Town, path: str, caller: str | None) -> str:
    """A path of the table, with what stands in it for something that is made."""
    path = path.replace("RELEASE", town.run().json()["release_id"])
    for placeholder, made in PLACEHOLDERS.items():
        if placeholder in path:
            path = path.replace(placeholder, made(town) if str(caller).startswith("steward") else "rr_unknown")
    return path


def ask(town: Town, route: tuple[str, str], caller: str | None) -> httpx.Response:
    """The table's request to a route, with the caller's token."""
    case = TABLE[route]
    if case.page or case.form is not None:
        return visit(town, route[0], case, caller)
    path = _filled(town, case.path, caller)
    version = town.workspace.review.one(ME, "draft")["query_version"]
    body = {name: version if value == "VERSION" else value for name, value in (case.body or {}).items()}
    return town.ask(route[0], path, token=token_of(town, caller), **({} if case.body is None else {"json": body}))


def visit(town: Town, method: str, case: Case, caller: str | None) -> httpx.Response:
    """The table's request to a page, from a browser of the caller's."""
    with town.browser(token_of(town, caller)) as browser:
        path = _filled(town, case.path, caller)
        return browser.request(method, path, data=None if case.form is None else browser.fields(**case.form))


def bare(answer: httpx.Response) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    """All of an answer but the request's own name."""
    headers = ((name, value) for name, value in sorted(answer.headers.items()) if name != REQUEST_HEADER.lower())
    return answer.status_code, answer.content, tuple(headers)
