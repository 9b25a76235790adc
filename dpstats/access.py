"""Who may do what: one table, read by every door. What is not in it is denied."""

from __future__ import annotations

from enum import StrEnum

from dpstats.errors import Forbidden
from dpstats.ledger.tokens import Identity, Role


class Action(StrEnum):
    """What can be done, worded so that it completes "may not ..."."""

    READ = "read datasets, budgets, queries or releases"
    RELEASE = "preview or run queries"
    STEWARD = "approve queries, manage budgets, read the ledger or see what people asked about their own data"
    CONSENT = "send consent events"


ALLOWED: dict[Role, frozenset[Action]] = {
    Role.ANALYST: frozenset({Action.READ, Action.RELEASE}),
    Role.JOB: frozenset({Action.READ, Action.RELEASE}),
    Role.STEWARD: frozenset({Action.READ, Action.RELEASE, Action.STEWARD, Action.CONSENT}),
    Role.COLLECTOR: frozenset({Action.CONSENT}),
}


def operator(name: str) -> Identity:
    """Whoever can read the workspace's files: the command line on its host acts as a steward."""
    return Identity(token_id="", name=name, role=Role.STEWARD, datasets=(), cap_steps=None)


def check(identity: Identity, action: Action) -> None:
    """Refuses what the role does not allow.

    Raises:
      Forbidden: the role does not allow it.
    """
    if action not in ALLOWED[identity.role]:
        raise Forbidden(str(identity.role), str(action))


def sees(identity: Identity, dataset: str) -> bool:
    """Whether the identity may know that the dataset exists."""
    return not identity.datasets or dataset in identity.datasets
