"""What one steward proposes and another confirms, and the policy that says what takes two."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dpstats.access import Action, check, sees
from dpstats.errors import Conflict, Forbidden, NotFound, SecondStewardNeeded
from dpstats.ledger.policies import Policy
from dpstats.ledger.proposals import Proposal, Subject, policy_draft
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.privacy.loss import AMOUNT_STEPS, amount_down


@dataclass(frozen=True)
class NewPolicy:
    """What a steward changes of the policy: None leaves a thing as it is. Limits are epsilons; infinity is none."""

    grants_above: Decimal | None = None
    approvals_above: Decimal | None = None
    new_lineages: bool | None = None
    sensitive: bool | None = None


class Stewards:
    """The proposals and the policy of a workspace."""

    def __init__(self, store: Store) -> None:
        self._proposals = store.proposals

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """Every proposal that the caller may see, oldest first; those about the policy are for stewards of all."""
        check(identity, Action.STEWARD)
        return [proposal_view(found) for found in self._proposals.all() if _visible(identity, found)]

    def confirm(self, identity: Identity, proposal_id: str) -> dict[str, Any]:
        """Does what another steward proposed, in the name of both.

        Raises:
          NotFound: there is none that the caller may see. Conflict: it is the caller's own, was decided, is expired,
            or contradicts what is recorded by now.
        """
        self._seen(identity, proposal_id)
        try:
            return proposal_view(self._proposals.confirm(proposal_id, identity))
        except ValueError as error:  # what was in range when it was proposed no longer is
            raise Conflict(str(error)) from None

    def decline(self, identity: Identity, proposal_id: str) -> dict[str, Any]:
        """Ends a proposal, one's own or another's.

        Raises:
          NotFound: there is none that the caller may see. Conflict: it was decided or is expired.
        """
        self._seen(identity, proposal_id)
        return proposal_view(self._proposals.decline(proposal_id, identity))

    def _seen(self, identity: Identity, proposal_id: str) -> None:
        check(identity, Action.STEWARD)
        if not _visible(identity, self._proposals.one(proposal_id)):
            raise NotFound("proposal", proposal_id)

    def policy(self, identity: Identity) -> dict[str, Any]:
        """What takes two stewards now."""
        check(identity, Action.STEWARD)
        return _policy_view(self._proposals.policy())

    def set_policy(self, identity: Identity, new: NewPolicy) -> dict[str, Any]:
        """Changes what takes two stewards; gives the policy, or the proposal where one alone may do more under it.

        Raises:
          Forbidden: the caller is a steward of some datasets. ValueError: a limit is out of its range.
        """
        check(identity, Action.STEWARD)
        if identity.datasets:
            raise Forbidden(str(identity.role), "change what takes two stewards for datasets that it does not see")
        wanted = _changed(self._proposals.policy(), new)
        try:
            self._proposals.set_policy(wanted, identity.name)
        except SecondStewardNeeded:
            return proposal_view(self._proposals.propose(policy_draft(wanted), identity))
        return _policy_view(wanted)


def is_proposal(told: dict[str, Any]) -> bool:
    """Whether an answer is a proposal: what was asked for was not done, and waits for another steward."""
    return "proposal_id" in told


def proposal_view(found: Proposal) -> dict[str, Any]:
    """A proposal as JSON."""
    return {
        "proposal_id": found.proposal_id,
        "kind": str(found.kind),
        "dataset": found.dataset or None,
        "subject": found.subject,
        "asks": _policy_view(Policy(**found.content)) if found.kind is Subject.POLICY else _asks(found),
        "outcome": str(found.outcome),
        "proposed_by": found.actor,
        "proposed_at": found.at.isoformat(),
        "expires_at": found.expires_at.isoformat(),
        "decided_by": found.decided_by,
        "decided_at": None if found.decided_at is None else found.decided_at.isoformat(),
    }


def _asks(found: Proposal) -> dict[str, Any]:
    """What is proposed, with its epsilon as a number."""
    steps = found.content["epsilon"]
    return {**found.content, "epsilon": None if steps is None else _epsilon(steps)}


def _visible(identity: Identity, found: Proposal) -> bool:
    return sees(identity, found.dataset) if found.dataset else not identity.datasets


def _changed(policy: Policy, new: NewPolicy) -> Policy:
    return Policy(
        policy.grants_above if new.grants_above is None else _limit(new.grants_above),
        policy.approvals_above if new.approvals_above is None else _limit(new.approvals_above),
        policy.new_lineages if new.new_lineages is None else new.new_lineages,
        policy.sensitive if new.sensitive is None else new.sensitive,
    )


def _limit(epsilon: Decimal) -> int | None:
    return amount_down(epsilon) if epsilon.is_finite() else None


def _policy_view(policy: Policy) -> dict[str, Any]:
    limits = {"grants_above": policy.grants_above, "approvals_above": policy.approvals_above}
    told: dict[str, Any] = {name: None if steps is None else _epsilon(steps) for name, steps in limits.items()}
    return told | {"new_lineages": policy.new_lineages, "sensitive": policy.sensitive}


def _epsilon(steps: int) -> float:
    return float(Decimal(steps) / AMOUNT_STEPS)
