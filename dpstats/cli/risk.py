"""`dpstats risk`: the facts that a risk assessment needs of this deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.notices import Form, Out
from dpstats.cli.output import destination, json_bytes
from dpstats.cli.session import session_of

app = typer.Typer(help="Facts for a risk assessment: export.")


@app.callback()
def risk() -> None:
    """Facts for a risk assessment."""


@app.command("export")
def export(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", parser=inputs.name_text, help="One dataset; all if unsaid.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="markdown or json.")] = Form.MARKDOWN,
    out: Out = None,
) -> None:
    """Write what is held, what for, who gets it, how it is guarded and what changed since; people write the rest."""
    from dpstats.rights.risk_text import markdown

    if form is Form.HTML:
        raise typer.BadParameter("is markdown or json: an assessment is a working paper", param_hint="--format")
    with session_of(context).opened() as (workspace, me):
        found = workspace.assessing.export(me, dataset)
    with destination(out) as write:
        write(json_bytes(found) if form is Form.JSON else markdown(found).encode())
