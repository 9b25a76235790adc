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
    Field,
    StrictBool,
    StrictStr,
    model_validator,
)

from dpstats.catalog.text import forbidden_position

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


Amount = Annotated[
    Decimal,
    BeforeValidator(_exact, json_schema_input_type=float),
    Field(gt=0, le=MOST, max_digits=40, decimal_places=30),
]
"""A privacy amount above 0: exact, and rounded down to steps of 1e-12 where it is granted."""


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
