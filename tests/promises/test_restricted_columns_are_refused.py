"""Whatever restricts a column, a query over it is refused with that reason, and an approved one answers no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from desk import ME, Desk

from dpstats.errors import NotApproved, QueryRefused
from dpstats.release import Ask

DATASET = """
dataset: ward
privacy_unit: patient
budget: {epsilon: 100.0, delta: 1.0e-6}
purposes:
  measurement: {title: Reporting, consent: notice}
  offers: {title: Offers, consent: opt_in, max_keys: 1}
tables:
  stays:
    columns:
      patient: {type: bigint, purposes: [measurement, offers]}
      days: {type: integer, bounds: [0, 30], purposes: [measurement]}
      for_offers: {type: boolean, purposes: [offers]}
      held_back: {type: boolean, purposes: []}
      ailment: {type: varchar, values: [a, b], sensitive: health, purposes: [measurement]}
      badge: {type: varchar, category: identifiers, purposes: [measurement]}
      ssn: {type: varchar, never_disclose: true, purposes: [measurement]}
      plain: {type: boolean}
"""
GROUPED = "SELECT {0} AS k, COUNT(DISTINCT patient) AS n FROM stays GROUP BY 1"
READ = "SELECT COUNT(DISTINCT patient) FILTER (WHERE {0}) AS n FROM stays"
RESTRICTED: dict[str, tuple[str, str, str]] = {
    "for another purpose": (READ.format("for_offers"), "measurement", "stays.for_offers may not be read for"),
    "for no purpose": (READ.format("held_back"), "measurement", "stays.held_back may not be read for measurement"),
    "sensitive, without consent or basis": (
        READ.format("ailment = 'a'"),
        "measurement",
        "stays.ailment is sensitive (health), and measurement asks for no consent",
    ),
    "an identifier": (GROUPED.format("badge"), "measurement", "an identifier as a key"),
    "never disclosed": (GROUPED.format("ssn"), "measurement", "an identifier as a key"),
    "the unit's own": (GROUPED.format("patient"), "measurement", "the privacy unit's id as a key"),
    "not declared": (READ.format("diagnosis = 'x'"), "measurement", "there is no column diagnosis"),
    "of no declared purpose": (READ.format("plain"), "offers", "stays.plain may not be read for offers"),
    "of the consent log": ("SELECT COUNT(*) AS n FROM consent_events", "measurement", "there is no table"),
}
OPEN = {"query": "stays", "dataset": "ward", "sql": READ.format("days > 3"), "cost": {"rho": 0.1}}


@pytest.fixture(scope="module")
def desk(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(DATASET, stays=_stays())
    return desk


def _stays() -> dict[str, list[Any]]:
    people = list(range(40))
    flags, words = [n % 2 == 0 for n in people], [str(n) for n in people]
    columns: dict[str, list[Any]] = {"patient": people, "days": people, "ailment": ["a"] * 40}
    return columns | dict.fromkeys(("for_offers", "held_back", "plain"), flags) | dict.fromkeys(("badge", "ssn"), words)


@pytest.mark.parametrize("restricted", RESTRICTED)
def test_a_query_over_a_restricted_column_is_refused_with_the_reason(desk: Desk, restricted: str) -> None:
    sql, purpose, why = RESTRICTED[restricted]
    query = {"query": "asked", "dataset": "ward", "purpose": purpose, "sql": sql, "cost": {"rho": 0.1}}
    if " AS k" in sql:
        query |= {"keys": {"k": {"values": [1] if "patient AS k" in sql else ["1"]}}, "contribution": {"max_groups": 1}}
    with pytest.raises(QueryRefused) as refused:
        desk.approve(query)
    told = [reason for reason in refused.value.reasons if reason.what.startswith(why)]
    assert told, [reason.what for reason in refused.value.reasons]
    assert all(reason.instead for reason in told), "each with a way out"
    assert desk.charges("ward") == []


def test_a_column_that_is_restricted_later_stops_what_was_approved_and_says_why(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk()
    desk.add(DATASET, stays=_stays())
    desk.approve(OPEN)
    made = desk.ask("stays")
    held = DATASET.replace("days: {type: integer, bounds: [0, 30], purposes: [measurement]}", "HELD").replace(
        "HELD", "days: {type: integer, bounds: [0, 30], purposes: []}"
    )
    desk.workspace.datasets.register(ME, held, "dataset.yaml")
    with pytest.raises(NotApproved):
        desk.workspace.releases.make(Ask(ME, "stays", {}))
    with pytest.raises(QueryRefused) as refused:
        desk.approve(OPEN)
    assert [str(reason.what) for reason in refused.value.reasons] == ["stays.days may not be read for measurement"]
    assert len(desk.charges("ward")) == 1
    desk.workspace.datasets.register(ME, DATASET, "dataset.yaml")
    assert desk.ask("stays")["release_id"] == made["release_id"]
