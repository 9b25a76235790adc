"""What is not declared is nowhere: neither in the data version, nor anywhere else in the workspace."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import ME, Desk

from dpstats.errors import Conflict, NotApproved, QueryRefused

DATASET = """
dataset: clinic
privacy_unit: person
budget: {epsilon: 3.0, delta: 1.0e-6}
purposes:
  measurement: {title: Reporting, consent: notice}
  offers: {title: Offers, consent: opt_in}
tables:
  visits:
    columns:
      person: {type: bigint, purposes: [measurement, offers]}
      kept: {type: uuid, purposes: [measurement, offers]}
"""
QUERY = {
    "query": "people",
    "dataset": "clinic",
    "sql": "SELECT COUNT(DISTINCT person) AS people FROM visits WHERE kept IS NOT NULL",
    "cost": {"rho": 0.01},
}


def markers(count: int) -> list[uuid.UUID]:
    return [uuid.uuid4() for _ in range(count)]


def forms(marker: uuid.UUID) -> tuple[bytes, ...]:
    """How a UUID may lie on a disk: as DuckDB stores it, as its bytes, as its text."""
    return (marker.int ^ (1 << 127)).to_bytes(16, "little"), marker.bytes, str(marker).encode()


def on_disk(home: Path, found: list[uuid.UUID]) -> Iterator[uuid.UUID]:
    contents = [file.read_bytes() for file in home.rglob("*") if file.is_file()]
    yield from (marker for marker in found if any(form in content for form in forms(marker) for content in contents))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_no_byte_of_an_undeclared_column_is_in_the_workspace_after_a_load(desk: Desk, kind: str) -> None:
    kept, other = markers(300), markers(300)
    columns = {"person": list(range(300)), "kept": list(map(str, kept)), "diagnosis": list(map(str, other))}
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    desk.add(DATASET, visits=columns if kind == "parquet" else "\n".join(lines) + "\n")
    desk.approve(QUERY)
    desk.ask("people")
    assert list(on_disk(desk.home, kept)) == kept  # the control: what is declared is found
    assert list(on_disk(desk.home, other)) == []


def test_what_a_later_definition_does_not_declare_is_gone_after_the_next_load(desk: Desk) -> None:
    kept, later = markers(300), markers(300)
    columns = {"person": list(range(300)), "kept": list(map(str, kept)), "extra": list(map(str, later))}
    desk.add(DATASET + "      extra: {type: uuid, purposes: [measurement]}\n", visits=columns)
    assert list(on_disk(desk.home, later)) == later
    desk.add(DATASET, visits=columns)
    assert (list(on_disk(desk.home, kept)), list(on_disk(desk.home, later))) == (kept, [])


def test_nobody_can_approve_a_query_that_reads_a_column_for_another_purpose(desk: Desk) -> None:
    columns = {"person": list(range(9)), "kept": list(map(str, markers(9)))}
    desk.add(DATASET, visits=columns)
    desk.approve(QUERY)
    narrowed = DATASET.replace(
        "kept: {type: uuid, purposes: [measurement, offers]}", "kept: {type: uuid, purposes: [offers]}"
    )
    desk.add(narrowed, visits=columns)
    with pytest.raises(NotApproved):
        desk.ask("people")
    with pytest.raises(QueryRefused) as refused:
        desk.approve(QUERY)
    assert [reason.what for reason in refused.value.reasons] == ["visits.kept may not be read for measurement"]
    with pytest.raises(Conflict, match="cannot be answered"):
        desk.workspace.review.approve(ME, "people")
