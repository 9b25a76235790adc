"""Whether a person may be asked: not for 12 months after a refusal, and nothing more than that to a collector."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_town import ME, Town, opened

from dpstats.rights.asking_again import a_year_after

ASKING = """
  measurement: {title: Sales, consent: notice}
  ads: {title: Advertising, consent: opt_out, kind: cross_context_ads}
  segments: {title: Segments, consent: opt_in, kind: personalization_aggregate}
"""


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, town_home: Path, town_files: Path) -> Iterator[Town]:
    """A town of which some purposes ask for consent."""
    home = Path(shutil.copytree(town_home, tmp_path_factory.mktemp("asking") / "home"))
    with opened(home, town_files) as town:
        text = (town_files / "town.yaml").read_text().replace("tables:", f"links: true\npurposes:{ASKING}tables:", 1)
        file = home / "town.yaml"
        file.write_text(text)
        (home / "links.csv").write_text("id,unit\n5101,101\n5102,101\n5103,5102\n")
        tables = {name: town_files / f"{name}.csv" for name in ("sales", "homes", "shops")}
        town.workspace.datasets.add(ME, file, tables | {"links": home / "links.csv"})
        yield town


def send(town: Town, unit: int, purpose: str, decision: str, at: datetime, **more: str) -> None:
    event = {"dataset": "town", "unit": unit, "purpose": purpose, "decision": decision, "observed_at": at.isoformat()}
    event |= {"event_id": f"{unit} {purpose} {decision} {at}"} | more
    answer = town.ask("POST", "/v1/consent/events", role="collector", json=event)
    assert answer.status_code == 202, answer.text


def state(town: Town, unit: int, role: str = "steward") -> dict[str, dict[str, Any]]:
    answer = town.ask("POST", "/v1/consent/state", role=role, json={"dataset": "town", "unit": unit})
    assert answer.status_code == 200, answer.text
    return {item.pop("purpose"): item for item in answer.json()["purposes"]}


NOBODY = {"decision": "none", "may_ask": True, "next_ask_not_before": None}


def test_one_who_decided_nothing_and_one_who_is_not_there_are_told_alike(asking: Town) -> None:
    assert state(asking, 1) == state(asking, 999_999_999)
    assert state(asking, 1) == dict.fromkeys(("ads", "segments", "all_sale_share", "limit_spi"), NOBODY)


def test_after_a_refusal_nobody_asks_for_a_year(asking: Town) -> None:
    now = datetime.now(UTC)
    send(asking, 2, "all_sale_share", "opt_out", now - timedelta(days=30))
    found = state(asking, 2)
    again = a_year_after(now - timedelta(days=30))
    for purpose in ("ads", "all_sale_share"):
        assert found[purpose]["decision"] == "opt_out"
        assert not found[purpose]["may_ask"]
        assert found[purpose]["next_ask_not_before"][:10] == f"{again:%Y-%m-%d}"
    assert found["segments"] == NOBODY
    send(asking, 3, "segments", "opt_out", now - timedelta(days=400))
    assert state(asking, 3)["segments"] == {"decision": "opt_out", "may_ask": True, "next_ask_not_before": None}


def test_a_persons_own_opt_in_is_kept_at_any_time_and_may_be_asked_about(asking: Town) -> None:
    now = datetime.now(UTC)
    send(asking, 4, "segments", "opt_out", now - timedelta(days=30))
    event = {"dataset": "town", "unit": 4, "purpose": "segments", "decision": "opt_in", "event_id": "own"}
    nonce = asking.ask("POST", "/v1/consent/events", role="collector", json=event).json()["items"][0]["nonce"]
    assert state(asking, 4)["segments"]["decision"] == "opt_out"
    send(asking, 4, "segments", "confirm", datetime.now(UTC), confirms="own", nonce=nonce)
    assert state(asking, 4)["segments"] == {"decision": "opt_in", "may_ask": True, "next_ask_not_before": None}


def test_a_collector_is_told_whether_to_ask_and_not_what_was_decided(asking: Town) -> None:
    send(asking, 5, "segments", "opt_in", datetime.now(UTC))
    assert state(asking, 5, "collector")["segments"] == state(asking, 6, "collector")["segments"]
    assert {item["decision"] for item in state(asking, 5, "collector").values()} == {None}
    for role in ("analyst", "job"):
        body = {"dataset": "town", "unit": 5}
        assert asking.ask("POST", "/v1/consent/state", role=role, json=body).status_code == 403


def test_a_steward_sees_the_decisions_of_linked_ids_and_a_collector_no_link(asking: Town) -> None:
    send(asking, 5103, "all_sale_share", "opt_out", datetime.now(UTC) - timedelta(days=30))
    for linked in (101, 5101, 5102, 5103):
        assert state(asking, linked)["all_sale_share"]["decision"] == "opt_out"
        assert state(asking, linked, "collector")["ads"]["may_ask"] == (linked != 5103)
    for other in (102, 5104):
        assert state(asking, other, "collector")["ads"]["may_ask"]
    told = asking.ask("GET", "/openapi.json").json()["paths"]["/v1/consent/state"]["post"]["description"]
    assert "for a steward also by" in told


@pytest.mark.parametrize(
    "body", [{"dataset": "town"}, {"dataset": "town", "unit": " "}, {"unit": 1, "dataset": "x" * 9}]
)
def test_what_cannot_be_looked_up_is_refused(asking: Town, body: dict[str, Any]) -> None:
    assert asking.ask("POST", "/v1/consent/state", role="steward", json=body).status_code in {404, 422}


def test_what_a_person_was_shown_is_kept_and_told_to_the_person(asking: Town) -> None:
    shown = {"notice_version": "3", "notice_sha256": "a" * 64, "language": "es-US", "method": "box on the sign-up page"}
    send(asking, 8, "segments", "opt_in", datetime.now(UTC), **shown)
    request = asking.workspace.rights.open(ME, "know", "town", 8)["id"]
    asking.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    kept = asking.workspace.rights._log.get(request)
    (told,) = asking.workspace.rights._disclosing.known(ME, kept, datetime.now(UTC)).consent
    assert shown.items() <= told.items()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("notice_sha256", "a" * 63),
        ("language", "español"),
        ("method", "x" * 201),
        ("notice_version", "two\nlines"),
        ("notice", "unknown field"),
    ],
)
def test_what_is_said_of_a_notice_is_checked(asking: Town, field: str, value: str) -> None:
    event = {"dataset": "town", "unit": 9, "purpose": "segments", "decision": "opt_in", "event_id": "x", field: value}
    answer = asking.ask("POST", "/v1/consent/events", role="collector", json=event)
    assert answer.status_code == 422
    assert field in answer.text


def test_a_year_after_a_leap_day_is_the_first_of_march() -> None:
    assert a_year_after(datetime(2024, 2, 29, tzinfo=UTC)) == datetime(2025, 3, 1, tzinfo=UTC)
    assert a_year_after(datetime(2026, 11, 26, tzinfo=UTC)) == datetime(2027, 11, 26, tzinfo=UTC)
