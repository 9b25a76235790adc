"""What answers hold that are for the people in the data, or about their wishes: report, consent, rights requests."""

from __future__ import annotations

from typing import Any, Literal

from dpstats.api.answers import Answer, Cost


class HeldColumn(Answer):
    table: str
    column: str
    why: str
    never_disclosed: bool


class HeldCategory(Answer):
    category: str
    section: str | None
    sensitive: list[str]
    columns: list[HeldColumn]
    purposes: list[str]
    retention_days: int | None


class PublicPurpose(Answer):
    purpose: str
    title: str
    consent: Literal["always", "notice", "opt_out", "opt_in"]
    says: str
    sold_or_shared: bool


class PublicQuery(Answer):
    query: str
    query_version: str
    says: str
    purpose: str
    cadence: str | None
    cost: Cost | None
    significant_decision: bool
    smallest_group: int | None


class SpentInMonth(Answer):
    month: str
    purpose: str
    answers: int
    amount: float
    delta: float


class PublicGrant(Answer):
    day: str
    grants: int
    amount: float


class PublicHead(Answer):
    seq: int
    hash: str
    signature: str


class PublicRecipient(Answer):
    who: str
    kind: Literal["service_provider", "contractor", "third_party"]
    categories: list[str]
    purposes: list[str]
    sold_or_shared: bool


class PublicDataset(Answer):
    dataset: str
    title: str
    description: str
    whose: str
    controller: str | None
    categories: list[HeldCategory]
    collected_from: list[str]
    disclosed_to: list[PublicRecipient]
    purposes: list[PublicPurpose]
    sold_or_shared: bool
    in_place: tuple[str, ...] = ()
    unit_of_privacy: str
    queries: list[PublicQuery]
    budget: dict[str, Any]
    spent: list[SpentInMonth]
    grants: list[PublicGrant]
    who_may_raise: str
    ledger_head: PublicHead


class Commitment(Answer):
    version: int
    text: str


class RequestsOfYear(Answer):
    year: int
    type: str
    received: str
    complied: str
    denied: str


class RequestTotals(Answer):
    says: str
    years: list[RequestsOfYear]


class Transparency(Answer):
    business: str
    contact: str | None
    acts_as: Literal["business", "service_provider"]
    disk_encryption: str | None
    notice_version: str
    software: str
    public_key: str
    datasets: list[PublicDataset]
    reidentification_commitment: Commitment
    requests: RequestTotals
    how_to_opt_out: str
    past_statistics: str


class GlobalPrivacyControl(Answer):
    gpc: Literal[True]
    lastUpdate: str  # noqa: N815 (the specification's name)


class Received(Answer):
    """A decision is kept. `nonce`: of an opt-in, what a confirmation takes; `receipt`: of a refusal, for its status."""

    event_id: str
    received_at: str
    nonce: str | None
    receipt: str | None


class ConsentReceived(Answer):
    items: list[Received]
    next: str | None


class SignalReceived(Answer):
    """What the signal refuses, by what it said alone."""

    received_at: str
    refused: list[str]
    receipt: str | None


class RefusalStatus(Answer):
    """`processed`: no new answer counts the person for what was refused."""

    receipt: str
    received_at: str
    state: Literal["received", "processed"]
    processed_at: str | None


class RightsRequest(Answer):
    """A request of a person about its own data. Dates are days in Los Angeles."""

    id: str
    type: Literal["know", "delete", "correct", "opt_out", "limit"]
    dataset: str
    state: str
    status: dict[str, str]
    received_at: str
    confirm_due: str | None
    respond_due: str
    extended: bool
    level: str
    next: str | None


class RightsStep(Answer):
    """`said`: what was noted of it, as how it was verified, or why it was denied; empty if nothing."""

    step: str
    at: str
    actor: str
    said: str


class RightsPackage(Answer):
    path: str
    expires_at: str


class RightsCorrection(Answer):
    """Since when a correction is put in place at every load, and when the source said the same."""

    since: str
    confirmed_at: str | None


class RightsRequestWhole(RightsRequest):
    """`package`: where the answer to a request to know is fetched, once; told when it is made, and never again."""

    steps: list[RightsStep]
    evidence: dict[str, Any]
    correction: RightsCorrection | None
    package: RightsPackage | None = None


class RightsRequests(Answer):
    items: list[RightsRequest]
    next: str | None


class RecipientTerms(Answer):
    version: int | None
    sha256: str | None
    text: str | None
    published_at: str | None
    published_by: str | None
    owed: bool


class TermsAccepted(Answer):
    token: str
    version: int
    sha256: str
    accepted_by: str
    accepted_at: str


class ConsentStanding(Answer):
    purpose: str
    decision: Literal["opt_in", "opt_out", "none"] | None
    may_ask: bool
    next_ask_not_before: str | None


class ConsentState(Answer):
    dataset: str
    purposes: list[ConsentStanding]
