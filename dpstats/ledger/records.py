"""What travels in and out of the ledger, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.chain import canonical_json, sha256
from dpstats.privacy.blocks import Touched
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.repricing import price_again

FRESH_FOR = timedelta(days=30)
"""How long an unfinished charge is taken up again where nothing else is said: the contract's default for releases."""


@dataclass(frozen=True)
class Question:
    """What is asked; two requests with equal `hash` and query are the same. `parameters` is canonical JSON."""

    query: str
    query_version: str
    parameters: str

    @property
    def hash(self) -> str:
        """SHA-256 over the version and the parameters."""
        return sha256(canonical_json([self.query_version, self.parameters]))


@dataclass(frozen=True)
class Envelope:
    """What charges for one reason may come to in a calendar month of UTC: `amount` steps of 1e-12, >= 0."""

    reason: str
    amount: int


@dataclass(frozen=True)
class ChargeRequest:
    """A wish to release one answer.

    `events` are the mechanism events, JSON of strings and integers. `token_cap`, in steps of 1e-12, limits everything
    that `token_id` ever charged. `fresh`: draw anew and pay, whatever was released before. `fresh_for`: how old an
    unfinished charge of the same question may be and still be taken up again. `blocks`: what it reads, in a lineage
    that has time blocks. `envelope`: what it must fit in besides; its reason is recorded with the charge. `role` and
    `purpose`: whose caps it must fit in, None for no one's.

    Raises:
      ValueError: the loss is less than one step or than its events come to by the second accountant, an event is of a
        mechanism that the second accountant does not know, or there is a cap but no token.
    """

    lineage: str
    dataset: str
    question: Question
    data_version: str
    plan_hash: str
    loss: Loss
    events: tuple[Mapping[str, object], ...]
    actor: str
    token_id: str | None
    token_cap: int | None
    fresh: bool
    idempotency_key: str | None
    fresh_for: timedelta = FRESH_FOR
    blocks: Touched | None = None
    envelope: Envelope | None = None
    key_shared_by: str | None = None
    role: str | None = None
    purpose: str | None = None

    def __post_init__(self) -> None:
        if self.loss.amount < 1:
            raise ValueError("a charge is at least one step of 1e-12: an answer about people is never free")
        if self.token_cap is not None and self.token_id is None:
            raise ValueError("a token's cap needs the token's id")
        if not price_again(self.events, self.loss.measure).fits(self.loss):
            raise ValueError("a charge is no less than what its events come to")

    @property
    def key_owner(self) -> str:
        """Among whose keys the idempotency key is looked for: the caller's own, or those that many callers share."""
        return self.actor if self.key_shared_by is None else self.key_shared_by

    @property
    def fingerprint(self) -> str:
        """What an idempotency key is bound to."""
        return sha256(canonical_json([self.question.hash, self.fresh, self.dataset]))


@dataclass(frozen=True)
class Charged:
    """A durable charge that one release may now be made under. `resumed`: an earlier one, not yet answered.

    `created_at` is when the charge was made: the release's own creation time. `hash` and `signature` are its entry's.
    """

    release_id: str
    lineage: str
    seq: int
    created_at: datetime
    resumed: bool
    hash: str
    signature: str


@dataclass(frozen=True)
class StoredRelease:
    """A release as it is stored, for ever. It is given again for free until `fresh_until`.

    `body`: its JSON, deflated where it is large (`packed.py`).
    """

    release_id: str
    dataset: str
    query: str
    query_version: str
    data_version: str
    created_at: datetime
    fresh_until: datetime
    body: bytes


@dataclass(frozen=True)
class ReleaseMark:
    """A stored release without its body, which may be large."""

    release_id: str
    dataset: str
    query: str
    query_version: str
    data_version: str
    created_at: datetime


@dataclass(frozen=True)
class ReleasePage:
    """Some releases, newest first; `next` is the cursor of the following page, None on the last one."""

    items: tuple[StoredRelease, ...]
    next: str | None


@dataclass(frozen=True)
class LineageTerms:
    """What is fixed for the life of a lineage. `conversion_delta` is in steps of 1e-18, 0 for pure DP."""

    lineage: str
    measure: Measure
    conversion_delta: int
    privacy_unit: str
    created_at: datetime
    blocks: BlockTerms | None = None


@dataclass(frozen=True)
class BudgetState:
    """A lineage's budget, added up from its entries. `epsilon_cap` is in steps of 1e-12."""

    measure: Measure
    cap: Loss
    epsilon_cap: int
    spent: Loss

    @property
    def remaining(self) -> Loss:
        """What may still be charged."""
        return Loss(self.measure, self.cap.amount - self.spent.amount, self.cap.delta - self.spent.delta)


@dataclass(frozen=True)
class Which:
    """Some entries of a lineage. What is empty, or 0, asks for all.

    `before`: with a seq below it. `datasets`: of charges, those for them.
    """

    before: int = 0
    kind: str = ""
    actor: str = ""
    query: str = ""
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True)
class DaySum:
    """A lineage's entries of one day and one cause, added up.

    Of a grant, `dataset`, `query` and `query_version` are None. `day` is in UTC. `amount`, `delta` and `epsilon` are
    sums in steps, `most_amount` and `most_delta` the largest single entry's.
    """

    day: date
    kind: str
    dataset: str | None
    query: str | None
    query_version: str | None
    token_id: str | None
    actor: str
    entries: int
    amount: int
    delta: int
    epsilon: int
    most_amount: int
    most_delta: int
