"""`dpstats bench start` starts real processes; how soon they are there is for people to read."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from dpstats.cli.main import app


def test_commands_and_a_service_are_started_in_a_workspace_of_that_size() -> None:
    ended = CliRunner().invoke(app, ["bench", "start", "--datasets", "2", "--queries", "3", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["datasets"], found["queries"]) == (2, 3)
    assert found["serve_ms"] > found["help_ms"] > 0
