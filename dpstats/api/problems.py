"""Errors as RFC 9457 problems: one shape for every error, and the one file that knows HTTP's status codes.

A problem is `{type, title, status, detail, instance}` and what its error carries. `type` is `/problems/<slug>`. What an
error says is made from its own numbers; an exception that is not ours says nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from dpstats.api.asked_fields import fields_at
from dpstats.api.outcome import PROBLEM
from dpstats.catalog.text import quoted
from dpstats.errors import (
    BudgetExhausted,
    Busy,
    ConsentUnknown,
    DpstatsError,
    FileError,
    Frozen,
    InPlaceChanged,
    InvalidParameters,
    LockdownFailed,
    NotApproved,
    NotLoaded,
    QueryRefused,
    RateLimited,
    SelfTestFailed,
    TermsNotAccepted,
    Unauthorized,
    Unavailable,
)
from dpstats.web.refusals import FormRefused, Told, refused, wants_page
from dpstats.web.terms import terms_page

MEDIA_TYPE = "application/problem+json"
MOST_SHOWN = 10
"""How many fields of one request are said to be wrong."""

_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")

RETRY_AFTER_S = 1
"""After how long a request that failed for no fault of its own may be sent again."""


@dataclass(frozen=True)
class Kind:
    """What a slug stands for: its status code, its title, and what to do about it."""

    status: int
    title: str
    advice: str


KINDS: dict[str, Kind] = {
    "bad-request": Kind(400, "Request not understood", "Send what /openapi.json describes."),
    "unauthorized": Kind(401, "No valid token", "Send `Authorization: Bearer TOKEN`. A steward makes tokens."),
    "forbidden": Kind(403, "Not allowed", "The token's role does not allow this. Ask a steward."),
    "foreign-form": Kind(403, "Form not from here", "Open the page again, with cookies allowed, and send its form."),
    "not-found": Kind(404, "Not found", "It is not there, or this token may not see it."),
    "method-not-allowed": Kind(405, "Method not allowed", "The `Allow` header names the methods that there are."),
    "not-acceptable": Kind(406, "No such format", "Ask in `Accept` for one of the formats that the detail names."),
    "not-approved": Kind(409, "Query not approved", "A steward reviews and approves it in its present version."),
    "budget-exhausted": Kind(
        409,
        "Privacy budget exhausted",
        "Nothing was charged. Earlier answers are still free. A steward can raise the budget.",
    ),
    "frozen": Kind(409, "Dataset frozen", "A steward froze the dataset: it answers nothing until it is thawed."),
    "idempotency-conflict": Kind(409, "Idempotency key used before", "Send another request under a new key."),
    "conflict": Kind(409, "Conflict", "The change contradicts what is recorded. Look at what stands now."),
    "query-refused": Kind(409, "Query cannot be answered", "The detail names every reason and what to write instead."),
    "too-large": Kind(413, "Request too large", "A request's body may have at most 1 MiB."),
    "unsupported-media-type": Kind(415, "Not JSON", "Send the body as JSON, with `Content-Type: application/json`."),
    "invalid-parameters": Kind(422, "Invalid parameters", "`problems` says for each parameter what is wrong with it."),
    "rate-limited": Kind(429, "Too many requests", "Try again after the seconds that `Retry-After` names."),
    "internal-error": Kind(500, "Internal error", "Tell the steward the request's id: the log has it."),
    "unavailable": Kind(503, "Not available now", "Try again later. What was charged is not charged twice."),
}
"""Every slug."""


@dataclass(frozen=True)
class Problem:
    """An error as it is answered. `carried`: fields beside the five that every problem has."""

    slug: str
    detail: str
    carried: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return KINDS[self.slug].status

    def response(self, path: str) -> Response:
        """The answer to a request for `path`."""
        body = {
            "type": f"/problems/{self.slug}",
            "title": KINDS[self.slug].title,
            "status": self.status,
            "detail": self.detail,
            "instance": quote(path),
            **self.carried,
        }
        return JSONResponse(body, self.status, dict(self.headers), media_type=MEDIA_TYPE)


class RequestRefused(Exception):
    """A request that HTTP itself refuses: its form, not what it asks."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


TOO_LARGE = Problem("too-large", "the body is larger than 1 MiB: send less")
NOT_JSON = Problem(
    "unsupported-media-type", "the body is not sent as JSON: send it with `Content-Type: application/json`"
)


def internal_error(request_id: str) -> Problem:
    """What is said of an exception that is not ours, which may have seen rows: nothing but where to look."""
    return Problem(
        "internal-error",
        f"something went wrong that should not have: tell the steward this request's id, {request_id}",
        {"request_id": request_id},
    )


def problem_of(error: Exception, endpoint: Callable[..., Any] | None = None) -> Problem | None:
    """The problem of an error, None if it is not one that explains itself.

    Args:
      endpoint: what the request was for, which says what fields its body may have.
    """
    match error:
        case RequestRefused():
            return error.problem
        case FormRefused():
            return _ours(error.error)
        case DpstatsError():
            return _ours(error)
        case RequestValidationError():
            return _invalid(error, endpoint)
        case HTTPException():
            return _http(error)
        case _:
            return None


async def explain(request: Request, error: Exception) -> Response:
    """FastAPI's exception handler for everything that `problem_of` knows."""
    problem = problem_of(error, request.scope.get("endpoint"))
    if problem is None:
        raise error
    request.scope[PROBLEM] = problem.slug
    return answer_to(request, error, problem)


def answer_to(request: Request, error: Exception, problem: Problem) -> Response:
    """A problem as whoever asked can read it: a page for a browser on a page's address, else problem+json."""
    if not (wants_page(request) or isinstance(error, FormRefused)):
        return problem.response(request.scope["path"])
    if isinstance(error, TermsNotAccepted):
        return terms_page(request, problem.status)
    kind = KINDS[problem.slug]
    told = Told(kind.status, kind.title, problem.detail, kind.advice, problem.slug)
    response = error.again(told) if isinstance(error, FormRefused) else refused(request, told)
    if "Retry-After" in problem.headers:
        response.headers["Retry-After"] = problem.headers["Retry-After"]
    return response


def _ours(error: DpstatsError) -> Problem:
    if isinstance(error, FileError):
        # No route reads a caller's file: this one is the server's, and where it is concerns nobody outside.
        error = Unavailable()
    return Problem(error.slug, str(error), _carried(error), _headers(error))


def _carried(error: DpstatsError) -> dict[str, Any]:
    match error:
        case InvalidParameters():
            return {"problems": error.problems}
        case BudgetExhausted():
            amounts = {"requested": float(error.requested), "remaining": float(error.remaining)}
            named = {error.scope: error.name} if error.name else {}
            return {"scope": error.scope, **named, "measure": error.measure, **amounts}
        case QueryRefused():
            return {"query": error.query, "reasons": [str(reason) for reason in error.reasons]}
        case NotApproved():
            return {"query": error.query, "query_version": error.version}
        case ConsentUnknown():
            return {"dataset": error.dataset, "purpose": error.purpose}
        case InPlaceChanged():
            return {"dataset": error.dataset, "table": error.table}
        case Frozen() | NotLoaded():
            return {"dataset": error.dataset}
        case RateLimited() | Busy():
            return {"retry_after_s": error.retry_after_s}
        case LockdownFailed():
            return {"probe": error.probe}
        case SelfTestFailed():
            return {"check": error.check}
        case _:
            return {}


def _headers(error: DpstatsError) -> dict[str, str]:
    match error:
        case Unauthorized():
            return {"WWW-Authenticate": 'Bearer realm="dpstats"'}
        case RateLimited() | Busy():
            return {"Retry-After": str(error.retry_after_s)}
        case Unavailable():
            return {"Retry-After": str(RETRY_AFTER_S)}
        case _:
            return {}


def _invalid(error: RequestValidationError, endpoint: Callable[..., Any] | None) -> Problem:
    """The request's form is wrong: which field, and how. Never what it held."""
    found = error.errors()
    for item in found:
        if item["type"] == "json_invalid":
            where = f" at character {item['loc'][-1]}" if item["loc"][-1] else ""
            return Problem("bad-request", f"the body is not the JSON that is read here: {item['ctx']['error']}{where}")
    return _ours(InvalidParameters({_place(item["loc"]): _what(item, endpoint) for item in found[:MOST_SHOWN]}))


def _place(loc: tuple[int | str, ...]) -> str:
    """The field's name, without where in the request it stood; the body as a whole is "body".

    Which of several forms a body has stands in parentheses, and is no field.
    """
    name = ".".join(str(part) for part in loc[1:] if not str(part).startswith("(")) or str(loc[0])
    return name if _FIELD.fullmatch(name) else quoted(name)


_WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "must be given",
    **dict.fromkeys(("model_attributes_type", "model_type", "dict_type"), "must be a JSON object"),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "string_type": "must be text",
    "list_type": "must be a list",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have {min_length} or more of them",
    "too_long": "must have at most {max_length} of them",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must have the form {pattern}",
    **dict.fromkeys(("enum", "literal_error"), "must be {expected}"),
}
"""Pydantic's kinds of errors, as we say them; numbers and forms are the field's own, never the caller's."""


def _what(item: Mapping[str, Any], endpoint: Callable[..., Any] | None) -> str:
    match item["type"]:
        case "extra_forbidden" if endpoint is not None and (names := fields_at(endpoint, item["loc"])):
            return f"{_WORDS['extra_forbidden']}, only {', '.join(names)}"
        case kind if kind in _WORDS:
            return _WORDS[kind].format(**item.get("ctx", {}))
        case _:
            text = str(item["msg"]).removeprefix("Value error, ")
            return text[:1].lower() + text[1:]


def _http(error: HTTPException) -> Problem:
    """What FastAPI's router refuses."""
    headers = dict(error.headers or {})
    if error.status_code == KINDS["not-found"].status:
        return Problem("not-found", "there is nothing at this address: /openapi.json lists what there is")
    if error.status_code == KINDS["method-not-allowed"].status:
        return Problem(
            "method-not-allowed", f"this address answers {headers.get('Allow', 'other methods')}", {}, headers
        )
    return Problem("bad-request", "the request cannot be read: /openapi.json says what to send", {}, headers)
