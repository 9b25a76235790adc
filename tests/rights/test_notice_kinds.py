"""The notice at collection and the policy's part; the record for the registry; requests by year; a notice's age."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from test_notice import CLINIC, clinic

from dpstats.errors import FileError
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.notice import NOBODY_NAMED, notice_of
from dpstats.rights.notice_kinds import NOT_KNOWN, collection_of, policy_of
from dpstats.rights.notice_text import markdown
from dpstats.rights.notices_built import EXPIRED_AFTER, WARNED_AFTER, NoticesBuilt
from dpstats.rights.requests import Denial, Denied, Fulfilled, Kind, RightsRequest, Started, after, received
from dpstats.rights.totals import rounded, totals

NOTICE = notice_of(NOBODY_NAMED, [clinic()])
TODAY = date(2026, 11, 26)


def test_each_kind_has_a_version_of_its_own_that_is_of_its_content() -> None:
    kinds = [NOTICE, collection_of(NOTICE), policy_of(NOTICE)]
    assert len({each["version"] for each in kinds}) == 3
    assert all(each["version"] in markdown(each, TODAY) for each in kinds)
    assert collection_of(notice_of(NOBODY_NAMED, [clinic()])) == collection_of(NOTICE)


def test_the_notice_at_collection_says_what_it_must() -> None:
    text = markdown(collection_of(NOTICE), TODAY)
    assert text.startswith("# Notice at collection")
    for told in ("1798.140(v)(1)(A)", "kept for at most 90 days", "selling or sharing", "/opt-out", "/privacy"):
        assert told in text


def test_the_policy_has_a_key_for_each_item_and_says_what_is_not_known() -> None:
    items = policy_of(NOTICE)["items"]
    for letter in "ABCDEFGHIJK":
        assert any(item.startswith(f"7011(e)(1)({letter})") for item in items), letter
    assert items["7011(e)(1)(B) sources"] == NOT_KNOWN
    assert items["7011(e)(1)(D) categories sold or shared"] == ["identifiers"]
    assert items["7011(e)(1)(F) purposes of selling or sharing"] == ["Adverts <b>elsewhere</b>"]
    assert items["7011(e)(1)(K) sensitive categories used"] == ["sensitive"]
    assert "<b>" not in markdown(policy_of(NOTICE), TODAY)


DISCLOSED = """
collected_from: [patients themselves, "insurers & brokers"]
disclosed_to:
  - {who: advertising networks, kind: third_party, categories: [identifiers], purposes: [ads]}
  - {who: hosting providers, kind: service_provider, purposes: [care, ads]}
tables:"""


def test_what_the_file_says_of_sources_and_recipients_fills_the_items_in() -> None:
    notice = notice_of(NOBODY_NAMED, [clinic(CLINIC.replace("tables:", DISCLOSED.strip(), 1))])
    items = policy_of(notice)["items"]
    assert items["7011(e)(1)(B) sources"] == ["insurers & brokers", "patients themselves"]
    assert items["7011(e)(1)(E) to whom each is sold or shared"] == ["identifiers: advertising networks"]
    assert items["7011(e)(1)(H) categories disclosed for a business purpose"] == ["identifiers", "sensitive"]
    assert items["7011(e)(1)(I) to whom each is disclosed"] == [
        "identifiers: hosting providers",
        "sensitive: hosting providers",
    ]
    assert items["7011(e)(1)(J) purposes of disclosing"] == ["Adverts <b>elsewhere</b>", "Care"]
    text = markdown(notice, TODAY)
    assert "It comes from: patients themselves, insurers &amp; brokers." in text
    assert "advertising networks (a third party): identifiers, sold or shared for" in text
    assert "hosting providers (a service provider): identifiers, sensitive, disclosed for" in text
    assert notice["version"] != NOTICE["version"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("disclosed_to: [{who: x, kind: friend, purposes: [care]}]", "kind"),
        ("disclosed_to: [{who: x, kind: contractor, purposes: [sport]}]", "no purpose sport"),
        ("disclosed_to: [{who: '', kind: contractor, purposes: [care]}]", "empty"),
        ("disclosed_to: [{who: x, kind: contractor, purposes: [care], categories: [gossip]}]", "categories"),
        ("collected_from: ['']", "empty"),
        ("contract: business purposes", "says nothing"),
    ],
)
def test_what_is_wrong_with_it_is_told(wrong: str, told: str) -> None:
    with pytest.raises(FileError, match=told):
        clinic(CLINIC.replace("tables:", f"{wrong}\ntables:", 1))


def test_a_built_notice_is_warned_of_at_11_months_and_expires_at_12(tmp_path: Path) -> None:
    database = ConsentDatabase(tmp_path / "consent.db")
    built, now = NoticesBuilt(database), datetime(2026, 1, 1, tzinfo=UTC)
    assert built.overdue("v1", now) == ""
    built.note("v1", now)
    assert built.overdue("v1", now + WARNED_AFTER - timedelta(seconds=1)) == ""
    assert "expires on 2027-01-01" in built.overdue("v1", now + WARNED_AFTER)
    assert "expired" in built.overdue("v1", now + EXPIRED_AFTER)
    assert "does not tell what the files say now" in built.overdue("v2", now)
    built.note("v2", now + EXPIRED_AFTER)
    assert built.overdue("v2", now + EXPIRED_AFTER) == ""
    database.close()


def closed(kind: Kind, at: datetime, days: int, *, denied: bool = False) -> RightsRequest:
    request = received(kind, at)
    if denied:
        return after(request, Denied(Denial.NO_MATCH, "no match"), at + timedelta(days=days))
    return after(after(request, Started(), at), Fulfilled({}), at + timedelta(days=days))


def test_requests_are_counted_by_year_and_kind() -> None:
    new_year = datetime(2026, 1, 1, 7, 59, tzinfo=UTC)  # still 2025 in Los Angeles
    requests = [
        closed(Kind.OPT_OUT, new_year, 1),
        closed(Kind.OPT_OUT, new_year, 4),
        closed(Kind.OPT_OUT, new_year, 9, denied=True),
        received(Kind.OPT_OUT, new_year),
        closed(Kind.LIMIT, new_year + timedelta(minutes=1), 2),
    ]
    first, second = totals(requests)
    assert (first.year, first.kind, first.received, first.complied, first.denied) == (2025, Kind.OPT_OUT, 4, 2, 1)
    assert first.median_days == 4.0
    assert (second.year, second.kind, second.received) == (2026, Kind.LIMIT, 1)


def test_the_public_is_told_an_order_of_magnitude() -> None:
    assert [rounded(count) for count in (0, 1, 9, 10, 99, 100, 12_345)] == [
        "none",
        "fewer than 10",
        "fewer than 10",
        "10 to 99",
        "10 to 99",
        "100 to 999",
        "10,000 or more",
    ]
