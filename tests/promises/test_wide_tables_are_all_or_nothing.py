"""A wide table's releases are charged together or not at all, and none of its numbers is without its charge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from desk import ME, Desk

from dpstats.access import operator
from dpstats.errors import BudgetExhausted, Frozen, NotApproved, Unavailable
from dpstats.workspace.features_table import rows

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 0.5, delta: 0}
tables:
  visits:
    columns:
      person: {type: bigint}
      amount: {type: bigint, bounds: [0, 100]}
  areas: {public: true, columns: {area: {type: bigint}}}
"""
BY_AREA = """
query: {name}
dataset: shop
sql: SELECT area, {measure} FROM visits {joined} GROUP BY area
keys: {{area: {{from: areas.area}}}}
contribution: {{max_groups: 1}}
cost: {{epsilon: {epsilon}}}
"""
LIGHT = BY_AREA.format(name="light", measure="COUNT(DISTINCT person) AS people", joined="CROSS JOIN areas", epsilon=0.1)
HEAVY = BY_AREA.format(name="heavy", measure="AVG(amount) AS mean", joined="CROSS JOIN areas", epsilon=0.1)
"""Needs more than 64 MB."""
DEAR = BY_AREA.format(name="dear", measure="COUNT(DISTINCT person) AS p", joined="CROSS JOIN areas", epsilon=0.45)
STEP = 10**11
PEOPLE, AREAS = 5000, 300


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    made = new_desk(memory_limit_mb=64)
    visits = {"person": list(range(PEOPLE)), "amount": [1] * PEOPLE}
    made.add(DATASET, visits=visits, areas={"area": list(range(AREAS))})
    for query in (LIGHT, HEAVY, DEAR):
        made.approve(query)
    return made


def test_what_fails_after_the_charges_stays_charged_and_the_next_try_pays_nothing(desk: Desk) -> None:
    for _ in range(2):
        with pytest.raises(Unavailable):
            desk.workspace.features.make(ME, ["light", "heavy"], {})
        assert desk.spent("shop") == 2 * STEP
        assert desk.workspace.releases.all(ME)["items"] == []
    desk.change(memory_limit_mb=2000)
    wide, made_now = desk.workspace.features.make(ME, ["light", "heavy"], {})
    assert made_now
    assert desk.spent("shop") == 2 * STEP
    assert set(wide.head["releases"].values()) == {charge["release_id"] for charge in desk.charges("shop")}
    assert desk.workspace.budgets.verify(ME).ok


def test_every_number_is_of_a_stored_release_that_was_charged(desk: Desk) -> None:
    desk.change(memory_limit_mb=2000)
    wide, _ = desk.workspace.features.make(ME, ["heavy", "light"], {})
    for name, feature in (("light", "people"), ("heavy", "mean")):
        stored = desk.workspace.releases.earlier(ME, wide.head["releases"][name])
        assert [row[feature]["value"] for row in rows(wide)] == [row[feature]["value"] for row in stored["rows"]]
    assert len(desk.charges("shop")) == 2


def test_if_all_together_do_not_fit_nothing_is_charged_and_nothing_is_read(desk: Desk) -> None:
    for names in (["light", "dear"], ["dear", "light"]):
        with pytest.raises(BudgetExhausted, match=r"it costs epsilon 0\.55"):
            desk.workspace.features.make(ME, names, {})
    assert desk.charges("shop") == []


def test_a_freeze_and_a_revocation_of_one_query_refuse_all(desk: Desk) -> None:
    desk.workspace.review.revoke(ME, "heavy")
    with pytest.raises(NotApproved):
        desk.workspace.features.make(ME, ["light", "heavy"], {})
    desk.workspace.budgets.freeze(ME, "shop", frozen=True)
    with pytest.raises(Frozen):
        desk.workspace.features.make(operator("job"), ["light"], {})
    assert desk.charges("shop") == []
