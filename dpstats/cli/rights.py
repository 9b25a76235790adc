"""`dpstats rights`: what people ask about their own data, by the law's clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, destination, note, say, show, show_json, tell
from dpstats.cli.session import session_of

app = typer.Typer(
    help="Rights requests: open, list, show, confirm, verify, execute, extend, deny, revoke, kept, notify, metrics."
)

NEEDS = {
    **{("verify", kind): " --level LEVEL --method HOW" for kind in ("know", "delete", "correct")},
    ("execute", "correct"): " --table TABLE --set COLUMN=VALUE",
}
"""What the next command cannot do without, by it and the request's type."""

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, as `rights open` prints it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in the words that the person was told.")]


@app.command("open")
def open_request(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="know, delete, correct, opt_out or limit.")],
    dataset: inputs.DatasetName,
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The person's id, as the data have it.")],
    agent: Annotated[str, typer.Option("--agent", help="Who asks for the person, if another.")] = "",
    permission: Annotated[
        str, typer.Option("--permission", help="Of an agent: where the person's signed permission is.")
    ] = "",
    waive: Annotated[
        bool, typer.Option("--waive", help="Answer a third request to know within 12 months too.")
    ] = False,
    as_json: inputs.AsJson = False,
) -> None:
    """Keep a new request, and print its dates."""
    with session_of(context).opened() as (workspace, me):
        opened = workspace.rights.open(me, kind, dataset, unit, agent=agent, permission=permission, waive=waive)
    _say(opened, as_json)


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


@app.command("metrics")
def metrics(
    context: typer.Context,
    year: Annotated[int, typer.Option("--year", metavar="YEAR", min=2000, max=9999, help="Of receipt.")],
    as_json: inputs.AsJson = False,
) -> None:
    """Print a year in numbers: received, complied with and denied by type, and the days that answers took.

    What was closed, or expired, more than 24 months ago is kept no longer, and not counted.
    """
    with session_of(context).opened() as (workspace, me):
        found = workspace.rights.totals(me, year)
    if as_json:
        show_json(found)
        return
    keys = ("received", "complied", "denied", "taken_back", "open", "median_days", "mean_days")
    cells = [[found["requests"][kind][key] for key in keys] for kind in found["requests"]]
    rows = [
        (kind, *("-" if cell is None else str(cell) for cell in row))
        for kind, row in zip(found["requests"], cells, strict=True)
    ]
    show(Table(("type", *(key.replace("_", " ") for key in keys)), tuple(rows)))


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
        said = f": {step['said']}" if step["said"] else ""
        tell(f"  {step['at'][:19]}Z  {step['step']} by {step['actor']}{said}")
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
    level: Annotated[str, typer.Option("--level", help="none, reasonable or reasonably_high (or high, for short).")],
    method: Annotated[str, typer.Option("--method", help="How it was found out who asks.")],
    as_json: inputs.AsJson = False,
) -> None:
    """Note how sure you are of who asks.

    A request to know gives the categories at a reasonable level, and the very pieces at reasonably_high. A deletion
    and a correction take a reasonable one, and reasonably_high where sensitive data are held.
    """
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.verify(me, request, level, method), as_json)


@app.command("execute")
def execute(
    context: typer.Context,
    request: RequestId,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Of a request to know: write its package, a ZIP.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", metavar="TABLE", help="Of a request to correct: the table.")
    ] = None,
    put: Annotated[
        list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="What is true instead; once a column.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="COLUMN=VALUE", help="In which of the person's rows.")
    ] = None,
    kept: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            metavar="WHAT=CODE",
            help="Of a deletion: TABLE.COLUMN to keep, sealed, or what other systems keep, by 1798.105(d)(n). "
            "To know: TABLE.COLUMN, by 1798.145(x).",
        ),
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Carry a request out; after a crash, run it again.

    A deletion erases the whole person from the data; what is kept of it all the same is shown by `rights kept`. A
    correction names a table, what is true instead, and in which rows, if a person may have several there. Every later
    load puts it in place too, until the source says the same.
    """
    from dpstats.workspace.correcting import Wanted

    cells = [inputs.pairs(given or (), name, "COLUMN=VALUE") for name, given in (("--set", put), ("--where", where))]
    if table is None and any(cells):
        raise typer.BadParameter("is missing: a correction is of one table", param_hint="--table")
    wanted = None if table is None else Wanted(table, *cells)
    with session_of(context).opened() as (workspace, me), destination(out) as write:
        found = workspace.rights.execute(me, request, wanted, inputs.pairs(kept or (), "--except", "WHAT=CODE"))
        if out and "package" in found:
            write(workspace.rights.package(me, found.pop("package")["path"].rpartition("/")[2]))
    if as_json:
        show_json(found)
        return
    _say(found, False)
    if "package" in found:
        way, until = found["package"]["path"], found["package"]["expires_at"][:10]
        say(f"  its package is fetched once, by {until}, with a steward's token: {way}")
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


@app.command("revoke")
def revoke(context: typer.Context, request: RequestId, as_json: inputs.AsJson = False) -> None:
    """End a request that the person, or their agent, took back: nothing of it is carried out."""
    with session_of(context).opened() as (workspace, me):
        _say(workspace.rights.revoke(me, request), as_json)


@app.command("kept")
def kept(
    context: typer.Context,
    request: Annotated[str | None, typer.Argument(metavar="ID", help="A deletion: show what is kept of it.")] = None,
    end: Annotated[bool, typer.Option("--end", help="With ID: what is kept of it goes, for good.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="With --end: why it need not be kept any more.")] = "",
    as_json: inputs.AsJson = False,
) -> None:
    """List what is kept back of deletions; with ID, show its cells, which is noted in the request's steps."""
    if end and (request is None or not reason.strip()):
        missing = ("ID", "name the deletion") if request is None else ("--reason", "is missing: it is noted")
        raise typer.BadParameter(missing[1], param_hint=missing[0])
    with session_of(context).opened() as (workspace, me):
        if request is not None and not end:
            _show_kept(workspace.keeping.read(me, request), as_json)
            return
        found = workspace.keeping.all(me) if request is None else workspace.keeping.end(me, request, reason)
    if as_json:
        show_json({"ended" if end else "items": found})
    elif end:
        say(f"{request}: {', '.join(each['column'] for each in found)}: nothing of it is kept any more")
    elif found:
        keys = ("request", "dataset", "column", "code", "since", "cells")
        show(Table(keys, tuple(tuple(str(each[key]) for key in keys) for each in found)))
    else:
        note("nothing is kept back of any deletion")


def _show_kept(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    for each in found["columns"]:
        never = ", and is never disclosed: do not send it along" if each["never_disclose"] else ""
        say(f"{each['column']} of {each['dataset']} is kept since {each['since'][:10]} by {each['code']}{never}")
    for name, table in found["tables"].items():
        rows = tuple(tuple("-" if cell is None else str(cell) for cell in row) for row in table["rows"])
        say(f"{name}:")
        show(Table(tuple(table["columns"]), rows))


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


def _say(request: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(request)
        return
    to_confirm = request["confirm_due"] and request["state"] == "received"
    confirm_by = f", to be confirmed by {request['confirm_due']}" if to_confirm else ""
    say(f"{request['id']}: {request['type']} of {request['dataset']}: {request['state']}{confirm_by}")
    say(f"  to be answered by {request['respond_due']} (Los Angeles)")
    if request["status"].get("reason") == "too_many_requests":
        say("  denied: the third to know within 12 months; `rights open .. --waive` answers it all the same")
    if request["next"]:
        needs = NEEDS.get((request["next"], request["type"]), "")
        say(f"  next: dpstats rights {request['next']} {request['id']}{needs}")
    if (request["type"], request["next"], request["level"]) == ("know", "execute", "reasonable"):
        say(
            "  it gives the categories alone: the pieces take `rights verify` with --level reasonably_high, before that"
        )
