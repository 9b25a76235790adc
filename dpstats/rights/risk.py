"""The facts of a risk assessment, from the files that gate the queries: what is held, what for, and how it is guarded.

They are what 11 CCR 7152(a)(1) to (3) and (6) ask for, as far as a deployment knows it. Why the benefits outweigh the
risks, whether to go on, and who approves is for people to write ((a)(4), (5), (7) to (9)): each stands here as a gap,
by name. Pure: it knows declarations and sums of the ledger, nothing of any row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from dpstats.catalog.canonical import canonical_json
from dpstats.catalog.dataset import DatasetFile
from dpstats.rights.notice import version_of

SAYS = (
    "Facts for a risk assessment (11 CCR 7152), from the files that decide which data are loaded and which questions "
    "may be asked. It is no assessment: what is under `for people to write` is missing, and counsel must review all."
)
SAFEGUARD = (
    "Differential privacy, one of the safeguards that 11 CCR 7152(a)(6)(A)(ii) gives as examples: whatever is released "
    "is noised, and adding or removing one unit with all its rows changes what can be told by at most the budget."
)
OTHER_SAFEGUARDS = (
    "A query is answered once a steward approved that very text; it names one purpose, which every column that it "
    "reads must allow.",
    "Who did not consent to a purpose, or said no, is left out with all rows before anything is bounded.",
    "Columns that are not declared are never loaded. What is past its retention, and who asked for it, is erased from "
    "every file, and kept out of later loads.",
    "Each charge is in a ledger that only grows, is chained by hashes and signed; no deletion or reload gives budget "
    "back.",
)
FOR_PEOPLE: Mapping[str, str] = {
    "7152(a)(4)": "the benefits of the processing",
    "7152(a)(5)": "the negative impacts on people's privacy, and their sources",
    "7152(a)(6)": "safeguards outside this deployment: access to its host, its backups, training",
    "7152(a)(7)": "whether the processing goes on",
    "7152(a)(8)": "who contributed, but for legal counsel",
    "7152(a)(9)": "who reviewed and approved it, and when",
}
"""What is not in the files, by where it is asked for."""
REVIEWED_EVERY = timedelta(days=3 * 365)
"""An assessment is looked over at least every three years (7155)."""
UPDATED_WITHIN = timedelta(days=45)
"""After a material change it is updated within 45 days (7155)."""
NOT_SAID = "not said in the file"


@dataclass(frozen=True)
class Revision:
    """A dataset's definition as it once stood; `dataset` None: its text cannot be read any more."""

    at: datetime
    dataset: DatasetFile | None


@dataclass(frozen=True)
class Facts:
    """What is known of one dataset. `told`: as the public report has it; `unread`: columns that no live query reads.

    `loads`: those that named the notice that their rows were collected under.
    """

    dataset: DatasetFile
    told: Mapping[str, Any]
    unread: Sequence[str]
    revisions: Sequence[Revision]
    loads: Sequence[Mapping[str, str]] = ()


def assessment_of(report: Mapping[str, Any], known: Sequence[Facts], seen: str, made_on: date) -> dict[str, Any]:
    """The facts of every dataset, in JSON's types; `version` is of what was declared, whatever was asked since.

    Args:
      seen: what the host shows of its disk's encryption.
    """
    datasets = [_dataset(facts) for facts in known]
    declared = {each["dataset"]: each["declared"] for each in datasets}
    return {
        "says": SAYS,
        "business": report["business"],
        "acts_as": report["acts_as"],
        "software": report["software"],
        "notice_version": report["notice_version"],
        "disk_encryption": {"said": report["disk_encryption"] or NOT_SAID, "seen": seen},
        "made_on": made_on.isoformat(),
        "review_by": (made_on + REVIEWED_EVERY).isoformat(),
        "version": version_of(declared),
        "datasets": datasets,
        "for_people_to_write": dict(FOR_PEOPLE),
    }


def _dataset(facts: Facts) -> dict[str, Any]:
    dataset, told = facts.dataset, facts.told
    return {
        "dataset": dataset.dataset,
        "title": told["title"],
        "declared": _declared(facts),
        "needed_because_7150(b)": list(_triggers(facts)),
        "safeguards": {
            "differential_privacy": {
                "says": SAFEGUARD,
                "unit": told["unit_of_privacy"],
                "budget_for_life": {key: told["budget"][key] for key in ("epsilon", "delta", "rho")},
                "epsilon_spent": told["budget"]["epsilon_spent"],
                "rows_of_a_unit_at_most": dataset.max_rows_per_unit,
                "least_noisy_count_of_a_found_group": dataset.min_units,
                "least_noisy_count_of_a_group_by_purpose": {
                    name: dataset.smallest_group_of(name) for name in sorted(dataset.purposes)
                },
                "answers_given_again_for_days": dataset.fresh_for.total_seconds() / 86400,
            },
            "others": list(OTHER_SAFEGUARDS),
        },
        "loads_under_notices": [dict(load) for load in facts.loads],
        "questions": [dict(query) for query in told["queries"]],
        "changes": list(_changes(facts)),
    }


def _declared(facts: Facts) -> dict[str, Any]:
    """What 7152(a)(1) to (3) ask for, as the file says it."""
    dataset, told = facts.dataset, facts.told
    columns = [
        f"{column['table']}.{column['column']}: {column['why'] or NOT_SAID}"
        for category in told["categories"]
        for column in category["columns"]
    ]
    return {
        "7152(a)(1) purposes": [f"{each['title']}: {each['says']}" for each in told["purposes"]],
        "7152(a)(1) contract": dataset.contract or None,
        "7152(a)(2) categories": [each["category"] for each in told["categories"]],
        "7152(a)(2) sensitive": sorted({name for each in told["categories"] for name in each["sensitive"]}),
        "7152(a)(2) what each column is needed for": columns,
        "7152(a)(2) read by no live query": list(facts.unread),
        "7152(a)(3) sources": list(dataset.collected_from) or NOT_SAID,
        "7152(a)(3) kept for days, by category": {
            each["category"]: each["retention_days"] or NOT_SAID for each in told["categories"]
        },
        "7152(a)(3) about how many people": dataset.people or NOT_SAID,
        "7152(a)(3) recipients": [dict(each) for each in told["disclosed_to"]] or NOT_SAID,
        "7152(a)(3) what people are told": "the notice at /privacy, the report at /transparency",
    }


def _triggers(facts: Facts) -> Iterator[str]:
    """What in the files calls for an assessment; other reasons are not seen from here."""
    for purpose in facts.told["purposes"]:
        if purpose["sold_or_shared"]:
            yield f"{purpose['title']} is selling or sharing"
    if any(category["sensitive"] for category in facts.told["categories"]):
        yield "sensitive personal information is processed"
    for query in facts.told["queries"]:
        if query["significant_decision"]:
            yield f"{query['query']} serves significant decisions"


def _changes(facts: Facts) -> Iterator[dict[str, Any]]:
    """Each change of what an assessment goes by, oldest first; every one is material until somebody says otherwise."""
    for earlier, later in zip(facts.revisions, facts.revisions[1:], strict=False):
        changed = _differences(earlier.dataset, later.dataset)
        if changed:
            yield _change(later.at.date(), changed)
    for grant in facts.told["grants"][1:]:  # the first one is the file's own
        yield _change(date.fromisoformat(grant["day"]), ["budget granted"])


def _change(day: date, what: Sequence[str]) -> dict[str, Any]:
    return {"on": day.isoformat(), "what": list(what), "update_by": (day + UPDATED_WITHIN).isoformat()}


def _differences(earlier: DatasetFile | None, later: DatasetFile | None) -> list[str]:
    if earlier is None or later is None:
        return ["a text that cannot be read any more"]
    before, now = _parts(earlier), _parts(later)
    return [name for name in now if before[name] != now[name]]


def _parts(dataset: DatasetFile) -> dict[str, bytes]:
    """What of a definition is compared, by what a change of it is called."""
    parts: dict[str, Any] = {
        "purposes": {
            name: [each.title, dataset.consent_of(name), each.kind, str(each.needs_consent_since)]
            for name, each in dataset.purposes.items()
        },
        "columns": {
            f"{table}.{name}": [str(column.type), column.category, str(column.sensitive), _days(column.retention)]
            for table, spec in dataset.personal_tables.items()
            for name, column in spec.columns.items()
        },
        "what columns may be used for": {
            f"{table}.{name}": sorted(dataset.allowed_purposes(table, name))
            for table, spec in dataset.personal_tables.items()
            for name in spec.columns
        },
        "budget": [dataset.budget.epsilon, dataset.budget.delta],
        "recipients": [[each.who, each.kind, each.categories, each.purposes] for each in dataset.disclosed_to],
        "sources": list(dataset.collected_from),
        "significant decisions": dataset.significant_decisions,
    }
    return {name: canonical_json(part) for name, part in parts.items()}


def _days(span: timedelta | None) -> int | None:
    return None if span is None else span.days
