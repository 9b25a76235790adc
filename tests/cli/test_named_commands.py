"""Every command that an error, a page, the README or a notebook tells people to run is there, with its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dpstats.cli.main import app

TOP: Any = typer.main.get_command(app)
ROOT = Path(__file__).parents[2]
IN_TEXT = re.compile(r"(?:`|<code>)dpstats ([a-z-][^`<\n]*)")
BLOCK = re.compile(r"```sh\n(.*?)```|<pre><code>(.*?)</code>", re.DOTALL)
IN_BLOCK = re.compile(r"^dpstats ([a-z-][^\n]*)", re.MULTILINE)
ENDS = re.compile(r"\s(?:#|\||&&|\\n)|\\n|\"|  ")


def texts() -> Iterator[Path]:
    """Whatever tells people what to run."""
    yield ROOT / "README.md"
    for folder, ends in (("dpstats", ("*.py", "*.html")), ("notebooks", ("*.ipynb",))):
        for end in ends:
            yield from sorted((ROOT / folder).rglob(end))


def named() -> Iterator[tuple[str, list[str]]]:
    """Each command that is named: where, and its words."""
    for path in texts():
        text = path.read_text(encoding="utf-8")
        blocks = "\n".join(first or second for first, second in BLOCK.findall(text))
        for found in [*IN_TEXT.findall(text), *IN_BLOCK.findall(blocks)]:
            yield path.relative_to(ROOT).as_posix(), ENDS.split(found, maxsplit=1)[0].split()


def amiss(words: list[str]) -> str:
    """What the command line does not know of it; "" if it knows all."""
    if words[:1] == ["--home"]:
        words = words[2:]
    command, known = TOP, {option for one in TOP.params for option in one.opts}
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
        known |= {option for one in command.params for option in one.opts}
    if getattr(command, "commands", None) and words and re.fullmatch("[a-z][a-z-]*", words[0]):
        return words[0]
    asked = {word.split("=")[0].rstrip(".,;:)") for word in words if re.match("--[a-z]", word)}
    return " ".join(sorted(asked - known - {"--help"}))


def test_every_command_that_is_named_is_there() -> None:
    found = list(named())
    assert len(found) > 150, "they are looked for where they stand"
    assert [(place, words, amiss(words)) for place, words in found if amiss(words)] == []


@pytest.mark.parametrize("line", ["ledger verify --receipt FILE", "release list", "approve x", "budget grants gym"])
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    assert amiss(line.split())
