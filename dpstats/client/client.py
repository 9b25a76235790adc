"""The client: what can be asked, what it costs, the answers; and for stewards, budgets and approvals."""

from __future__ import annotations

import json
import operator
import secrets
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from dpstats.client import signals
from dpstats.client.connection import Call, Connection
from dpstats.client.release import Release

_PAGE = 1000


class Client:
    """A dpstats service, asked with one token. Thread-safe; close it, or use it in a `with`.

    Args:
      url: the service's address, such as `http://127.0.0.1:8471`.
      token: made by a steward with `dpstats token create`.
      timeout_s: seconds to wait for an answer.
      transport: another way to the service than the network.

    Every method raises `dpstats.client.errors.ClientError` if it does not get what it asks for.

    Raises:
      ValueError: the address or the token is not one.
    """

    def __init__(
        self, url: str, token: str, timeout_s: float = 60, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._connection = Connection(url, token, timeout_s, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def close(self) -> None:
        """Closes every connection."""
        self._connection.close()

    def datasets(self) -> list[dict[str, Any]]:
        """The datasets that the token may see, as they are declared."""
        return self._list("/v1/datasets")

    def dataset(self, dataset: str) -> dict[str, Any]:
        """One dataset: its tables, columns, bounds and values."""
        return self._get(_path("datasets", dataset))

    def budget(self, dataset: str) -> dict[str, Any]:
        """What is left of a dataset's budget."""
        return self._get(_path("datasets", dataset, "budget"))

    def queries(self) -> list[dict[str, Any]]:
        """The approved queries that the token may see."""
        return self._list("/v1/queries")

    def query(self, query: str) -> dict[str, Any]:
        """One query: what it counts, its parameters, keys, bounds and price."""
        return self._get(_path("queries", query))

    def preview(self, query: str, parameters: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """What a release would cost, and its 95 % half-widths; reads nobody's data and charges nothing.

        Also `costs`, the half-widths at other costs, and `notes`, what its bounds do beyond the noise.
        """
        body = {"parameters": _parameters(parameters, params)}
        return self._send("POST", _path("queries", query, "preview"), body)

    def run(
        self,
        query: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        reuse: Literal["always", "never"] = "always",
        idempotency_key: str | None = None,
        **params: Any,
    ) -> Release:
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
        body = {"parameters": _parameters(parameters, params), "reuse": reuse}
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        call = Call("POST", _path("queries", query, "releases"), body=json.dumps(body), headers=headers)
        return Release.from_json(self._connection.send(call))

    def releases(
        self, dataset: str | None = None, query: str | None = None, *, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Releases made, newest first, without their rows: of one dataset, of one query, at most `limit`."""
        wanted = {"dataset": dataset, "query": query}
        return self._list("/v1/releases", {name: value for name, value in wanted.items() if value is not None}, limit)

    def release(self, release_id: str) -> Release:
        """A release made before, free."""
        return Release.from_json(self._get(_path("releases", release_id)))

    def signals(
        self, view: str, segment: Mapping[str, Any], *, probability: float = signals.PROBABILITY
    ) -> list[signals.Signal]:
        """What stands out for a segment of a feature view, the surest first; nothing where noise rules; free.

        Args:
          segment: a value for each of the view's keys.
          probability: how likely a signal must be real given the noise, from 0.5 to below 1.

        Raises:
          ValueError: there is no such segment.
        """
        return signals.rank(self._get(_path("features", view)), segment, probability=probability)

    def ledger(self, dataset: str, after: int = 0) -> dict[str, Any]:
        """Every entry of a dataset's ledger above seq `after`, oldest first, and the signed head (steward)."""
        path = _path("datasets", dataset, "ledger")
        found = self._get(path, {"after": after, "limit": _PAGE})
        page = found["entries"]
        while len(page) == _PAGE:
            later = self._get(path, {"after": page[-1]["seq"], "limit": _PAGE})
            page = later["entries"]
            found = {"entries": found["entries"] + page, "head": later["head"]}
        return found

    def grant(
        self,
        dataset: str,
        *,
        rho: Decimal | float | str | None = None,
        epsilon: Decimal | float | str | None = None,
        reason: str,
    ) -> dict[str, Any]:
        """Raises a dataset's budget for good, by rho or by epsilon; gives the ledger's entry (steward).

        Raises:
          ValueError: an amount is not a number.
        """
        amounts = {name: _number(value) for name, value in (("rho", rho), ("epsilon", epsilon)) if value is not None}
        # Written by hand, so that a number is sent exactly as it is.
        fields = [f'"{name}": {number}' for name, number in amounts.items()] + [f'"reason": {json.dumps(reason)}']
        body = "{" + ", ".join(fields) + "}"
        # A grant that was made is made: if its answer is lost, look at the ledger before sending it again.
        call = Call("POST", _path("datasets", dataset, "budget", "grants"), body=body, again=False)
        return _object(self._connection.send(call))

    def freeze(self, dataset: str) -> dict[str, Any]:
        """Freezes a dataset: nobody can ask it anything, not even for earlier answers (steward)."""
        return self._send("PUT", _path("datasets", dataset, "frozen"), {"frozen": True})

    def thaw(self, dataset: str) -> dict[str, Any]:
        """Ends a freeze (steward)."""
        return self._send("PUT", _path("datasets", dataset, "frozen"), {"frozen": False})

    def approve(self, query: str, version: str) -> dict[str, Any]:
        """Approves the version of a query that was reviewed, if it is the one that stands (steward)."""
        return self._send("POST", _path("queries", query, "approvals"), {"version": version})

    def revoke(self, query: str, version: str) -> None:
        """Ends the approval of a version: it answers nothing from now on (steward)."""
        self._connection.send(Call("DELETE", _path("queries", query, "approvals", version), again=False))

    def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        return _object(self._connection.send(Call("GET", path, params or {})))

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _object(self._connection.send(Call(method, path, body=json.dumps(body))))

    def _list(
        self, path: str, params: Mapping[str, str | int] | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Every item of a list, page after page, or the first `limit`."""
        wanted = dict(params or {})
        items: list[dict[str, Any]] = []
        while limit is None or len(items) < limit:
            page = self._get(path, wanted)
            items += page["items"]
            if page["next"] is None:
                break
            wanted["cursor"] = page["next"]
        return items[:limit]


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _object(body: Any) -> dict[str, Any]:
    return dict(body or {})


def _parameters(parameters: Mapping[str, Any] | None, params: Mapping[str, Any]) -> dict[str, Any]:
    twice = set(parameters or {}) & set(params)
    if twice:
        raise TypeError(f"given twice: {', '.join(sorted(twice))}")
    return {name: _plain(name, value) for name, value in {**(parameters or {}), **params}.items()}


def _plain(name: str, value: Any) -> Any:
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


def _number(value: Decimal | float | str) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{value!r} is not an amount: give a number")
    return f"{number:f}"
