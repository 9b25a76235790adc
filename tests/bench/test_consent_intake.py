"""`dpstats bench consent` measures a real service; how fast it is is for people to read."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from dpstats.cli.main import app


def test_events_and_signals_are_taken_in_and_their_rates_are_told() -> None:
    ended = CliRunner().invoke(app, ["bench", "consent", "--events", "1500", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert found.pop("events") == 1500
    assert all(rate > 0 for rate in found.values())
    assert set(found) == {"events_per_s", "again_per_s", "singles_per_s", "signals_per_s"}
