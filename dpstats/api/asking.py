"""What requests may hold. A key that is not here is refused, so that a misspelt one is never silently ignored."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Body, Header, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from dpstats.catalog.text import forbidden_position
from dpstats.workspace.caps import NewCap

MOST = 1_000_000
MOST_PARAMETERS = 1000
"""Parameters that a request may give: far more than a query has."""


def _exact(value: object) -> object:
    """Numbers only, exactly as they were written: neither text nor true."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | Decimal)):
        raise ValueError("must be a number")
    return value


def _text(value: str) -> str:
    """Text that people will read: not blank, and nothing that a terminal or a page would not show as it is."""
    if not value.strip():
        raise ValueError("must not be blank")
    if forbidden_position(value) is not None:
        raise ValueError("must not hold control characters")
    return value


MOST_HEADERS = 20
"""Values of one header that a request may have."""


def _header(value: object) -> object:
    """A header as a browser sends it: its text, or a text for each of several."""
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in texts):
        raise ValueError('must be the header\'s text, "1" in quotes for instance, or a list of such texts')
    if len(texts) > MOST_HEADERS:
        raise ValueError(f"must have at most {MOST_HEADERS} texts")
    return value


Amount = Annotated[
    Decimal,
    BeforeValidator(_exact, json_schema_input_type=float),
    Field(gt=0, le=MOST, max_digits=40, decimal_places=30),
]
"""A privacy amount above 0: exact, and rounded down to steps of 1e-12 where it is granted."""


CapAmount = Annotated[
    Decimal,
    BeforeValidator(_exact, json_schema_input_type=float),
    Field(ge=0, le=MOST, max_digits=40, decimal_places=30),
]
"""A cap of at least 0, exact, and rounded down to steps of 1e-12."""


class _Asking(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GrantRequest(_Asking):
    """What is added to a budget's cap: rho or epsilon, and why."""

    model_config = ConfigDict(json_schema_extra={"example": {"epsilon": 1.0, "reason": "second quarter"}})

    rho: Amount | None = None
    epsilon: Amount | None = None
    reason: Annotated[StrictStr, Field(max_length=1000), AfterValidator(_text)]

    @model_validator(mode="after")
    def _one(self) -> GrantRequest:
        if (self.rho is None) == (self.epsilon is None):
            raise ValueError("give either rho or epsilon")
        return self


class CapRequest(_Asking):
    """What a role or a purpose may ever charge, as rho or epsilon, or the end of that; and why."""

    model_config = ConfigDict(json_schema_extra={"example": {"purpose": "measurement", "rho": 0.1, "reason": "half"}})

    role: Annotated[StrictStr, Field(max_length=100)] | None = None
    purpose: Annotated[StrictStr, Field(max_length=100)] | None = None
    rho: CapAmount | None = None
    epsilon: CapAmount | None = None
    end: StrictBool = False
    reason: Annotated[StrictStr, Field(max_length=1000), AfterValidator(_text)]

    @model_validator(mode="after")
    def _one(self) -> CapRequest:
        if (self.role is None) == (self.purpose is None):
            raise ValueError("give either role or purpose")
        if [self.rho is not None, self.epsilon is not None, self.end].count(True) != 1:
            raise ValueError("give rho, epsilon or end")
        return self

    @property
    def wanted(self) -> NewCap:
        """What the steward wants."""
        return NewCap(self.role, self.purpose, self.rho, self.epsilon, self.reason)


class WithdrawalRequest(_Asking):
    """Why a release may no longer be given to anybody."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "the source file was wrong"}})

    reason: Annotated[StrictStr, Field(max_length=1000), AfterValidator(_text)]


class FreezeRequest(_Asking):
    """Whether nobody may ask the dataset anything."""

    frozen: StrictBool


class PreviewRequest(_Asking):
    """A query's parameters by name: dates as YYYY-MM-DD, whole numbers, or a choice's text."""

    model_config = ConfigDict(json_schema_extra={"example": {"parameters": {"since": "2017-03-01"}}})

    parameters: Annotated[dict[str, Any], Field(max_length=MOST_PARAMETERS)] = {}


class RunRequest(PreviewRequest):
    """A query's parameters, and whether an earlier answer will do: "always" (free), or "never" (drawn anew, paid)."""

    reuse: Literal["always", "never"] = "always"


class FeaturesRequest(_Asking):
    """Which queries stand side by side, and parameters: each goes to every query that has it."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"queries": ["spend_by_income"], "parameters": {"since": "2017-03-01"}}}
    )

    queries: Annotated[list[StrictStr], Field(min_length=1, max_length=100)]
    parameters: Annotated[dict[str, Any], Field(max_length=MOST_PARAMETERS)] = {}


class ApproveRequest(_Asking):
    """The version that a steward reviewed."""

    version: Annotated[StrictStr, Field(pattern="^sha256:[0-9a-f]{64}$")]


def _person_id(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number or a text")
    return value


PersonId = Annotated[Any, BeforeValidator(_person_id, json_schema_input_type=int | str)]
"""An id of a person: whether anything is known of it is never told."""
Word = Annotated[StrictStr, Field(max_length=128)]


class ConsentEvent(_Asking):
    """One decision of one person. `observed_at`: when it was made, now if empty.

    `purpose`: one of the dataset's, or `all_sale_share`, `limit_spi` (which an `opt_in` of that name ends) or
    `known_minor`. `decision`: `opt_in`, `opt_out`, `withdraw`, or `confirm` of an opt-in, with that one's `event_id` in
    `confirms` and its `nonce`. `turns_16_on`: of `known_minor` with `opt_out`, the day from which it holds no more.
    `notice_version`, `notice_sha256`, `language`, `method`: what the person was shown, in
    which language, and how the decision was made.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "dataset": "complete_journey",
                "unit": 1,
                "purpose": "all_sale_share",
                "decision": "opt_out",
                "source": "form",
                "observed_at": "2026-01-31T12:00:00Z",
                "event_id": "0b6f1a4e",
            }
        }
    )

    dataset: Word
    unit: PersonId
    purpose: Word
    decision: Word
    event_id: Word
    source: Word = "api"
    observed_at: Word = ""
    confirms: Word = ""
    nonce: Word = ""
    turns_16_on: Word = ""
    notice_version: Word = ""
    notice_sha256: Word = ""
    language: Word = ""
    method: Word = ""


class ConsentAsked(_Asking):
    """Whose consent is looked up."""

    model_config = ConfigDict(json_schema_extra={"example": {"dataset": "complete_journey", "unit": 1}})

    dataset: Word
    unit: PersonId


class ConsentEvents(_Asking):
    """Decisions that are kept together, all or none."""

    events: Annotated[list[ConsentEvent], Field(min_length=1, max_length=1000)]


class ConsentSignal(_Asking):
    """What a person's browser or app said, and every id of the person that came with it.

    `gpc`: the value of the Sec-GPC header that the browser sent, or of each of several; only 1 is a signal. `gpp`: the
    Global Privacy Platform string.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"dataset": "complete_journey", "units": [1], "gpc": "1"}},
    )

    dataset: Word
    units: Annotated[list[PersonId], Field(min_length=1, max_length=100)]
    gpc: Annotated[StrictStr | Annotated[list[StrictStr], Field(max_length=MOST_HEADERS)], BeforeValidator(_header)] = (
        ""
    )
    gpp: StrictStr = ""
    observed_at: Word = ""
    event_id: Word = ""


def _how_many(body: object) -> str:
    """Which of the two a body means to be, so that what is wrong is told of that one."""
    return "(many)" if isinstance(body, ConsentEvents) or (isinstance(body, dict) and "events" in body) else "(one)"


class LedgerPage(_Asking):
    """Which entries of a ledger."""

    after: int = Field(0, ge=0, le=2**62, description="entries with a seq above this one")
    limit: int = Field(1000, ge=1, le=1000)


class ReleasePage(_Asking):
    """Which releases."""

    dataset: str | None = None
    query: str | None = None
    cursor: str | None = Field(None, max_length=200, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=1000)


ConsentBody = Annotated[
    Annotated[ConsentEvent, Tag("(one)")] | Annotated[ConsentEvents, Tag("(many)")], Discriminator(_how_many), Body()
]
PreviewBody = Annotated[PreviewRequest | None, Body()]
RunBody = Annotated[RunRequest | None, Body()]
LedgerQuery = Annotated[LedgerPage, Query()]
ReleaseQuery = Annotated[ReleasePage, Query()]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[!-~]{1,255}$",
        description="the same key with the same request gives the same release, and pays once",
    ),
]


class RightsOpening(_Asking):
    """What a person asks for: know, delete, correct, opt_out or limit. `agent`: who asks for the person, if another.

    `waive`: a third request to know within 12 months is answered all the same, and not denied at once.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"type": "delete", "dataset": "complete_journey", "unit": 1}}
    )

    type: Word
    dataset: Word
    unit: PersonId
    agent: Annotated[StrictStr, Field(max_length=1000)] = ""
    permission: Annotated[StrictStr, Field(max_length=1000)] = ""
    waive: StrictBool = False


class TermsAcceptance(_Asking):
    """Which version of the recipients' terms is accepted: the one in force."""

    model_config = ConfigDict(json_schema_extra={"example": {"version": 1}})

    version: StrictInt = Field(ge=1, le=2**31 - 1)


class Verification(_Asking):
    """How sure the caller is of who asks: none, reasonable or reasonably_high; and how it was found out."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"level": "reasonably_high", "method": "signed declaration"}}
    )

    level: Word
    method: Annotated[StrictStr, Field(max_length=1000), AfterValidator(_text)]


class Correction(_Asking):
    """What is true instead: in the person's rows of `table` in which every column of `where` has its value.

    `where` may be left out where a table has one row of a person.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"table": "households", "set": {"income": "50-74K"}, "where": {}}}
    )

    table: Word
    set: Annotated[dict[Word, Any], Field(min_length=1, max_length=MOST_PARAMETERS)]
    where: Annotated[dict[Word, Any], Field(max_length=MOST_PARAMETERS)] = {}


class RightsExecution(_Asking):
    """Of a request to correct, what is true instead; of one to delete, what is kept of it, and by which exception.

    That is columns (`table.column`), of which the person's cells are kept sealed, or what other systems keep, in words.

    Of one to know, the columns (`table.column`) that are not told, and by which exception.

    Nothing of any other request, or of one that was begun before.
    """

    correction: Correction | None = None
    exceptions: Annotated[
        dict[Annotated[StrictStr, Field(max_length=128), AfterValidator(_text)], Word], Field(max_length=100)
    ] = {}


class RightsReason(_Asking):
    """Why: of a denial a word of the list (no_match, not_covered ..) or a sentence, as the person was told."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "no_match"}})

    reason: Annotated[StrictStr, Field(max_length=1000), AfterValidator(_text)]
