"""`dpstats bench features` measures a real service; how fast it is is for people to read."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from dpstats.cli.main import app


def test_a_wide_table_is_asked_for_as_arrow_and_comes_whole() -> None:
    ended = CliRunner().invoke(app, ["bench", "features", "--segments", "50", "--features", "8", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["segments"], found["features"]) == (50, 8)
    assert found["size_bytes"] > 50 * 8 * 8
    assert all(found[name] > 0 for name in ("first_ms", "median_ms", "slowest_ms", "unchanged_ms"))
