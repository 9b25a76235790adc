"""`dpstats retention`: what is past its time, erased."""

from __future__ import annotations

from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import note, say, show_json
from dpstats.cli.session import session_of, working

app = typer.Typer(help="Retention: sweep.")

Of = Annotated[
    str | None, typer.Argument(metavar="[DATASET]", parser=inputs.name_text, help="One dataset; all if unsaid.")
]


@app.callback()
def retention() -> None:
    """How long data are kept: erase what is past its time."""


@app.command("sweep")
def sweep(context: typer.Context, dataset: Of = None, as_json: inputs.AsJson = False) -> None:
    """Erase what is past the `retention` of its column, as a deletion does; print the evidence.

    Each dataset with such a column gets a new data version, whether or not anything was past its time. Run it nightly,
    unless the service does (DPSTATS_CONSENT_EPOCH_AT). Budgets and published answers stay as they are.
    """
    with session_of(context).opened() as (workspace, me), working("sweeping"):
        swept = workspace.retaining.sweep(me, dataset)
    if as_json:
        show_json({"items": list(swept), "next": None})
        return
    for each in swept:
        before, after = (sum(each[key].values()) for key in ("rows_before", "rows_after"))
        left = "" if not after else f", {after} still there"
        say(f"{each['dataset']}: {each['data_version']}: {before} rows past their time, whole or in part{left}")
    if not swept:
        note("no dataset that is loaded says how long a column is needed")
