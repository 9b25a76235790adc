"""Of a group whose noisy count is below the declared floor, no door gives a number, in any format, ever after."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from desk import ME, Desk

from dpstats.api.answers import Release
from dpstats.api.answers_features import WideTable
from dpstats.cli.answer import foot
from dpstats.client.features import Features
from dpstats.client.release import Release as Held
from dpstats.client.signals import rank
from dpstats.errors import NotApproved
from dpstats.formats import Format, encode
from dpstats.release import Ask
from dpstats.web.reading import column, summary
from dpstats.workspace.features_table import encode as encode_wide

DATASET = """
dataset: club
privacy_unit: member
budget: {epsilon: 900.0, delta: 1.0e-6}
purposes:
  measurement: {title: Reporting, consent: notice}
  personalization: {title: Offers, consent: notice, smallest_group: 100}
tables:
  members:
    one_row_per_unit: true
    columns:
      member: {type: bigint, purposes: [measurement, personalization]}
      plan: {type: varchar, values: [basic, plus, gold, rare], purposes: [measurement, personalization]}
      paid: {type: double, bounds: [0, 10], purposes: [measurement, personalization]}
"""
SIZES = {"basic": 400, "plus": 600, "gold": 500, "rare": 7}
QUERY = """
query: paid_by_plan
dataset: club
purpose: personalization
sql: |
  SELECT plan, COUNT(DISTINCT member) AS members, SUM(paid) AS paid, SUM(paid) / COUNT(DISTINCT member) AS each
  FROM members GROUP BY plan
keys: {plan: {values: [basic, plus, gold, rare]}}
cost: {rho: 2}
"""
"""Noise of scale below 1: `rare` is withheld, and the others are told, but for one chance in far more than 1e9."""
WITHHELD = {"value": None, "low": None, "high": None, "display": "withheld (below 100)", "withheld": True}


@pytest.fixture(scope="module")
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """Its query approved, nothing released."""
    desk = new_desk()
    plans = [plan for plan, size in SIZES.items() for _ in range(size)]
    paid = [float(len(plan)) for plan in plans]
    desk.add(DATASET, members={"member": list(range(len(plans))), "plan": plans, "paid": paid})
    desk.approve(QUERY)
    return desk


@pytest.fixture(scope="module")
def made(desk: Desk) -> dict[str, Any]:
    """One release, as the service gives it."""
    return desk.ask("paid_by_plan")


def test_a_release_says_its_floor_and_withholds_the_small_group(made: dict[str, Any]) -> None:
    rows = {row["plan"]: row for row in made["rows"]}
    assert list(rows) == sorted(SIZES)
    assert rows["rare"] == {"plan": "rare", "members": WITHHELD, "paid": WITHHELD, "each": WITHHELD}
    assert all(rows[plan][name]["value"] is not None for plan in ("basic", "plus", "gold") for name in made["measures"])
    assert made["smallest_group"] == {"floor": 100, "counted_by": "members", "withheld": 1}
    assert Release.model_validate(made)


def test_what_is_withheld_is_nowhere_in_what_is_stored_or_sent(desk: Desk, made: dict[str, Any]) -> None:
    stored = desk.workspace.store.ledger.release(made["release_id"]).body
    rare = [row for row in json.loads(stored)["rows"] if row["plan"] == "rare"]
    assert rare == [{"plan": "rare", "members": WITHHELD, "paid": WITHHELD, "each": WITHHELD}]
    for again in (desk.ask("paid_by_plan"), desk.workspace.releases.earlier(ME, made["release_id"])):
        assert again["rows"] == made["rows"]


def test_every_format_has_the_row_with_its_key_and_no_number(made: dict[str, Any]) -> None:
    csv = encode(made, Format.CSV).decode().splitlines()
    assert [line for line in csv if line.startswith("rare")] == ["rare,,,,,,,,,"]
    stream = pa.ipc.open_stream(encode(made, Format.ARROW)).read_all()
    parquet = pq.read_table(io.BytesIO(encode(made, Format.PARQUET)))
    for table in (stream, parquet):
        (row,) = (row for row in table.to_pylist() if row.pop("plan") == "rare")
        assert set(row.values()) == {None}
        told = json.loads(table.schema.metadata[b"dpstats"])
        assert told["smallest_group"] == made["smallest_group"]


def test_people_are_told_that_it_is_withheld_and_not_that_it_is_noisy(desk: Desk, made: dict[str, Any]) -> None:
    held = Held.from_json(made)
    assert "withheld: 1 of 4 rows, whose noisy count is below 100" in repr(held)
    assert "Withheld: 1 of 4 groups, below 100." in foot(made, held.created_at, 1)
    found = column(made, "members")
    assert summary(found)[-1] == "1 of 4 groups is withheld: fewer people than may be told about."
    rare = next(cell for cell in found.cells if cell.label == "rare")
    assert (found.amount(rare), rare.between) == ("withheld (below 100)", "")


def test_a_wide_table_has_no_number_for_it_and_nothing_stands_out(desk: Desk, made: dict[str, Any]) -> None:
    wide, charged = desk.workspace.features.make(ME, ["paid_by_plan"], {})
    assert charged is False
    body = json.loads(encode_wide(wide, Format.JSON))
    assert WideTable.model_validate(body)
    (rare,) = (row for row in body["rows"] if row["plan"] == "rare")
    nothing = {"value": None, "low": None, "high": None, "reliable": False}
    assert rare == {"plan": "rare", "members": nothing, "paid": nothing, "each": nothing}
    assert {measure["smallest_group"] for measure in body["measures"].values()} == {100}
    body["per"] = "members"
    assert rank(body, {"plan": "rare"}) == []
    signals = rank(body, {"plan": "plus"}, probability=0.5)
    assert {signal.feature for signal in signals} == {"paid", "each"}
    assert "withheld" in repr(Features.from_json(body))


def test_a_floor_that_is_declared_later_asks_for_a_new_approval_and_leaves_what_was_released(desk: Desk) -> None:
    text = QUERY.replace("paid_by_plan", "counted").replace("personalization", "measurement")
    before = desk.approve(text)
    made = desk.ask("counted")
    assert "smallest_group" not in made
    assert all(row["members"]["value"] is not None for row in made["rows"])
    higher = DATASET.replace("privacy_unit: member\n", "privacy_unit: member\nsmallest_group: 50\n")
    desk.workspace.datasets.register(ME, higher, "dataset.yaml")
    with pytest.raises(NotApproved):
        desk.workspace.releases.make(Ask(ME, "counted", {}))
    assert desk.approve(text) != before
    again = desk.ask("counted")
    assert (again["smallest_group"]["floor"], again["replayed"]) == (50, False)
    assert desk.ask("paid_by_plan")["replayed"] is True, "the purpose's floor is the higher one: nothing changed for it"
