"""The facts of a risk assessment: from the files, with every gap named, and each change of them told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from test_notice import CLINIC, clinic

from dpstats.catalog.dataset import DatasetFile
from dpstats.rights.notice import NOBODY_NAMED, notice_of
from dpstats.rights.risk import FOR_PEOPLE, Facts, Revision, assessment_of
from dpstats.rights.risk_text import markdown

MAY_USE = "what columns may be used for"
TODAY = date(2026, 11, 26)
RECIPIENT = "disclosed_to: [{who: advertising networks, kind: third_party, purposes: [ads]}]\n"


def assessed(dataset: DatasetFile, *earlier: str, grants: int = 1) -> dict[str, Any]:
    notice = notice_of(NOBODY_NAMED, [dataset])
    query = {"query": "wards", "says": "Visits by ward.", "purpose": "care", "significant_decision": False}
    told = notice["datasets"][0] | {
        "unit_of_privacy": "one patient",
        "budget": {"epsilon": 1.0, "delta": 1e-6, "rho": 0.1, "epsilon_spent": 0.25},
        "queries": [query],
        "grants": [{"day": f"2026-0{month}-01"} for month in range(1, grants + 1)],
    }
    report = {"business": "A clinic", "acts_as": "business", "software": "dpstats", "notice_version": notice["version"]}
    report |= {"disk_encryption": None}
    revisions = [
        Revision(datetime(2026, 1, place, tzinfo=UTC), clinic(text) if text else None)
        for place, text in enumerate([*earlier], start=1)
    ]
    return assessment_of(report, [Facts(dataset, told, ["visits.note"], revisions)], "nothing is seen", TODAY)


def test_what_is_declared_is_told_and_what_is_not_is_named() -> None:
    (told,) = assessed(clinic())["datasets"]
    declared = told["declared"]
    assert declared["7152(a)(2) categories"] == ["identifiers", "sensitive", "unsaid"]
    assert declared["7152(a)(2) sensitive"] == ["health"]
    assert "visits.illness: Finds the right ward." in declared["7152(a)(2) what each column is needed for"]
    assert declared["7152(a)(2) read by no live query"] == ["visits.note"]
    for unsaid in ("sources", "recipients", "about how many people"):
        assert declared[f"7152(a)(3) {unsaid}"] == "not said in the file"
    text = clinic(CLINIC.replace("tables:", f"people: about 3,000\ncollected_from: [patients]\n{RECIPIENT}tables:", 1))
    declared = assessed(text)["datasets"][0]["declared"]
    assert declared["7152(a)(3) about how many people"] == "about 3,000"
    assert declared["7152(a)(3) sources"] == ["patients"]
    assert declared["7152(a)(3) recipients"][0]["sold_or_shared"]


def test_what_calls_for_an_assessment_is_seen_in_the_files() -> None:
    (told,) = assessed(clinic())["datasets"]
    assert told["needed_because_7150(b)"] == [
        "Adverts <b>elsewhere</b> is selling or sharing",
        "sensitive personal information is processed",
    ]


@pytest.mark.parametrize(
    ("said", "instead", "changed"),
    [
        ("consent: opt_out", "consent: opt_in", ["purposes"]),
        ("note: {type: varchar}", "note: {type: varchar}\n      more: {type: varchar}", ["columns", MAY_USE]),
        ("purposes: [care, ads], why", "purposes: [care], why", [MAY_USE]),
        ("epsilon: 1,", "epsilon: 2,", ["budget"]),
        ("tables:", f"{RECIPIENT}tables:", ["recipients"]),
        ("tables:", "collected_from: [patients]\ntables:", ["sources"]),
        ("tables:", "significant_decisions: allowed\ntables:", ["significant decisions"]),
        ("retention: 90d", "retention: 30d", ["columns"]),
        ("why: Bills.", "why: Bills the insurer.", []),
    ],
)
def test_a_change_of_what_it_goes_by_is_told_with_the_day_by_which_to_update(
    said: str, instead: str, changed: list[str]
) -> None:
    later = CLINIC.replace(said, instead, 1)
    (told,) = assessed(clinic(later), CLINIC, later)["datasets"]
    expected = [{"on": "2026-01-02", "what": changed, "update_by": "2026-02-16"}] if changed else []
    assert told["changes"] == expected


def test_a_raise_and_a_text_that_cannot_be_read_any_more_are_changes_too() -> None:
    (told,) = assessed(clinic(), "", CLINIC, grants=2)["datasets"]
    assert [each["what"] for each in told["changes"]] == [["a text that cannot be read any more"], ["budget granted"]]
    assert [each["on"] for each in told["changes"]] == ["2026-01-02", "2026-02-01"]


def test_its_version_is_of_what_is_declared_alone() -> None:
    assert assessed(clinic())["version"] == assessed(clinic(), CLINIC, CLINIC, grants=3)["version"]
    assert assessed(clinic())["version"] != assessed(clinic(CLINIC.replace("90d", "91d")))["version"]


def test_it_writes_no_balance_and_no_approval() -> None:
    text = markdown(assessed(clinic(), CLINIC, CLINIC.replace("90d", "91d")))
    for section, what in FOR_PEOPLE.items():
        assert f"**{section}**: {what}" in text
    assert "7152(a)(6)(A)(ii)" in text
    assert "To be looked over by 2029-11-25" in text
    assert "Encryption of the disk: not said in the file; nothing is seen." in text
    assert "<b>" not in text
