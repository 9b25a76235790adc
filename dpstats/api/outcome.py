"""What became of a request, as logs and metrics may know it: nothing that was asked for, nothing that was answered."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

from dpstats.catalog.fields import is_name
from dpstats.ledger.asked import Asking
from dpstats.ledger.tokens import Identity

LONGEST_METHOD = 8
PROBLEM = "dpstats.problem"
"""Where a request's scope holds the slug of the problem that it was answered with."""
PEOPLES_OWN = ("/v1/consent/", "/v1/rights/", "/consent/", "/rights/", "/opt-out/")
"""Where people, or others for them, ask for themselves: neither metrics nor traces show such a request come."""


@dataclass(frozen=True)
class Outcome:
    """A request that was answered.

    `route` is as it is written, never as it was asked, empty if there is none; `status` is 0 if there was no answer,
    because the caller went away; `problem` is the slug, empty if all was well; `actor` is the token's name, empty
    without one.
    """

    request_id: str
    method: str
    route: str
    status: int
    problem: str
    actor: str
    seconds: float

    @property
    def line(self) -> str:
        """Method and route."""
        return f"{self.method} {self.route or 'no route'}"


def asks_below(scope: Scope, addresses: tuple[str, ...]) -> bool:
    """Whether a request asks for one of these addresses or for something below it, be it there or not."""
    return f"{scope['path']}/".startswith(addresses)


def outcome_of(scope: Scope, *, request_id: str, status: int, seconds: float) -> Outcome:
    """What became of the request of `scope`, as its app left it."""
    identity = scope.get("state", {}).get("identity")
    return Outcome(
        request_id=request_id,
        method=scope["method"][:LONGEST_METHOD],
        route=getattr(scope.get("route"), "path", ""),
        status=status,
        problem=scope.get(PROBLEM, ""),
        actor=identity.name if isinstance(identity, Identity) else "",
        seconds=seconds,
    )


def asking_of(scope: Scope, outcome: Outcome) -> Asking | None:
    """The line of a request in the log of who asked what; None for a caller who is not known.

    Of what was asked for it tells a dataset's and a query's name, if they can be names.
    """
    identity = scope.get("state", {}).get("identity")
    if not isinstance(identity, Identity):
        return None
    return Asking(
        request_id=outcome.request_id,
        actor=identity.name,
        token_id=identity.token_id,
        role=str(identity.role),
        method=outcome.method,
        route=outcome.route,
        dataset=_named(scope, "dataset"),
        query=_named(scope, "name" if outcome.route.startswith("/queries/") else "query"),  # a page's, or the API's
        status=outcome.status,
        outcome=outcome.problem,
    )


def _named(scope: Scope, what: str) -> str:
    name = scope.get("path_params", {}).get(what, "")
    return name if is_name(name) else ""
