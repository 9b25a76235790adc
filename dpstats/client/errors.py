"""What can go wrong for a client, one tree.

ClientError                 everything below
+-- Unauthorized            no valid token
+-- Forbidden               the token's role does not allow this
+-- NotFound                it is not there, or the token may not see it
+-- NotApproved             the query's present version has no approval
+-- InvalidParameters       `problems`: name -> what is wrong
+-- BudgetExhausted         `requested`, `remaining`, in `measure`, of `scope`; nothing was charged
+-- Frozen                  a steward froze the dataset
+-- IdempotencyConflict     the idempotency key was used for another request
+-- Conflict                a steward's change contradicts what is recorded
+-- QueryRefused            the query cannot be answered: `reasons`
+-- RateLimited             too many requests
+-- Unavailable             the service cannot answer now
+-- ConnectionFailed        the service was not reached, or the connection broke
|   +-- TimedOut            it did not answer in time
+-- BadAnswer               what answered is not a dpstats service, or not one that this client understands
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """A request that did not give what was asked for; `str(error)` is one clear line.

    Attributes:
      slug: the stable name of the kind of error. status: the HTTP status, None if there was no answer.
      detail: what happened. problem: the whole problem as the service sent it (RFC 9457), empty if it sent none.
      retry_after_s: after how many seconds it makes sense to try again; None where it does not.
    """

    slug: str = ""
    retry_after_s: float | None = None

    def __init__(self, detail: str, *, status: int | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.status, self.problem = detail, status, dict(problem or {})


class Unauthorized(ClientError):
    """No valid token."""

    slug = "unauthorized"


class Forbidden(ClientError):
    """The token's role does not allow this."""

    slug = "forbidden"


class NotFound(ClientError):
    """It is not there, or the token may not see it."""

    slug = "not-found"


class NotApproved(ClientError):
    """The query's present version has no approval."""

    slug = "not-approved"


class InvalidParameters(ClientError):
    """A parameter is missing, unknown, of the wrong type or out of its range."""

    slug = "invalid-parameters"

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by parameter."""
        return dict(self.problem.get("problems", {}))


class BudgetExhausted(ClientError):
    """The budget does not cover the answer; nothing was charged."""

    slug = "budget-exhausted"

    @property
    def requested(self) -> float | None:
        """What the answer costs, in `measure`."""
        return self.problem.get("requested")

    @property
    def remaining(self) -> float | None:
        """What is left, in `measure`."""
        return self.problem.get("remaining")

    @property
    def measure(self) -> str:
        """ "rho", "epsilon" or "delta"."""
        return str(self.problem.get("measure", ""))

    @property
    def scope(self) -> str:
        """Whose budget it is: "dataset", "token" for its own cap, "envelope", or a "block", "role" or "purpose".

        `problem[scope]` names which block, role or purpose.
        """
        return str(self.problem.get("scope", "dataset"))


class Frozen(ClientError):
    """A steward froze the dataset: it gives nothing, not even earlier answers."""

    slug = "frozen"


class IdempotencyConflict(ClientError):
    """The idempotency key was used for another request."""

    slug = "idempotency-conflict"


class Conflict(ClientError):
    """A steward's change contradicts what is recorded."""

    slug = "conflict"


class QueryRefused(ClientError):
    """The query cannot be answered safely."""

    slug = "query-refused"

    @property
    def reasons(self) -> list[str]:
        """Every reason, and what to write instead."""
        return list(self.problem.get("reasons", []))


class RateLimited(ClientError):
    """Too many requests."""

    slug = "rate-limited"


class Unavailable(ClientError):
    """The service cannot answer now; what was charged is not charged again."""

    slug = "unavailable"


class ConnectionFailed(ClientError):
    """The service was not reached, or the connection broke."""

    slug = "connection-failed"


class TimedOut(ConnectionFailed):
    """The service did not answer in time."""

    slug = "timed-out"


class BadAnswer(ClientError):
    """What answered is not a dpstats service, or not one that this client understands."""

    slug = "bad-answer"


BY_SLUG: dict[str, type[ClientError]] = {
    kind.slug: kind
    for kind in (
        Unauthorized,
        Forbidden,
        NotFound,
        NotApproved,
        InvalidParameters,
        BudgetExhausted,
        Frozen,
        IdempotencyConflict,
        Conflict,
        QueryRefused,
        RateLimited,
        Unavailable,
    )
}
"""The error of each kind of problem that a service may send."""


def of_problem(problem: Mapping[str, Any], status: int) -> ClientError:
    """The error of a problem; a kind that this client does not know is a plain `ClientError` with its slug."""
    slug = str(problem.get("type", "")).rpartition("/")[2]
    detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
    error = BY_SLUG.get(slug, ClientError)(detail, status=status, problem=problem)
    error.slug = slug
    return error
