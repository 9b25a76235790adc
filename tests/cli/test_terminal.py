"""What differs between a terminal and a pipe."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from cli_running import Run

STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
OnTerminal = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("args", [["query", "run", "by_town"], ["query", "list"], ["query", "check", "by_town.yaml"]])
def test_a_pipe_gets_plain_text(process: Run, args: list[str]) -> None:
    ran = process(*args).done()
    assert ran.err == ""
    assert "\x1b" not in ran.out
    assert not any("\u2500" <= character <= "\u257f" for character in ran.out)


def test_a_terminal_gets_ruled_tables_within_its_width(on_terminal: OnTerminal) -> None:
    status, shown = on_terminal("query", "check", "by_town.yaml")
    assert status == 0
    assert "─" in shown
    text = STYLE.sub("", shown[shown.index("by_town can be answered") :])
    assert all(len(line) <= 80 for line in text.splitlines() if "sha256" not in line)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_bytes_are_kept_off_a_terminal(on_terminal: OnTerminal, form: str) -> None:
    status, shown = on_terminal("query", "run", "by_town", "--format", form)
    assert status == 2
    assert "--out FILE" in shown


def test_a_terminal_shows_that_a_load_goes_on(on_terminal: OnTerminal) -> None:
    status, shown = on_terminal("dataset", "load", "shop", "--source", "visits=visits.csv")
    assert status == 0
    assert "━" in shown
    assert "loaded" in shown


def test_a_terminal_has_colours_for_states_and_for_what_went_wrong(
    on_terminal: OnTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[32m" in on_terminal("query", "list")[1]
    status, shown = on_terminal("query", "run", "nothing")
    assert status == 1
    assert "\x1b[31mdpstats: " in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in on_terminal("query", "run", "nothing")[1] + on_terminal("query", "list")[1]
