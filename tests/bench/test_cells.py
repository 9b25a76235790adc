"""`dpstats bench cells` makes real releases, stored before they are sent; how long they take is for people to read."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from dpstats.bench.cells import Sent, table
from dpstats.cli.main import app


def test_two_releases_are_made_and_their_memory_is_told() -> None:
    ended = CliRunner().invoke(app, ["bench", "cells", "--groups", "1000", "--json"])
    assert ended.exit_code == 0, ended.output
    few, many = json.loads(ended.stdout)["releases"]
    assert (few["groups"], many["groups"]) == (100, 31 * 31)
    assert many["size"] > few["size"] > 0
    for each in (few, many):
        assert 0 < each["stored_s"] <= each["sent_s"]
        assert 0 < each["idle_mib"] <= each["peak_mib"]


def test_a_line_tells_of_each_release() -> None:
    made = Sent(groups=1_000_000, stored_s=20.0, sent_s=25.0, size=2**28, idle_mib=100.0, peak_mib=900.0)
    assert table([made]) == (("1,000,000 x 2", "20.00", "25.00", "12.5", "256", "100", "900"),)
