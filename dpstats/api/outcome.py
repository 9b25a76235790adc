"""What became of a request, as logs and metrics may know it: nothing that was asked for, nothing that was answered."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

from dpstats.ledger.tokens import Identity

LONGEST_METHOD = 8
PROBLEM = "dpstats.problem"
"""Where a request's scope holds the slug of the problem that it was answered with."""


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
