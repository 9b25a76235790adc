"""Purposes, the consent that they need, and the statute's names for what a column holds.

Closed lists: what is not on them is refused. The sections are of the Cal. Civ. Code (the CCPA as amended by the CPRA)
and of title 11 of the California Code of Regulations. Where a default is stricter than the law, it is the product's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from dpstats.catalog.fields import FileModel, Line, between
from dpstats.catalog.text import quoted
from dpstats.catalog.types import parse_date

Consent = Literal["always", "notice", "opt_out", "opt_in"]
Kind = Literal[
    "service",
    "security",
    "first_party_analytics",
    "personalization_aggregate",
    "contextual_ads",
    "cross_context_ads",
    "sale",
    "research",
]

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "identifiers": "1798.140(v)(1)(A)",
        "customer_records": "1798.140(v)(1)(B)",
        "protected_classification": "1798.140(v)(1)(C)",
        "commercial_information": "1798.140(v)(1)(D)",
        "biometric_information": "1798.140(v)(1)(E)",
        "internet_activity": "1798.140(v)(1)(F)",
        "geolocation_data": "1798.140(v)(1)(G)",
        "sensory_information": "1798.140(v)(1)(H)",
        "employment_information": "1798.140(v)(1)(I)",
        "education_information": "1798.140(v)(1)(J)",
        "inferences": "1798.140(v)(1)(K)",
        "sensitive": "1798.140(v)(1)(L)",
    }
)
"""The categories of personal information, and where the statute names them."""

SENSITIVE: Mapping[str, str] = MappingProxyType(
    {
        "government_id": "1798.140(ae)(1)(A)",
        "account_access": "1798.140(ae)(1)(B)",
        "precise_geolocation": "1798.140(ae)(1)(C)",
        "race_or_ethnicity": "1798.140(ae)(1)(D)",
        "citizenship_or_immigration": "1798.140(ae)(1)(D)",
        "religion_or_philosophy": "1798.140(ae)(1)(D)",
        "union_membership": "1798.140(ae)(1)(D)",
        "message_contents": "1798.140(ae)(1)(E)",
        "genetic": "1798.140(ae)(1)(F)",
        "neural": "1798.140(ae)(1)(G)",
        "biometric_id": "1798.140(ae)(2)(A)",
        "health": "1798.140(ae)(2)(B)",
        "sex_life_or_orientation": "1798.140(ae)(2)(C)",
        "known_child": "11 CCR 7001(bbb)",
    }
)
"""The categories of sensitive personal information, and where they are named."""

GENERIC = frozenset(
    {
        "analytics",
        "business",
        "business purpose",
        "business purposes",
        "improve our services",
        "improve services",
        "improving our services",
        "improving services",
        "n/a",
        "other",
        "various",
        "various purposes",
    }
)
"""What says nothing: a purpose must be specific (11 CCR 7002)."""

SALE_OR_SHARING: frozenset[Kind] = frozenset({"cross_context_ads", "sale"})
"""What a refusal of all sale and sharing reaches."""
_DEFAULTS: Mapping[Kind, Consent] = MappingProxyType(
    {
        "service": "always",
        "security": "always",
        "personalization_aggregate": "opt_in",
        "cross_context_ads": "opt_out",
        "sale": "opt_out",
    }
)

SmallestGroup = Annotated[int, between(1, 1_000_000)]
"""The least noisy count of units at which a group's numbers are told."""

Compatible = Literal["compatible"]


def _since(raw: object) -> object:
    if raw == "compatible":
        return raw
    try:
        return parse_date(raw)
    except ValueError as error:
        raise ValueError("must be the day on which the use began, like 2026-03-01, or compatible") from error


Since = Annotated[date | Compatible, BeforeValidator(_since)]
"""From which day on people's data are collected for a use, or that they could expect it before that, too."""


class Purpose(FileModel):
    """What data may be used for. What it does not say is worked out by `kind_of` and `consent_needed`.

    `basis_7027m`: which of the eight uses of 11 CCR 7027(m) it is, for which sensitive personal information may be
    used whatever a person's wish to limit it. `smallest_group`: see `DatasetFile`; for this purpose alone.
    `max_keys`: by how many keys, and columns that they are made of, a query for it may group people at most; None: by
    as many as it likes.
    `needs_consent_since`: the day from which on people knew of the use when their data were collected. A row from
    before it, or of no known day, is used only if its person opted in to this purpose on that day or later, whatever
    consent the use needs otherwise (11 CCR 7002(e)). `compatible`: the steward's word that the use is one that people
    could expect of older data too (7002(b), (c)). None: the data were collected for it from the first.
    """

    title: Line = ""
    consent: Consent | None = None
    kind: Kind | None = None
    basis_7027m: Annotated[int, between(1, 8)] | None = None
    smallest_group: SmallestGroup | None = None
    max_keys: Annotated[int, between(0, 100)] | None = None
    needs_consent_since: Since | None = None

    @property
    def began(self) -> date | None:
        """The day before which data need their person's opt-in of that day or later; None: there is no such day."""
        return self.needs_consent_since if isinstance(self.needs_consent_since, date) else None


def kind_of(name: str, purpose: Purpose) -> Kind:
    """What kind of use a purpose is: as it says, else by its name, else by its consent.

    One that says nothing but that it needs consent counts as advertising across contexts, so that every refusal of sale
    and sharing reaches it.
    """
    if purpose.kind is not None:
        return purpose.kind
    if name == "personalization" or name.startswith("personalization_"):
        return "personalization_aggregate"
    return "cross_context_ads" if purpose.consent in {"opt_out", "opt_in"} else "first_party_analytics"


def consent_needed(name: str, purpose: Purpose, *, sensitive: bool = False) -> Consent:
    """The consent that a use needs: as the purpose says, else by its kind.

    Args:
      sensitive: whether it reads a sensitive column: then it is opt-in unless the purpose says otherwise. So it is for
        personalization. The law asks for less; this is the product's default.
    """
    if purpose.consent is not None:
        return purpose.consent
    return "opt_in" if sensitive else _DEFAULTS.get(kind_of(name, purpose), "notice")


def _category(name: str) -> str:
    if name not in CATEGORIES:
        raise ValueError(f"must be one of the statute's categories ({', '.join(CATEGORIES)}), not {quoted(name)}")
    return name


def _sensitivity(raw: object) -> object:
    if isinstance(raw, bool) or (isinstance(raw, str) and raw in SENSITIVE):
        return raw
    raise ValueError(f"must be true, false or one of {', '.join(SENSITIVE)}, not {quoted(raw)}")


def _specific(why: str) -> str:
    if why.strip(" .").casefold() in GENERIC:
        raise ValueError(f"{quoted(why)} says nothing: say what this column is needed for")
    return why


Category = Annotated[str, AfterValidator(_category)]
Sensitivity = Annotated[bool | str, BeforeValidator(_sensitivity)]
"""False, true (people mind it), or the statute's category of sensitive personal information."""
Specific = AfterValidator(_specific)
