"""What one steward may not do alone. The policy is the workspace's; its history only grows, and the newest row holds.

It is kept in the ledger, not in a process's settings, so that it is the same for every command and every worker, and
nobody who only has a token can change it. Every function works inside the caller's transaction.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select

from dpstats.errors import SecondStewardNeeded
from dpstats.ledger import histories, schema
from dpstats.ledger.chain import Kind, canonical_json

SCOPE = "workspace"
_ENTRIES = schema.entries.c


@dataclass(frozen=True)
class Policy:
    """What needs a second steward; nothing does until it is said.

    `grants_above`: grants that bring what was added to a lineage by one steward alone, all grants since it was opened
    together, above this epsilon. `approvals_above`: a query whose release alone amounts to more than this epsilon.
    Both in steps of 1e-12, None: never. `new_lineages`: a new pool of budget. `sensitive`: a query that reads a
    column that is declared sensitive.
    """

    grants_above: int | None = None
    approvals_above: int | None = None
    new_lineages: bool = False
    sensitive: bool = False

    def __post_init__(self) -> None:
        if any(limit is not None and not 0 <= limit <= 2**62 for limit in (self.grants_above, self.approvals_above)):
            raise ValueError("a limit is an epsilon of at least 0 and below 4,000,000")

    def covers(self, other: Policy) -> bool:
        """Whether all that needs a second steward under `other` needs one under this too."""
        limits = ((self.grants_above, other.grants_above), (self.approvals_above, other.approvals_above))
        return (
            all(theirs is None or (ours is not None and ours <= theirs) for ours, theirs in limits)
            and self.new_lineages >= other.new_lineages
            and self.sensitive >= other.sensitive
        )


def newest(connection: Connection) -> Policy:
    """The policy in force."""
    row = histories.newest(connection, schema.policies, SCOPE)
    return Policy() if row is None else read_policy(row["content"])


def policy_text(policy: Policy) -> str:
    """Canonical JSON."""
    return canonical_json(asdict(policy))


def read_policy(text: str) -> Policy:
    """What `policy_text` wrote."""
    return Policy(**json.loads(text))


def set_alone(connection: Connection, policy: Policy, actor: str, at: str) -> None:
    """Makes a policy that lets one steward do no more than before.

    Raises:
      SecondStewardNeeded: it lets one steward do more.
    """
    before = newest(connection)
    if not policy.covers(before):
        raise SecondStewardNeeded("a policy that lets one steward do more than before")
    if policy != before:
        append(connection, policy, actor, at)


def append(connection: Connection, policy: Policy, actor: str, at: str, confirmed_by: str | None = None) -> None:
    """Makes `policy` the one in force."""
    row = {"content": policy_text(policy), "actor": actor, "confirmed_by": confirmed_by, "at": at}
    histories.append(connection, schema.policies, SCOPE, row)


def check_grant(connection: Connection, lineage: str, epsilon: int) -> None:
    """Lets a grant of `epsilon` steps by one steward pass.

    Grants are added up: many small ones by one steward are no way around the limit.

    Raises:
      SecondStewardNeeded: it goes past the limit.
    """
    limit = newest(connection).grants_above
    if limit is None:
        return
    alone = select(func.sum(_ENTRIES.epsilon)).where(
        _ENTRIES.lineage == lineage,
        _ENTRIES.kind == Kind.GRANT,
        _ENTRIES.seq > 1,
        _ENTRIES.confirmed_by.is_(None),
    )
    if int(connection.execute(alone).scalar() or 0) + epsilon > limit:
        raise SecondStewardNeeded("a grant past what one steward may add alone")


def check_new_lineage(connection: Connection) -> None:
    """Lets one steward open a lineage.

    Raises:
      SecondStewardNeeded: it takes two.
    """
    if newest(connection).new_lineages:
        raise SecondStewardNeeded("a new lineage, which is a new pool of budget,")


def check_approval(connection: Connection, epsilon: int | None, *, sensitive: bool) -> None:
    """Lets one steward approve a query: `epsilon` steps are what one release alone amounts to, None if not known.

    Raises:
      SecondStewardNeeded: it takes two.
    """
    policy = newest(connection)
    if policy.approvals_above is not None and (epsilon is None or epsilon > policy.approvals_above):
        raise SecondStewardNeeded("the approval of a query of this price")
    if policy.sensitive and sensitive:
        raise SecondStewardNeeded("the approval of a query that reads sensitive columns")
