"""How `--help` lists commands: by what they are for, each with its first sentence whole, and no type of Python's."""

from __future__ import annotations

import re
from typing import Any

from typer import Typer
from typer.core import TyperCommand, TyperGroup

from dpstats.cli.exits import OneLineGroup

SECTIONS = {
    "To begin": ("demo", "init", "serve"),
    "Data, questions and answers": ("dataset", "query", "release", "features", "refresh", "plan", "apply"),
    "Budgets and access": ("budget", "ledger", "token", "terms", "log"),
    "People's rights": ("consent", "rights", "minimise", "retention", "notice", "transparency", "risk"),
    "To check": ("doctor", "audit", "bench"),
}
"""The top command's commands in the order in which one meets them; one that is not here comes last."""

OTHERS = "More"
_WHOLE = 1000
_TYPE = re.compile(r" <(?:list\[)?(?:str|Path|path|int|float)\]?>$")
"""What typer says of a value beside its name."""


class Top(OneLineGroup):
    """The top command, its commands in sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for each purpose."""
        known = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in known)
        for title, names in {**SECTIONS, OTHERS: others}.items():
            _write(self, ctx, formatter, title, names)


class Below(TyperGroup):
    """A command with commands below it."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes one section."""
        _write(self, ctx, formatter, "Commands", tuple(self.list_commands(ctx)))


class Plain(TyperCommand):
    """A command that does something."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes arguments by their names, and options with what they take, in words."""
        told = [(param, param.get_help_record(ctx)) for param in self.get_params(ctx)]
        for title, kind, instead in (("Arguments", "argument", ""), ("Options", "option", " TEXT")):
            records = [record for param, record in told if record and param.param_type_name == kind]
            if records:
                with formatter.section(title):
                    formatter.write_dl([(_TYPE.sub(instead, name), said) for name, said in records])


def in_plain_words(app: Typer) -> None:
    """Has every command below `app` say how it is used in these words."""
    for command in app.registered_commands:
        command.cls = Plain
    for room in app.registered_groups:
        room.cls = Below
        if room.typer_instance is not None:
            in_plain_words(room.typer_instance)


def _write(group: TyperGroup, ctx: Any, formatter: Any, title: str, names: tuple[str, ...]) -> None:
    found = ((name, group.get_command(ctx, name)) for name in names)
    rows = [(name, command.get_short_help_str(_WHOLE)) for name, command in found if command and not command.hidden]
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=14)
