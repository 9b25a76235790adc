"""What can be asked of a service, and how its answers are read: pure, and shared by `Client` and `AsyncClient`.

A flow yields a `Call`, is sent the JSON of its answer, and in the end returns what the caller wants. It neither waits
nor connects, so each method of both clients is written once, here.
"""

from __future__ import annotations

import json
import operator
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from dpstats.client.errors import BadAnswer
from dpstats.client.features import Features
from dpstats.client.listing import Budget, Listing
from dpstats.client.release import Release
from dpstats.client.signals import PROBABILITY, Segment, Signal, rank

T = TypeVar("T")
Flow: TypeAlias = Generator["Call", Any, T]
Number: TypeAlias = Decimal | float | str

PAGE = 1000
"""Entries of a ledger that are asked for at once."""


@dataclass(frozen=True)
class Call:
    """One request. `again`: sending it twice does no more than sending it once."""

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    again: bool = True


class Answer(dict[str, Any]):
    """The JSON object of an answer. `etag`: its entity tag, empty where it has none."""

    etag = ""


@dataclass(frozen=True)
class Paged:
    """A list that comes in pages. `read` takes an answer to its items and to the call for the page after, if any."""

    first: Call
    read: Callable[[Call, Mapping[str, Any]], tuple[list[dict[str, Any]], Call | None]]


def datasets() -> Flow[Listing]:
    """The datasets that the token may see, as they are declared."""
    return (yield from _whole(Paged(Call("GET", "/v1/datasets"), _by_cursor)))


def dataset(dataset: str) -> Flow[dict[str, Any]]:
    """One dataset: its tables, columns, bounds and values."""
    return dict((yield Call("GET", _path("datasets", dataset))))


def feature_views() -> Flow[Listing]:
    """The feature views that the token may see: segment, queries, how often renewed, without numbers."""
    return (yield from _whole(Paged(Call("GET", "/v1/features"), _by_cursor)))


def features(view: str, *, unless: Features | None = None) -> Flow[Features]:
    """A feature view as it was last renewed: one row a segment; free.

    Args:
      unless: what was got before: it is given back itself, and nothing is sent again, where nothing was renewed since.

    Raises:
      Unavailable: it was never renewed, or is past its maximal age. NotApproved, Frozen, NotFound: refused.
    """
    told = {"If-None-Match": unless.etag} if unless is not None and unless.etag else {}
    answer = yield Call("GET", _path("features", view), headers=told)
    if answer is None:
        if unless is None:
            raise BadAnswer("the answer says that nothing changed, and nothing was there before")
        return unless
    return Features.from_json(answer, getattr(answer, "etag", ""))


def make_features(queries: Sequence[str], parameters: Mapping[str, Any] | None = None, **params: Any) -> Flow[Features]:
    """Queries with the same keys side by side, one row a segment: all or nothing, and what is new is paid for.

    Raises:
      BudgetExhausted, Frozen, NotApproved, InvalidParameters, NotFound: refused; nothing was charged.
    """
    body = {"queries": list(queries), "parameters": _plain(parameters, params)}
    # Answers that are still fresh are given again, so that sending it twice pays once.
    return Features.from_json((yield _sending("POST", _path("features"), body)))


def segments(view: str) -> Flow[dict[str, Any]]:
    """The rule by which each of a view's queries puts a customer into a segment, as SQL, for customers of your own."""
    return dict((yield Call("GET", _path("features", view, "segments"))))


def signals(view: str, segment: Segment, *, probability: float = PROBABILITY) -> Flow[list[Signal]]:
    """What stands out for a segment of a feature view, the surest first; nothing where noise rules; free.

    Args:
      segment: a value for each of the view's keys, by their names; of a view with one key, that value alone will do.
      probability: how likely a signal must be real given the noise, from 0.5 to below 1.

    Raises:
      ValueError: there is no such segment.
    """
    return rank(dict((yield Call("GET", _path("features", view)))), segment, probability=probability)


def budget(dataset: str) -> Flow[Budget]:
    """What is left of a dataset's budget."""
    return Budget((yield Call("GET", _path("datasets", dataset, "budget"))))


def queries() -> Flow[Listing]:
    """The catalog: the approved queries that the token may see."""
    return (yield from _whole(Paged(Call("GET", "/v1/queries"), _by_cursor)))


def query(query: str) -> Flow[dict[str, Any]]:
    """One query: what it counts, its parameters, keys, bounds and price."""
    return dict((yield Call("GET", _path("queries", query))))


def preview(query: str, parameters: Mapping[str, Any] | None = None, **params: Any) -> Flow[dict[str, Any]]:
    """What a release would cost, and its 95 % half-widths; reads nobody's data and charges nothing.

    Also `costs`, the half-widths at other costs, and `notes`, what its bounds do beyond the noise.
    """
    return dict(
        (yield _sending("POST", _path("queries", query, "preview"), {"parameters": _plain(parameters, params)}))
    )


def run(
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    reuse: Literal["always", "never"] = "always",
    idempotency_key: str | None = None,
    **params: Any,
) -> Flow[Release]:
    """A release. The same question again gives the same answer, free, as long as it is fresh.

    A request that breaks off is sent again under one idempotency key, so it never pays twice.

    Args:
      parameters: the query's parameters; also as keywords. Dates are `date`s or text YYYY-MM-DD.
      reuse: "never" draws anew and pays, whatever was released before.
      idempotency_key: the same key with the same request gives the same release; a random one if none is given.

    Raises:
      BudgetExhausted, Frozen, NotApproved, InvalidParameters, NotFound: refused; nothing was charged.
      ClientError: any other failure.
    """
    body = {"parameters": _plain(parameters, params), "reuse": reuse}
    headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
    call = Call("POST", _path("queries", query, "releases"), body=json.dumps(body), headers=headers)
    return Release.from_json((yield call))


def releases(dataset: str | None = None, query: str | None = None, *, limit: int | None = None) -> Flow[Listing]:
    """Releases made, newest first, without their rows: of one dataset, of one query, at most `limit`."""
    return (yield from _whole(each_release(dataset, query), limit))


def each_release(dataset: str | None = None, query: str | None = None) -> Paged:
    """Releases made, newest first, without their rows, one after another; pages are asked for as they are needed."""
    wanted: dict[str, str | int] = {"dataset": dataset or "", "query": query or ""}
    params = {name: value for name, value in wanted.items() if value != ""}
    return Paged(Call("GET", "/v1/releases", params), _by_cursor)


def release(release_id: str) -> Flow[Release]:
    """A release made before, free."""
    return Release.from_json((yield Call("GET", _path("releases", release_id))))


def ledger(dataset: str, after: int = 0) -> Flow[dict[str, Any]]:
    """Every entry of a dataset's ledger above seq `after`, oldest first, and the signed head (steward)."""
    entries: list[dict[str, Any]] = []
    call: Call | None = each_entry(dataset, after).first
    body: Mapping[str, Any] = {}
    while call is not None:
        body = yield call
        page, call = _by_seq(call, body)
        entries += page
    return {"entries": entries, "head": _part(body, "head")}


def each_entry(dataset: str, after: int = 0) -> Paged:
    """The entries of a dataset's ledger above seq `after`, oldest first, one after another (steward)."""
    return Paged(Call("GET", _path("datasets", dataset, "ledger"), {"after": after, "limit": PAGE}), _by_seq)


def grant(
    dataset: str, *, rho: Number | None = None, epsilon: Number | None = None, reason: str
) -> Flow[dict[str, Any]]:
    """Raises a dataset's budget for good, by rho or by epsilon; gives the ledger's entry (steward).

    Raises:
      ValueError: an amount is not a number.
    """
    amounts = {name: _number(value) for name, value in (("rho", rho), ("epsilon", epsilon)) if value is not None}
    # Written by hand, so that a number is sent exactly as it is.
    fields = [f'"{name}": {number}' for name, number in amounts.items()] + [f'"reason": {json.dumps(reason)}']
    # A grant that was made is made: if its answer is lost, look at the ledger before sending it again.
    path, body = _path("datasets", dataset, "budget", "grants"), "{" + ", ".join(fields) + "}"
    return dict((yield Call("POST", path, body=body, again=False)))


def freeze(dataset: str) -> Flow[dict[str, Any]]:
    """Freezes a dataset: nobody can ask it anything, not even for earlier answers (steward)."""
    return dict((yield _sending("PUT", _path("datasets", dataset, "frozen"), {"frozen": True})))


def thaw(dataset: str) -> Flow[dict[str, Any]]:
    """Ends a freeze (steward)."""
    return dict((yield _sending("PUT", _path("datasets", dataset, "frozen"), {"frozen": False})))


def approve(query: str, version: str) -> Flow[dict[str, Any]]:
    """Approves the version of a query that was reviewed, if it is the one that stands (steward)."""
    return dict((yield _sending("POST", _path("queries", query, "approvals"), {"version": version})))


def revoke(query: str, version: str) -> Flow[None]:
    """Ends the approval of a version: it answers nothing from now on (steward)."""
    yield Call("DELETE", _path("queries", query, "approvals", version), again=False)


def terms() -> Flow[dict[str, Any]]:
    """The recipients' terms in force, and whether this token's holder still owes their acceptance; null if none are."""
    return dict((yield Call("GET", _path("terms"))))


def accept_terms(version: int) -> Flow[dict[str, Any]]:
    """Accepts the version of the recipients' terms that is in force: data are given from then on."""
    return dict((yield _sending("POST", _path("terms", "acceptance"), {"version": version})))


def _sending(method: str, path: str, body: Mapping[str, Any]) -> Call:
    return Call(method, path, body=json.dumps(body))


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _whole(paged: Paged, limit: int | None = None) -> Flow[Listing]:
    """Every item of a list, page after page, or the first `limit`."""
    items: list[dict[str, Any]] = []
    call: Call | None = paged.first
    while call is not None and (limit is None or len(items) < limit):
        page, call = paged.read(call, (yield call))
        items += page
    return Listing(items[:limit])


def _by_cursor(call: Call, body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Call | None]:
    items, cursor = _part(body, "items"), _part(body, "next")
    return items, None if cursor is None else replace(call, params={**call.params, "cursor": cursor})


def _by_seq(call: Call, body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Call | None]:
    page = _part(body, "entries")
    later = replace(call, params={**call.params, "after": page[-1]["seq"]}) if len(page) == PAGE else None
    return page, later


def _part(body: Mapping[str, Any], name: str) -> Any:
    if name not in body:
        raise BadAnswer(f"the answer has no {name!r}: is it a dpstats service?")
    return body[name]


def _plain(parameters: Mapping[str, Any] | None, params: Mapping[str, Any]) -> dict[str, Any]:
    twice = set(parameters or {}) & set(params)
    if twice:
        raise TypeError(f"given twice: {', '.join(sorted(twice))}")
    return {name: _plain_value(name, value) for name, value in {**(parameters or {}), **params}.items()}


def _plain_value(name: str, value: Any) -> Any:
    """A parameter as JSON: dates as text, whole numbers of any library as numbers."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"parameter {name} must be a date, text or a whole number, not {type(value).__name__}"
        ) from None


def _number(value: Number) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{value!r} is not an amount: give a number")
    return f"{number:f}"
