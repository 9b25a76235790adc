"""`dpstats minimise`: what is held and need not be."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import note, say, show_json
from dpstats.cli.session import session_of

if TYPE_CHECKING:
    from dpstats.workspace.minimising import Needless

app = typer.Typer(help="Data minimisation: report.")

Of = Annotated[
    str | None, typer.Argument(metavar="[DATASET]", parser=inputs.name_text, help="One dataset; all if unsaid.")
]


@app.callback()
def minimise() -> None:
    """What is held and need not be."""


@app.command("report")
def report(context: typer.Context, dataset: Of = None, as_json: inputs.AsJson = False) -> None:
    """Name the columns that no live query reads, and those of which it is not said what they are for."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.minimising.report(me, dataset)
    if as_json:
        show_json({"items": [asdict(item) for item in found], "next": None})
        return
    for item in found:
        say(f"{item.dataset}: {item.table}.{item.column}: {_line(item)}")
    if not found:
        note("every column is read by a live query, and explained")


def _line(item: Needless) -> str:
    parts = ["no live query reads it: remove it from dataset.yaml, and load again"] if item.unread else []
    parts += [f"not said: {', '.join(item.unsaid)}"] if item.unsaid else []
    return "; ".join(parts)
