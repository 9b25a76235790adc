"""What a load counted exactly is in its data version's file and on the host's terminal, and nowhere else."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk

import dpstats
from dpstats.api.app import create_app
from dpstats.engine.duck import DuckEngine
from dpstats.errors import QueryRefused
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

PACKAGE = Path(dpstats.__file__).parent
NAME = re.compile(r"load_?report", re.IGNORECASE)
STEPS_OF_A_LOAD = ("feeding", "load", "load_report", "ordering", "sifting")
MAY_NAME_IT = {"cli/dataset.py", "workspace/held_data.py", *(f"engine/{step}.py" for step in STEPS_OF_A_LOAD)}
DATASET = """
dataset: clinic
privacy_unit: person
budget: {epsilon: 3.0, delta: 1.0e-6}
tables:
  visits: {columns: {person: {type: bigint}, spent: {type: double, bounds: [0, 9]}}}
"""
QUERY = {
    "query": "people",
    "dataset": "clinic",
    "sql": "SELECT COUNT(DISTINCT person) AS people FROM visits",
    "cost": {"rho": 0.01},
}
READ, NOBODYS = 7431, 2209
"""Rows that are read, and those without an id."""


def naming(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".html", ".js", ".mako", ".j2") and NAME.search(path.read_text()):
            yield str(path.relative_to(folder))


def test_only_the_load_and_the_command_line_know_of_it() -> None:
    assert set(naming(PACKAGE)) == MAY_NAME_IT


def test_the_engines_port_and_the_api_do_not_know_of_it(tmp_path: Path) -> None:
    assert not [name for name in dir(DuckEngine) if "report" in name.lower()]
    workspace = Workspace.open(read_settings(home=tmp_path / "home"))
    described = json.dumps(create_app(workspace).openapi())
    workspace.close()
    assert "/v1/queries" in described
    assert not NAME.search(described.replace(" ", "_"))


def test_no_query_can_read_it(desk: Desk) -> None:
    desk.add(DATASET, visits={"person": [1, 2], "spent": [1.0, 2.0]})
    with pytest.raises(QueryRefused):
        desk.approve(QUERY | {"sql": "SELECT COUNT(*) AS people FROM dp_load_report"})


def test_its_numbers_are_in_the_data_versions_file_which_the_owner_alone_may_read(desk: Desk) -> None:
    persons = [*range(READ - NOBODYS), *[None] * NOBODYS]
    desk.add(DATASET, visits={"person": persons, "spent": [5.0] * READ})
    desk.approve(QUERY)
    desk.ask("people")
    counted = (f'"read": {READ}'.encode(), b'"nobodys"')
    holding = [p for p in desk.home.rglob("*") if p.is_file() and any(part in p.read_bytes() for part in counted)]
    assert [path.suffix for path in holding] == [".duckdb"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    assert counted[0] in holding[0].read_bytes()
