"""`dpstats bench model` multiplies what it measured and checked; how fast this machine is is for people to read."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from dpstats.bench import model
from dpstats.bench.model import Deployment, Rate, Rates, breaks, table
from dpstats.cli.main import app

ALL = Rates(**{field.name: Rate("row", 1e-6, 1.0) for field in fields(Rates)})


def test_every_rate_is_measured_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, less in {"SECONDS": 0.02, "ENTRIES": 5, "CELLS": 20}.items():
        monkeypatch.setattr(model, name, less)
    ended = CliRunner().invoke(app, ["bench", "model", "--sample", "1000", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert set(found["rates"]) == {field.name for field in fields(Rates)}
    assert all(rate["each"] > 0 and rate["checked"] > 0 for rate in found["rates"].values())
    assert found["deployment"]["rows"] == 10_000_000_000


def test_a_deployment_takes_its_rates_times_how_many_there_are() -> None:
    lines = {
        line[0]: line for line in table(ALL, Deployment(7_200_000_000, 3_600_000_000, 500_000, 10, 86_400, 2_000_000))
    }
    assert lines["load of a data version"][-1] == "2.0 h on one host"
    assert lines["epoch that all units spoke before"][-1] == "1.0 h on one host"
    assert lines["noise and answer"][-1] == "1.0 s on one host"
    assert lines["charges of a day"][-1] == "0.0% of the time of one ledger"
    assert lines["replays"][-1] == "2 workers busy"


def test_what_does_not_fit_into_a_night_breaks_the_worst_first() -> None:
    night = 8 * 3600 * 1_000_000
    assert breaks(ALL, Deployment(night, 1, 1, 1, 1, 1)) == ["the epoch: 1.0 times what there is time for"]
    assert breaks(ALL, Deployment(2 * night, night, 1, 1, 1, 1)) == [
        "the epoch: 3.0 times what there is time for",
        "the load: 2.0 times what there is time for",
    ]
    assert breaks(ALL, Deployment(1000, 1000, 1, 1, 1, 1)) == []
