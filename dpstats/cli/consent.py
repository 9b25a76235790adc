"""`dpstats consent`: what people decided, in; and the epochs by which queries see it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import note, say
from dpstats.cli.session import session_of, working

app = typer.Typer(help="Consent: import, epoch.")

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


@app.command("epoch")
def epoch(context: typer.Context) -> None:
    """Close the running epoch: from now on, queries that ask for consent go by what came in until now.

    Each dataset with such a purpose gets a new data version, whether or not anything changed. Run it nightly, unless
    the service does (DPSTATS_CONSENT_EPOCH_AT).
    """
    with session_of(context).opened() as (workspace, me), working("closing the epoch"):
        renewed = workspace.epochs.close(me)
    for one in renewed:
        say(f"{one.dataset}: {one.data_version or 'not loaded as it is defined now'}")
    if not renewed:
        note("the epoch is closed; no dataset has a purpose that asks for consent")
