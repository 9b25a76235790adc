"""The privacy notice: what is collected, what for, for how long, and what people can do. Made from the dataset files.

The same files say which columns are loaded and which queries may read them, so notice and service cannot drift apart:
a change of a file that the notice tells of is another `version`, and `dpstats notice check` fails until it is built
again. Pure: it knows declarations alone, nothing of any row.

What it must hold: 1798.100(a), 1798.130(a)(5); 11 CCR 7011(e), 7012(e). It is a template that a lawyer must review:
which duties a business has is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dpstats.catalog.acting import ActsAs
from dpstats.catalog.dataset import Column, DatasetFile
from dpstats.catalog.disclosed import Disclosure
from dpstats.catalog.purposes import CATEGORIES, SALE_OR_SHARING, SENSITIVE, Purpose, kind_of
from dpstats.ledger.chain import canonical_json, sha256

COMMITMENT = (
    "We keep and use statistics in the form in which they were released, and do not attempt to learn from them about "
    "any person; whoever receives them is bound to the same. Testing whether our own protection works is the exception."
)
COMMITMENT_VERSION = 1
FOOTER = (
    "Made by dpstats from the files that decide which data are loaded and which questions may be asked. A template, "
    "not legal advice: counsel must review it. Sections are of the California Civil Code and of title 11 of the "
    "California Code of Regulations (CCR), as in force in 2026."
)
UNNAMED = "This business"
CATEGORY_UNSAID = "unsaid"
"""Stands for columns whose category their file does not say yet."""

CONSENT_IN_WORDS: Mapping[str, str] = {
    "always": "needed to run the service",
    "notice": "used as this notice says",
    "opt_out": "used unless you say no",
    "opt_in": "used only if you say yes",
}

RIGHTS: tuple[Mapping[str, str], ...] = (
    {"right": "know", "section": "1798.110", "says": "You can ask which data about you we hold, and get a copy."},
    {"right": "delete", "section": "1798.105", "says": "You can ask us to erase the data about you."},
    {"right": "correct", "section": "1798.106", "says": "You can ask us to correct what is wrong."},
    {"right": "opt out", "section": "1798.120", "says": "You can say no to the sale and sharing of your data."},
    {"right": "limit", "section": "1798.121", "says": "You can limit the use of sensitive data about you."},
    {"right": "equal service", "section": "1798.125", "says": "You are not treated worse for using these rights."},
)
PAST_STATISTICS = (
    "Statistics that were released before stay as they are: they are about groups, and no longer change when one "
    "person's data do. Everything released afterwards leaves out what was erased or refused."
)
SIGNALS = (
    "A browser's Global Privacy Control signal counts as saying no to sale and sharing, for the browser and for the "
    "person behind it where we know who it is. That the signal is missing later does not take the no back."
)


@dataclass(frozen=True)
class Business:
    """Who speaks in the notice, where requests go, for whom the data are held, and how the disk is encrypted.

    Empty: not said yet.
    """

    name: str = ""
    contact: str = ""
    acts_as: ActsAs = "business"
    disk_encryption: str = ""


NOBODY_NAMED = Business()


def notice_of(business: Business, datasets: Sequence[DatasetFile]) -> dict[str, Any]:
    """The notice's content, in JSON's types, with the `version` that its content has."""
    content: dict[str, Any] = {
        "business": business.name or UNNAMED,
        "contact": business.contact or None,
        "acts_as": business.acts_as,
        "datasets": [_dataset(dataset) for dataset in sorted(datasets, key=lambda each: each.dataset)],
        "rights": [dict(right) for right in RIGHTS],
        "past_statistics": PAST_STATISTICS,
        "signals": SIGNALS,
        "reidentification_commitment": {"version": COMMITMENT_VERSION, "text": COMMITMENT},
        "footer": FOOTER,
    }
    return content | {"version": version_of(content)}


def version_of(content: Mapping[str, Any]) -> str:
    """The content's own name: the SHA-256 of its canonical JSON."""
    return sha256(canonical_json({key: value for key, value in content.items() if key != "version"}))


def _dataset(dataset: DatasetFile) -> dict[str, Any]:
    columns = tuple(_personal_columns(dataset))
    purposes = [_purpose(dataset, name) for name in dataset.purposes]
    return {
        "dataset": dataset.dataset,
        "title": dataset.title or dataset.dataset,
        "description": dataset.description,
        "whose": dataset.privacy_unit,
        "categories": [
            _category(dataset, name, columns) for name in (*CATEGORIES, CATEGORY_UNSAID) if _of(name, columns)
        ],
        "purposes": purposes,
        "controller": dataset.controller or None,
        "collected_from": list(dataset.collected_from),
        "disclosed_to": [_recipient(dataset, each) for each in dataset.disclosed_to],
        "sold_or_shared": any(purpose["sold_or_shared"] for purpose in purposes),
        # Only where there are some: a notice of before keeps its version.
        **({"in_place": list(dataset.tables_in_place)} if dataset.tables_in_place else {}),
    }


def read_in_place(dataset: Mapping[str, Any]) -> str:
    """Which tables of a dataset of the notice stay at their owners, as a sentence; empty if none does."""
    tables = ", ".join(name.replace("_", " ") for name in dataset.get("in_place", ()))
    return tables and f"Read in place at their owners, of which we keep no copy: {tables}."


def _recipient(dataset: DatasetFile, recipient: Disclosure) -> dict[str, Any]:
    """A category of recipients: what they get, for what, and whether it is sold or shared or disclosed for a purpose.

    Only a third party can be sold to: a service provider or contractor is bound to the business's purposes.
    """
    held = [name for name in CATEGORIES if _of(name, tuple(_personal_columns(dataset)))]
    sold = any(kind_of(name, dataset.purposes[name]) in SALE_OR_SHARING for name in recipient.purposes)
    return {
        "who": recipient.who,
        "kind": recipient.kind,
        "categories": [name.replace("_", " ") for name in recipient.categories or held],
        "purposes": [dataset.purposes[name].title or name for name in recipient.purposes],
        "sold_or_shared": sold and recipient.kind == "third_party",
    }


def _personal_columns(dataset: DatasetFile) -> Iterator[tuple[str, str, Column]]:
    for table, spec in dataset.personal_tables.items():
        for column, declared in spec.columns.items():
            yield table, column, declared


def _of(category: str, columns: Sequence[tuple[str, str, Column]]) -> list[tuple[str, str, Column]]:
    return [each for each in columns if (each[2].category or CATEGORY_UNSAID) == category]


def _category(dataset: DatasetFile, name: str, columns: Sequence[tuple[str, str, Column]]) -> dict[str, Any]:
    """One category of the statute: what of it is held, why, for what, and for how long."""
    held = _of(name, columns)
    lives = [column.retention for _, _, column in held]
    return {
        "category": name.replace("_", " "),
        "section": CATEGORIES.get(name),
        "sensitive": sorted({_sensitivity(column) for _, _, column in held if column.sensitive}),
        "columns": [
            {"table": table, "column": column, "why": declared.why, "never_disclosed": declared.never_disclose}
            for table, column, declared in held
        ],
        "purposes": sorted({use for table, column, _ in held for use in dataset.allowed_purposes(table, column)}),
        "retention_days": None if None in lives else max(life.days for life in lives if life is not None),
    }


def _sensitivity(column: Column) -> str:
    named = isinstance(column.sensitive, str) and column.sensitive in SENSITIVE
    return str(column.sensitive).replace("_", " ") if named else "treated as sensitive by us"


def _of_older_data(purpose: Purpose) -> str:
    """What holds for data that are older than the purpose; nothing where none are."""
    if purpose.needs_consent_since == "compatible":
        return "; this use is newer than some of the data, and of the kind that they were collected for"
    began = purpose.began
    return "" if began is None else f"; data from before {began} only if you said yes on that day or later"


def _purpose(dataset: DatasetFile, name: str) -> dict[str, Any]:
    purpose = dataset.purposes[name]
    consent = dataset.consent_of(name)
    return {
        "purpose": name,
        "title": purpose.title or name,
        "consent": consent,
        "says": CONSENT_IN_WORDS[consent] + _of_older_data(purpose),
        "sold_or_shared": kind_of(name, purpose) in SALE_OR_SHARING,
    }
