"""`dpstats retention sweep`: what it says where there is something to sweep, and where there is not."""

from __future__ import annotations

import json
from pathlib import Path

from cli_running import Run


def test_a_dataset_that_says_how_long_is_swept_and_another_is_not(dpstats: Run, shop: Path) -> None:
    assert "no dataset that is loaded says" in dpstats("retention", "sweep").done().err
    text = (shop / "dataset.yaml").read_text()
    (shop / "dataset.yaml").write_text(text.replace("spent: {", "spent: {retention: 395d, "))
    dpstats("dataset", "add", "dataset.yaml", "--source", "visits=visits.csv").done()
    (swept,) = json.loads(dpstats("retention", "sweep", "--json").done().out)["items"]
    assert swept["rows_after"] == {"visits": 0}
    assert f"shop: {swept['data_version'][:3]}" in dpstats("retention", "sweep", "shop").done().out
