"""`dpstats risk export`: the facts of this workspace, on paper or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from cli_running import Run


def test_the_facts_are_of_the_files_and_tell_what_changed(dpstats: Run, shop: Path) -> None:
    (before,) = json.loads(dpstats("risk", "export", "--format", "json").done().out)["datasets"]
    assert before["changes"] == []
    assert [query["query"] for query in before["questions"]] == ["by_town"]
    text = (shop / "dataset.yaml").read_text("utf-8").replace("tables:", "collected_from: [customers]\ntables:", 1)
    (shop / "dataset.yaml").write_text(text, "utf-8")
    sources = [f"--source={table}={shop / table}.csv" for table in ("visits", "customers")]
    dpstats("dataset", "add", "dataset.yaml", *sources).done()
    told = json.loads(dpstats("risk", "export", "shop", "--format", "json").done().out)
    assert [each["what"] for each in told["datasets"][0]["changes"]] == [["sources"]]
    dpstats("risk", "export", "--out", "risk.md").done()
    assert told["version"] in (shop / "risk.md").read_text()
    assert "For people to write" in (shop / "risk.md").read_text()
    dpstats("risk", "export", "harbour").refused("harbour")
