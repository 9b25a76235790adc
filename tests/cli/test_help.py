"""Every page of `--help`, and what the Tab key gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_running import PROCESS, QUERY, Run, run_here

from dpstats.cli.helped import OTHERS, SECTIONS
from dpstats.cli.main import app

TOP: Any = typer.main.get_command(app)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command, the top one first."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def completed(typed: str, **environment: str) -> list[str]:
    """What bash offers after what was typed."""
    asked = {"_DPSTATS_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
    ran = subprocess.run(PROCESS, env=os.environ | asked | environment, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize("path", list(commands(TOP)), ids=lambda path: " ".join(path) or "dpstats")
def test_a_page_of_help_is_whole_and_fits(path: tuple[str, ...]) -> None:
    page = run_here(*path, "--help").done().out
    assert page.startswith(f"Usage: {' '.join(('dpstats', *path))}") or page.startswith("Usage:")
    assert "...\n" not in page.replace("COMMAND [ARGS]...\n", "").replace("]...\n", "").replace("}...\n", "")
    assert all(len(line) <= 80 for line in page.splitlines())
    assert not re.search(r"<(list|str|[Pp]ath|int|float)\b", page), "types of Python tell nobody what to write"


def test_the_top_page_tells_what_can_be_done_with_datasets() -> None:
    said = " ".join(run_here("--help").done().out.split())
    (told,) = re.findall(r"Datasets: ([^.]+)\.", said)
    assert set(told.replace("register", "add").split(", ")) == set(TOP.commands["dataset"].commands)


def test_the_top_page_has_each_command_once_in_a_section() -> None:
    page = run_here("--help").done().out
    listed = [line.split()[0] for line in page.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert sorted(name for name in listed if name in TOP.commands) == sorted(TOP.commands)
    assert set(TOP.commands) <= {name for names in SECTIONS.values() for name in names}
    assert f"{OTHERS}:" not in page


def test_the_tab_key_knows_commands_options_and_what_is_registered(shop: Path) -> None:
    assert completed("dpstats qu") == ["query"]
    assert "--sandbox" in completed("dpstats serve --")
    assert completed(f"dpstats --home {shop / 'home'} query run by") == ["by_town"]
    assert completed("dpstats budget show s", DPSTATS_HOME=str(shop / "home")) == ["shop"]


def in_bash(typed: str, shop: Path) -> list[str]:
    """What bash itself fills in, by the script that `--show-completion` prints and the installed command."""
    folder = Path(sys.executable).parent
    asks = (
        'eval "$(dpstats --show-completion bash)"; [[ $(complete -p dpstats) =~ -F\\ ([^ ]+) ]]; COMP_WORDS=($1); '
        '[[ $1 == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); '
        '"${BASH_REMATCH[1]}" dpstats; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "DPSTATS_HOME": str(shop / "home")}
    command = ["bash", "--norc", "-c", asks, "bash", typed]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.split()


def test_bash_completes_commands_names_and_parameters_of_the_installed_command(shop: Path) -> None:
    assert in_bash("dpstats qu", shop) == ["query"]
    assert {"check", "preview", "run"} <= set(in_bash("dpstats query ", shop))
    assert in_bash("dpstats query run by", shop) == ["by_town"]
    assert in_bash("dpstats query run by_town -p ", shop) == ["since=2025-01-01"]
    assert in_bash("dpstats query preview by_town si", shop) == ["since=2025-01-01"]


def test_every_value_of_an_enum_is_offered(shop: Path, dpstats: Run) -> None:
    text = QUERY.replace("query: by_town", "query: in_town").replace(
        "  since: {", "  town: {type: enum, values: [Ash, Elm], default: Ash}\n  since: {"
    )
    (shop / "in_town.yaml").write_text(text.replace("$since", "$since AND c.town = $town"), encoding="utf-8")
    dpstats("query", "approve", "in_town.yaml").done()
    assert completed(f"dpstats --home {shop / 'home'} query run in_town -p town") == ["town=Ash", "town=Elm"]
    assert completed(f"dpstats --home {shop / 'home'} query run nothing -p ") == []


def test_zsh_is_told_the_same(shop: Path) -> None:
    asked = {"_DPSTATS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "dpstats query run by"}
    command = [str(Path(sys.executable).with_name("dpstats")), "--home", str(shop / "home")]
    environment = os.environ | asked | {"DPSTATS_HOME": str(shop / "home")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "by_town" in ran.stdout


def test_the_tab_key_makes_nothing_and_says_nothing_of_what_is_wrong(shop: Path, dpstats: Run) -> None:
    assert completed(f"dpstats --home {shop / 'nowhere'} query run by") == []
    assert not (shop / "nowhere").exists()
    assert completed(f"dpstats --home {shop / 'home'} query run by", DPSTATS_PORT="much") == []
    (shop / "home" / "ledger.db").write_bytes(b"no database at all, but long enough to look like one" * 10)
    assert completed(f"dpstats --home {shop / 'home'} query run by") == []
