"""`dpstats release`: what a steward may do about an answer that was given."""

from __future__ import annotations

from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import say
from dpstats.cli.session import session_of, values_refused

app = typer.Typer(help="Releases: withdraw.")

ReleaseId = Annotated[str, typer.Argument(metavar="ID", parser=inputs.name_text, help="The release's id.")]


@app.callback()
def releases() -> None:
    """What a steward may do about an answer that was given."""


@app.command("withdraw")
def withdraw(
    context: typer.Context,
    release_id: ReleaseId,
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")],
) -> None:
    """Give a release to nobody any more.

    What it cost stays charged; asked again, it is drawn and charged anew. There is no way back.
    """
    inputs.check_reason(reason)
    with session_of(context).opened() as (workspace, me), values_refused():
        workspace.releases.withdraw(me, release_id, reason)
    say(f"{release_id} is withdrawn: nobody is given it any more, and its charge stays")
