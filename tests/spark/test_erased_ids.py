"""A deletion from a dataset with a table in place, by ids that are not text: they are numbers or UUIDs in the notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from both import ADDRESS, PATIENCE_S
from lakes import written

from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.datasets import NOTHING_ERASED

ME = operator("stu")
DATASET = """
dataset: clinic
privacy_unit: patient
budget: {{epsilon: 1, delta: 1.0e-6}}
engine: {{spark: '{address}'}}
tables:
  visits:
    in_place: true
    columns: {{patient: {{type: {kind}}}, paid: {{type: double, bounds: [0, 100]}}}}
  people:
    one_row_per_unit: true
    columns: {{patient: {{type: {kind}}}, town: {{type: varchar, values: [a, b]}}}}
"""


@pytest.mark.parametrize(
    ("kind", "gone", "stays"),
    [
        ("bigint", "5000000001", "5000000002"),
        ("uuid", "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001"),
    ],
)
def test_who_is_in_a_table_in_place_is_erased_whatever_type_the_ids_have(
    tmp_path: Path, kind: str, gone: str, stays: str
) -> None:
    people = f"(VALUES (CAST('{gone}' AS {kind})), (CAST('{stays}' AS {kind}))) AS t(patient)"
    visits = written(f"SELECT patient, 1.0::DOUBLE AS paid FROM {people}", tmp_path / "visits")
    facts = written(f"SELECT patient, 'a' AS town FROM {people}", tmp_path / "people")
    (tmp_path / "dataset.yaml").write_text(DATASET.format(address=ADDRESS, kind=kind))
    settings = read_settings(home=tmp_path / "home", memory_limit_mb=1024, deadline_s=PATIENCE_S)
    workspace = Workspace.open(settings)
    try:
        workspace.datasets.add(ME, tmp_path / "dataset.yaml", {"visits": visits, "people": facts})
        request = str(workspace.rights.open(ME, "delete", "clinic", gone)["id"])
        workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        done: Any = workspace.rights.execute(ME, request)
        there: Any = workspace.held_data.erased_in_place(ME, "clinic")
    finally:
        workspace.close()
    (evidence,) = done["evidence"]["erased"]
    assert (evidence["rows_before"], evidence["rows_after"]) == ({"people": 1}, {"people": 0})
    assert evidence["in_place"]["visits"].startswith(NOTHING_ERASED)
    assert gone in str(there)
    assert stays not in str(there)
