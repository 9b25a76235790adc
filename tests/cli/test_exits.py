"""Exit statuses, and the one line that goes with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cli_running import Run
from typer.testing import CliRunner

from dpstats import __version__
from dpstats.cli.exits import OneLineGroup
from dpstats.errors import Unavailable

HEAVY = {"duckdb", "opendp", "sqlalchemy", "pydantic", "pyarrow", "pandas", "fastapi", "rich.table", "sqlglot", "yaml"}


def failing(error: BaseException) -> tuple[int, str]:
    """A command that fails with `error`, in the group that all of dpstats' commands are in."""
    app = typer.Typer(cls=OneLineGroup)

    @app.command()
    def fail() -> None:
        raise error

    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["fail"])
    assert result.stdout == ""
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    "error", [ValueError("row 42: 1234.5"), KeyError("Ann"), OSError(5, "disk of Ann"), RecursionError("row 7")]
)
def test_an_unexpected_error_shows_its_type_and_nothing_of_its_text(error: Exception) -> None:
    status, line = failing(error)
    assert status == 1
    assert type(error).__name__ in line
    assert all(word not in line for word in ("Ann", "row 42", "row 7", "1234.5"))
    assert line.count("\n") == 1


def test_a_refusal_is_its_own_line() -> None:
    assert failing(Unavailable()) == (1, f"dpstats: {Unavailable()}\n")


def test_an_interrupt_ends_without_a_traceback() -> None:
    assert failing(KeyboardInterrupt())[0] == 130


def test_no_text_breaks_the_line(dpstats: Run) -> None:
    dpstats("query", "run", "by_town", "-p", "a\nb=1").refused("'a\\nb'")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["quer"], "Did you mean 'query'"),
        (["query"], "Missing command"),
        (["query", "run"], "NAME"),
        (["query", "run", "by_town", "--no"], "--no"),
        (["query", "run", "by_town", "--format", "xml"], "'parquet'"),
        (["query", "run", "by_town", "-p", "since"], "NAME=VALUE"),
        (["query", "run", "a\nb"], "is not a name"),
        (["budget", "grant", "shop", "--rho", "abc", "--reason", "x"], "'abc' is not a number"),
        (["budget", "grant", "shop", "--reason", "x"], "either --rho or --epsilon"),
        (["budget", "grant", "shop", "--rho", "1", "--epsilon", "1", "--reason", "x"], "either --rho or --epsilon"),
        (["budget", "grant", "shop", "--rho", "1", "--reason", " "], "say why"),
        (["token", "create", "a", "--role", "king"], "'analyst'"),
        (["token", "create", "a"], "--role"),
        (["dataset", "load", "shop", "--source", "visits"], "TABLE=PATH"),
        (["dataset", "load", "shop"], "name the file of at least one table"),
        (["ledger", "list", "shop", "--after", "-1"], "--after"),
        (["serve", "--port", "99999"], "--port"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(dpstats: Run, args: list[str], word: str) -> None:
    dpstats(*args).wrong_usage(word, "--help`)")


def test_without_a_command_the_help_is_shown(anywhere: Run) -> None:
    ran = anywhere()
    assert (ran.status, ran.out) == (2, "")
    assert "dpstats demo" in ran.err


def test_the_version_is_the_packages(anywhere: Run) -> None:
    assert anywhere("--version").done().out == f"dpstats {__version__}\n"


@pytest.mark.parametrize("args", [["query", "list"], ["serve"], ["token", "create", "a", "--role", "job"]])
def test_a_folder_without_a_workspace_is_refused_and_stays_away(anywhere: Run, args: list[str]) -> None:
    anywhere("--home", "away", *args).refused("dpstats init")
    assert not Path("away").exists()


def test_a_home_that_is_a_file_is_refused(anywhere: Run, shop: Path) -> None:
    anywhere("--home", shop / "by_town.yaml", "init").refused("cannot be used as a workspace")


def test_init_can_be_said_twice(anywhere: Run) -> None:
    assert "is now a workspace" in anywhere("--home", "new", "init").done().out
    assert "already" in anywhere("--home", "new", "init").done().out


def test_a_wrong_setting_is_named(dpstats: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPSTATS_THREADS", "many")
    dpstats("query", "list").refused("DPSTATS_THREADS")


def test_the_help_loads_nothing_heavy() -> None:
    probe = "import sys, dpstats.cli.main; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


def test_a_reader_who_leaves_gets_no_traceback(process: Run) -> None:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    assert process("query", "run", "by_town", stdout=reader.stdin).err == ""
    assert reader.stdin is not None
    reader.stdin.close()


def test_bytes_that_are_no_text_are_refused_in_one_line(process: Run) -> None:
    process("query", "run", b"\xff".decode("utf-8", "surrogateescape")).wrong_usage("is not a name")
