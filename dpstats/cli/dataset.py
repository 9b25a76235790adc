"""`dpstats dataset`: what there is to ask about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, note, say, show, show_json
from dpstats.cli.session import loading, session_of, values_refused
from dpstats.cli.words import utc

app = typer.Typer(help="Datasets: register, load, list.")

DatasetPath = Annotated[Path, typer.Argument(metavar="FILE", help="The dataset.yaml.")]
Blocks = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--blocks",
        metavar="FIRST LAST",
        help="The time blocks that the files bring anything new of; others' feature releases stay as they are.",
    ),
]
Append = Annotated[bool, typer.Option("--append", help="Add the rows to those that are there.")]


@app.command("add")
def add(
    context: typer.Context, file: DatasetPath, more: inputs.MoreSources = None, source: inputs.Sources = None
) -> None:
    """Register a dataset.yaml and load its data; prints the data version."""
    files, session = inputs.sources(source, more), session_of(context)
    known = session.exists
    with session.opened(make=True) as (workspace, me):
        with loading() as progress:
            version = workspace.datasets.add(me, file, files, progress)
        say(version)
        if not known:
            note(f"{workspace.home} is now a workspace")


@app.command("load")
def load(
    context: typer.Context,
    name: inputs.DatasetName,
    more: inputs.MoreSources = None,
    source: inputs.Sources = None,
    append: Append = False,
    blocks: Blocks = None,
) -> None:
    """Load new data; prints the data version.

    Tables without a source are carried over from the version before.
    """
    files = inputs.sources(source, more)
    with session_of(context).opened() as (workspace, me):
        with values_refused(), loading() as progress:
            version = workspace.datasets.load(me, name, files, append=append, blocks=blocks, progress=progress)
        say(version)


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List the datasets."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.datasets.all(me)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("no datasets yet: `dpstats dataset add dataset.yaml --source TABLE=PATH` adds one")
    else:
        heads = ("dataset", "title", "privacy unit", "data version", "as of (UTC)", "state")
        rows = ((*(item[k] or "" for k in ("dataset", "title", "privacy_unit")), *_state(item)) for item in items)
        show(Table(heads, tuple(rows)))


def _state(item: dict[str, str | None]) -> tuple[str, str, str]:
    as_of = utc(item["as_of"]) if item["as_of"] else "-"
    return item["data_version"] or "not loaded", as_of, "frozen" if item["frozen"] else "open"
