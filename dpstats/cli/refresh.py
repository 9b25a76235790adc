"""`dpstats refresh`: renews the feature views that are due; for cron."""

from __future__ import annotations

from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, note, show, show_json
from dpstats.cli.session import session_of, working


def refresh(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="VIEW", parser=inputs.name_text, help="The views; all of them if none is named."),
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Renew the feature views that are due, each whole or not at all, within its monthly envelope.

    Says what it skipped and why. Exit status 1 if a view was due and could not be renewed.
    """
    with (
        session_of(context).opened() as (workspace, me),
        workspace.asked.noting(me, "refresh"),
        working("renewing"),
    ):
        workspace.leave_out_erased()
        found = workspace.refreshing.refresh(me, names or ())
    if as_json:
        show_json({"items": [item.as_json() for item in found], "next": None})
    elif not found:
        note("no feature views yet: `dpstats features add FILE` adds one")
    else:
        rows = tuple((item.view, item.state, str(len(item.releases)), item.why) for item in found)
        show(Table(("view", "state", "new releases", "why"), rows, frozenset({"new releases"})))
    if any(item.state == "refused" for item in found):
        raise typer.Exit(FAILED)
