"""Every page of `--help`, and what the Tab key gives."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_running import PROCESS, Run, run_here

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


def test_the_tab_key_makes_nothing_and_says_nothing_of_what_is_wrong(shop: Path, dpstats: Run) -> None:
    assert completed(f"dpstats --home {shop / 'nowhere'} query run by") == []
    assert not (shop / "nowhere").exists()
    assert completed(f"dpstats --home {shop / 'home'} query run by", DPSTATS_PORT="much") == []
    (shop / "home" / "ledger.db").write_bytes(b"no database at all, but long enough to look like one" * 10)
    assert completed(f"dpstats --home {shop / 'home'} query run by") == []
