"""What one steward proposes and another confirms. Confirming does it, in the transaction that records who confirmed.

Proposals and decisions are append-only. A proposal that nobody decided ends by itself.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, insert, select

from dpstats.errors import Conflict, NotFound
from dpstats.ledger import approvals, granting, histories, policies, schema
from dpstats.ledger.approvals import Wish
from dpstats.ledger.chain import Content, Entry, canonical_json
from dpstats.ledger.clock import Clock, later, moment_of, stamp
from dpstats.ledger.database import faults_explained, reading, writing
from dpstats.ledger.granting import Opening
from dpstats.ledger.growing import Growing, Torn
from dpstats.ledger.policies import Policy
from dpstats.ledger.tokens import Identity
from dpstats.ledger.writer import ChainWriter
from dpstats.privacy.loss import AMOUNT_STEPS

_HOST = re.compile(r"cli(:|$)")  # how the host's command line names its users
PROPOSAL_LIFE = timedelta(days=14)
"""How long a proposal waits for a second steward."""


class Subject(StrEnum):
    """What is proposed."""

    GRANT = "grant"
    LINEAGE = "lineage"
    APPROVAL = "approval"
    POLICY = "policy"


class Outcome(StrEnum):
    """What became of a proposal."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Proposal:
    """A proposal and what became of it. `dataset` is empty for the workspace's policy; `content` is what it asks."""

    proposal_id: str
    kind: Subject
    dataset: str
    subject: str
    content: Mapping[str, Any]
    actor: str
    token_id: str
    at: datetime
    expires_at: datetime
    outcome: Outcome
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True)
class Draft:
    """What a steward would propose."""

    kind: Subject
    dataset: str
    subject: str
    content: Mapping[str, Any]


class Proposals:
    """The proposals of a workspace."""

    def __init__(self, engine: Engine, writer: ChainWriter, clock: Clock) -> None:
        self._engine, self._writer, self._clock = engine, writer, clock

    def propose(self, draft: Draft, by: Identity) -> Proposal:
        """Puts it down for another steward; the same that waits already is given again."""
        now = self._clock()
        with writing(self._engine) as connection:
            for known in _all(connection, now):
                if _same(known, draft, by) and known.outcome is Outcome.PENDING:
                    return known
            proposal_id = secrets.token_hex(8)
            row = {
                "proposal_id": proposal_id,
                "kind": draft.kind,
                "dataset": draft.dataset,
                "subject": draft.subject,
                "content": canonical_json(dict(draft.content)),
                "actor": by.name,
                "token_id": by.token_id,
                "at": stamp(now),
                "expires_at": stamp(later(now, PROPOSAL_LIFE)),
            }
            connection.execute(insert(schema.proposals).values(**row))
            return _known(connection, proposal_id, now)

    def one(self, proposal_id: str) -> Proposal:
        """A proposal.

        Raises:
          NotFound: there is none.
        """
        with reading(self._engine) as connection:
            return _known(connection, proposal_id, self._clock())

    def all(self) -> tuple[Proposal, ...]:
        """Every proposal ever made, oldest first."""
        with reading(self._engine) as connection:
            return tuple(_all(connection, self._clock()))

    def confirm(self, proposal_id: str, by: Identity) -> Proposal:
        """Does what is proposed, in the name of both.

        Raises:
          NotFound: there is none. Conflict: it was decided or is expired, the proposer would confirm it, or it
            contradicts what is recorded by now.
          ValueError: a budget would leave its range. LedgerBroken: the chain cannot be trusted.
        """
        entries: list[Entry | None] = []
        try:
            with writing(self._engine, lambda seen: _decided(seen, proposal_id)) as connection:
                found = self._undecided(connection, proposal_id)
                if _same_steward(found, by):
                    raise Conflict(f"proposal {proposal_id} is {found.actor}'s own: another steward must confirm it")
                chains = Growing(connection, self._writer)
                entries.append(self._carry_out(chains, found, by.name))
                self._decide(chains.connection, found, by.name, confirmed=True)
                chains.close()
        except Torn as torn:
            raise torn.error from None
        if entries[-1] is not None:
            with faults_explained():
                self._writer.publish(entries[-1])
        return self.one(proposal_id)

    def decline(self, proposal_id: str, by: Identity) -> Proposal:
        """Ends a proposal: its own steward's or another's.

        Raises:
          NotFound: there is none. Conflict: it was decided or is expired.
        """
        with writing(self._engine) as connection:
            self._decide(connection, self._undecided(connection, proposal_id), by.name, confirmed=False)
        return self.one(proposal_id)

    def policy(self) -> Policy:
        """What needs a second steward now."""
        with reading(self._engine) as connection:
            return policies.newest(connection)

    def set_policy(self, policy: Policy, actor: str) -> None:
        """Makes a policy that lets one steward do no more than before.

        Raises:
          SecondStewardNeeded: it lets one steward do more.
        """
        with writing(self._engine) as connection:
            policies.set_alone(connection, policy, actor, stamp(self._clock()))

    def _undecided(self, connection: Connection, proposal_id: str) -> Proposal:
        found = _known(connection, proposal_id, self._clock())
        if found.outcome is not Outcome.PENDING:
            raise Conflict(f"proposal {proposal_id} is {found.outcome}: propose it again if it is still wanted")
        return found

    def _decide(self, connection: Connection, found: Proposal, actor: str, *, confirmed: bool) -> None:
        row = {"proposal_id": found.proposal_id, "confirmed": confirmed, "actor": actor, "at": stamp(self._clock())}
        connection.execute(insert(schema.decisions).values(**row))

    def _carry_out(self, chains: Growing, found: Proposal, second: str) -> Entry | None:
        now, connection = self._clock(), chains.connection
        match found.kind:
            case Subject.GRANT:
                content = Content(**found.content, at=stamp(now), actor=found.actor, confirmed_by=second)
                _check_cap(chains, content)
                return granting.grant(chains, content)
            case Subject.LINEAGE:
                opening = granting.read_opening(found.content, found.actor, now, second)
                return granting.open_lineage(chains, self._writer.heads, opening)
            case Subject.APPROVAL:
                _approve(connection, Wish.read(found.content, found.actor, second), now)
            case Subject.POLICY:
                policies.append(connection, Policy(**found.content), found.actor, stamp(now), second)
        return None


def grant_draft(dataset: str, content: Content) -> Draft:
    """The proposal of a grant: all that its entry will say but who and when."""
    names = ("lineage", "kind", "measure", "amount", "delta", "epsilon", "reason")
    return Draft(Subject.GRANT, dataset, content.lineage, {name: getattr(content, name) for name in names})


def lineage_draft(dataset: str, opening: Opening) -> Draft:
    """The proposal of a new lineage."""
    return Draft(Subject.LINEAGE, dataset, opening.terms.lineage, granting.opening_content(opening))


def approval_draft(dataset: str, wish: Wish) -> Draft:
    """The proposal of an approval."""
    return Draft(Subject.APPROVAL, dataset, wish.query, wish.content)


def policy_draft(policy: Policy) -> Draft:
    """The proposal of another policy."""
    return Draft(Subject.POLICY, "", policies.SCOPE, json.loads(policies.policy_text(policy)))


def _check_cap(chains: Growing, content: Content) -> None:
    """Several grants that wait may each be within the largest budget, and together past it."""
    cap = chains.end(content.lineage).sums.budget(chains.known_terms(content.lineage).measure).epsilon_cap
    if cap + content.epsilon > granting.EPSILON_CAP * AMOUNT_STEPS:
        raise Conflict(f"the budget would be more than epsilon {granting.EPSILON_CAP} by now: propose a smaller grant")


def _approve(connection: Connection, wish: Wish, now: datetime) -> None:
    """Approves what is still the newest text: an older one must not come back in its place."""
    if histories.known(connection, schema.queries, wish.query)["revision"] != wish.revision:
        raise Conflict(f"query {wish.query} has a newer text than what was proposed: approve that one")
    approvals.approve(connection, wish, now)


def _same_steward(found: Proposal, by: Identity) -> bool:
    """Whether the proposer would confirm: by name or token. The host's users are one: who is root there is all."""
    both_host = not (found.token_id or by.token_id) and all(map(_HOST.match, (found.actor, by.name)))
    return found.actor == by.name or both_host or bool(found.token_id and found.token_id == by.token_id)


def _same(known: Proposal, draft: Draft, by: Identity) -> bool:
    told = (known.kind, known.dataset, known.subject, dict(known.content), known.actor, known.token_id)
    return told == (draft.kind, draft.dataset, draft.subject, dict(draft.content), by.name, by.token_id)


def _decided(connection: Connection, proposal_id: str) -> bool:
    return _decisions(connection).get(proposal_id) is not None


def _decisions(connection: Connection) -> dict[str, RowMapping]:
    return {row["proposal_id"]: row for row in connection.execute(select(schema.decisions)).mappings()}


def _all(connection: Connection, now: datetime) -> list[Proposal]:
    decided, table = _decisions(connection), schema.proposals
    rows = connection.execute(select(table).order_by(table.c.at, table.c.proposal_id)).mappings()
    return [_proposal(row, decided.get(row["proposal_id"]), now) for row in rows]


def _known(connection: Connection, proposal_id: str, now: datetime) -> Proposal:
    table = schema.proposals
    row = connection.execute(select(table).where(table.c.proposal_id == proposal_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("proposal", proposal_id)
    return _proposal(row, _decisions(connection).get(proposal_id), now)


def _proposal(row: RowMapping, decision: RowMapping | None, now: datetime) -> Proposal:
    return Proposal(
        proposal_id=row["proposal_id"],
        kind=Subject(row["kind"]),
        dataset=row["dataset"],
        subject=row["subject"],
        content=json.loads(row["content"]),
        actor=row["actor"],
        token_id=row["token_id"],
        at=moment_of(row["at"]),
        expires_at=moment_of(row["expires_at"]),
        outcome=_outcome(row, decision, now),
        decided_by=None if decision is None else decision["actor"],
        decided_at=None if decision is None else moment_of(decision["at"]),
    )


def _outcome(row: RowMapping, decision: RowMapping | None, now: datetime) -> Outcome:
    if decision is not None:
        return Outcome.CONFIRMED if decision["confirmed"] else Outcome.DECLINED
    return Outcome.PENDING if stamp(now) < row["expires_at"] else Outcome.EXPIRED
