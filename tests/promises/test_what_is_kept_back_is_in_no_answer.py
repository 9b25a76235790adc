"""Columns that are kept of a deletion are in no answer: beneath the noise, a query over them loses the whole person."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from desk import ME, Desk

DATASET = """
dataset: clinic
privacy_unit: patient
budget: {epsilon: 1000.0, delta: 1.0e-6}
tables:
  visits:
    columns:
      patient: {type: bigint}
      paid: {type: double, bounds: [0, 1000]}
      ward: {type: varchar, values: [a, b]}
"""
QUERIES = {
    "all_of_it": "SELECT COUNT(DISTINCT patient) AS people, SUM(paid) AS paid FROM visits",
    "by_ward": "SELECT ward, COUNT(*) AS n, SUM(paid) AS paid FROM visits GROUP BY ward",
    "who_paid": "SELECT COUNT(DISTINCT patient) FILTER (WHERE paid IS NOT NULL) AS people FROM visits",
}
PATIENTS = range(8)
GONE = 5


@pytest.fixture
def clinic(new_desk: Callable[..., Desk]) -> Desk:
    """Patient p pays 2 ** p, so that a sum shows who is in it."""
    desk = new_desk()
    desk.add(DATASET, **tables(PATIENTS))
    for name, sql in QUERIES.items():
        bounds = {of: to for of, to in {"n": [0, 5], "paid": [0, 1000]}.items() if f" AS {of}" in sql}
        contribution = {"contribution": {"max_groups": 2}} if "GROUP BY" in sql else {}
        desk.approve(
            {"query": name, "dataset": "clinic", "sql": sql, "cost": {"rho": 1.0}, "bounds": bounds} | contribution
        )
    return desk


def tables(patients: Any) -> dict[str, dict[str, list[Any]]]:
    rows = list(patients)
    return {"visits": {"patient": rows, "paid": [float(2**p) for p in rows], "ward": ["ab"[p % 2] for p in rows]}}


def truths(desk: Desk) -> dict[str, Any]:
    return {name: desk.truth(desk.plan(name)) for name in QUERIES}


def test_a_query_over_columns_that_are_kept_loses_the_person_beneath_the_noise(clinic: Desk) -> None:
    before, plan = truths(clinic), clinic.plan("all_of_it")
    rights = clinic.workspace.rights
    request = rights.open(ME, "delete", "clinic", GONE)["id"]
    rights.verify(ME, request, "reasonably_high", "signed declaration")
    exceptions = {"visits.paid": "1798.105(d)(8)", "visits.ward": "1798.105(d)(1)"}
    assert rights.execute(ME, request, exceptions=exceptions)["state"] == "partially_fulfilled"
    kept = clinic.workspace.keeping.read(ME, request)["tables"]["visits"]
    assert kept == {"columns": ["privacy_unit", "paid", "ward"], "rows": [["5", "32.0", "b"]]}
    after, grid = truths(clinic), plan.draws[1].grid
    people, paid = (one[0] - other[0] for one, other in zip(before["all_of_it"], after["all_of_it"], strict=True))
    assert (people, Fraction(paid) * grid) == (1, 2**GONE), "that person, and nobody else"
    clinic.load("clinic", **tables(each for each in PATIENTS if each != GONE))
    assert truths(clinic) == after, "as if the person had never been there"
    clinic.load("clinic", **tables(PATIENTS))
    assert truths(clinic) == after, "nor does a stale file bring the person back"
