"""`dpstats rights`: what people ask about their own data, by the law's clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, destination, note, say, show, show_json
from dpstats.cli.session import session_of

app = typer.Typer(help="Rights requests: open, list, show, confirm, verify, execute, extend, deny, notify, metrics.")

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, as `rights open` prints it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in the words that the person was told.")]


@app.command("open")
def open_request(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="know, delete, correct, opt_out or limit.")],
    dataset: inputs.DatasetName,
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The person's id, as the data have it.")],
    agent: Annotated[str, typer.Option("--agent", help="Who asks for the person, if another.")] = "",
    as_json: inputs.AsJson = False,
) -> None:
    """Keep a new request, and print its dates."""
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.open(me, kind, dataset, unit, agent=agent), as_json)


@app.command("list")
def list_requests(
    context: typer.Context,
    due: Annotated[bool, typer.Option("--due", help="Only clocks that are near their end, or past it.")] = False,
    as_json: inputs.AsJson = False,
) -> None:
    """List every request, oldest first."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.rights.due() if due else workspace.rights.all(me)
    if as_json:
        show_json({"items": found, "next": None})
        return
    keys = ("id", "what", "due", "overdue") if due else ("id", "type", "dataset", "state", "confirm_due", "respond_due")
    rows = tuple(tuple(str(item[key] if item[key] is not None else "-") for key in keys) for item in found)
    show(Table(tuple(key.replace("_", " ") for key in keys), rows)) if rows else note("there are none")


@app.command("show")
def show_request(context: typer.Context, request: RequestId, as_json: inputs.AsJson = False) -> None:
    """Show a request: where it stands, its steps, and the evidence once it is fulfilled."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.rights.one(me, request)
    if as_json:
        show_json(found)
        return
    _say(found, False)
    for step in found["steps"]:
        say(f"  {step['at'][:19]}Z  {step['step']} by {step['actor']}")
    if found["evidence"]:
        show_json(found["evidence"])


@app.command("confirm")
def confirm(context: typer.Context, request: RequestId, as_json: inputs.AsJson = False) -> None:
    """Note that the person was told that the request came."""
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.confirm(me, request), as_json)


@app.command("verify")
def verify(
    context: typer.Context,
    request: RequestId,
    level: Annotated[str, typer.Option("--level", help="none, reasonable or reasonably_high.")],
    method: Annotated[str, typer.Option("--method", help="How it was found out who asks.")],
    as_json: inputs.AsJson = False,
) -> None:
    """Note how sure you are of who asks."""
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.verify(me, request, level, method), as_json)


@app.command("execute")
def execute(
    context: typer.Context,
    request: RequestId,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Of a request to know: write its package, a ZIP.")
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Carry a request out; after a crash, run it again."""
    with session_of(context).opened() as (workspace, me), destination(out) as write:
        found = workspace.rights.execute(me, request)
        if out and "package" in found:
            write(workspace.rights.package(me, found.pop("package")["path"].rpartition("/")[2]))
    if as_json:
        show_json(found)
        return
    _say(found, False)
    if "package" in found:
        say(f"  its package is fetched once, by {found['package']['expires_at'][:10]}: {found['package']['path']}")
    for line in found["evidence"].get("told", []):
        say(f"  tell the person: {line}")


@app.command("extend")
def extend(context: typer.Context, request: RequestId, reason: Reason, as_json: inputs.AsJson = False) -> None:
    """Move the answer 45 days on: once, inside the first 45."""
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.extend(me, request, reason), as_json)


@app.command("deny")
def deny(context: typer.Context, request: RequestId, reason: Reason, as_json: inputs.AsJson = False) -> None:
    """End a request: no_match, not_covered, insufficient_verification .., or a sentence."""
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.deny(me, request, reason), as_json)


@app.command("notify")
def notify(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """Send what is near due or overdue, and notices to recipients, as the file of DPSTATS_WEBHOOKS says.

    The service does so by itself; run it from cron where none runs. Exit status 1 if something was not taken.
    """
    with session_of(context).opened() as (workspace, me):
        done = workspace.notifying.notify(me)
        told = workspace.notifying.tells_somebody
    if as_json:
        show_json(done)
    elif not told:
        note("nobody is sent anything: DPSTATS_WEBHOOKS names no file")
    else:
        say(f"{done['delivered']} delivered, {done['to_be_tried_again']} to be tried again")
    if done["to_be_tried_again"]:
        raise typer.Exit(FAILED)


@app.command("metrics")
def metrics(
    context: typer.Context,
    year: Annotated[int | None, typer.Option("--year", help="Of one year; of all if it is not given.")] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Count requests by year and kind: received, complied with, denied, and the median days to answer.

    Exact numbers, for a steward; closed requests are kept for 24 months, and counted no longer. The public report tells
    them rounded, of years that are over.
    """
    with session_of(context).opened() as (workspace, me):
        found = [each for each in workspace.publishing.request_totals(me) if year in (None, each["year"])]
    if as_json:
        show_json({"items": found, "next": None})
        return
    keys = ("year", "kind", "received", "complied", "denied", "median_days")
    rows = tuple(tuple("-" if item[key] is None else str(item[key]) for key in keys) for item in found)
    show(Table(tuple(key.replace("_", " ") for key in keys), rows)) if rows else note("there are none")


def _say(request: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(request)
        return
    confirm_by = f", to be confirmed by {request['confirm_due']}" if request["confirm_due"] else ""
    say(f"{request['id']}: {request['type']} of {request['dataset']}: {request['state']}{confirm_by}")
    say(f"  to be answered by {request['respond_due']} (Los Angeles)")
    if request["next"]:
        say(f"  next: dpstats rights {request['next']} {request['id']}")
