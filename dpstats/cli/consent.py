"""`dpstats consent`: what people decided, in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import say
from dpstats.cli.session import session_of, working

app = typer.Typer(help="Consent: import.")

Events = Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet: unit, purpose, decision, observed_at.")]
Of = Annotated[str, typer.Option("--dataset", metavar="D", parser=inputs.name_text, help="Whose people they are.")]


@app.callback()
def consent() -> None:
    """What people decided about their data."""


@app.command("import")
def import_(context: typer.Context, file: Events, dataset: Of) -> None:
    """Take decisions in from a file, all or none; the same file may come again.

    A decision is opt_in, opt_out or withdraw; the purpose is one of the dataset's, or all_sale_share, limit_spi or
    known_minor. Queries see them from the next epoch on.
    """
    with session_of(context).opened() as (workspace, me), working("reading"):
        workspace.consent.import_file(me, dataset, file)
    say("every decision in the file is kept; queries see them from the next epoch on")
