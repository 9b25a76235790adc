"""`dpstats query`: the review of queries, and asking them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpstats.cli import asking, explanation, inputs
from dpstats.cli.explanation import QueryPath
from dpstats.cli.output import Table, note, say, show, show_json, tell
from dpstats.cli.query_text import query_lines, sql_lines, state_of
from dpstats.cli.session import session_of, working
from dpstats.errors import Conflict, DpstatsError, QueryRefused
from dpstats.words import counted

if TYPE_CHECKING:
    from dpstats.ledger.tokens import Identity
    from dpstats.workspace import Workspace

app = typer.Typer(help="Queries: check, approve, list, preview, run and more.")
app.command("check")(explanation.check)

NameOrFile = Annotated[
    str, typer.Argument(metavar="NAME|FILE", parser=inputs.name_text, help="A submitted query, or a query's YAML file.")
]
Version = Annotated[
    str | None,
    typer.Option(
        metavar="V", parser=inputs.name_text, help="The version that was reviewed; refused if another stands."
    ),
]

Expires = Annotated[
    timedelta | None,
    typer.Option(
        metavar="SPAN",
        parser=inputs.span,
        help="How long it holds, like 90d; the dataset's own limit if that is shorter.",
    ),
]


@app.command("submit")
def submit(context: typer.Context, file: QueryPath) -> None:
    """Submit a query's file for review.

    It answers nothing until it is approved.
    """
    with session_of(context).opened() as (workspace, me), working(f"checking {file}"):
        name, version = _submitted(workspace, me, file)
        warnings = workspace.review.check_file(file).warnings
    say(f"{name} is submitted in version {version}: `dpstats query approve {name}` approves it")
    _warn(warnings)


@app.command("approve")
def approve(context: typer.Context, name: NameOrFile, version: Version = None, expires: Expires = None) -> None:
    """Approve a query; a file is submitted and approved in one step."""
    warnings: tuple[str, ...] = ()
    with session_of(context).opened() as (workspace, me):
        if name.endswith(".yaml") or Path(name).is_file():
            file = Path(name)
            name, version = _from_file(workspace, me, file, version)
            warnings = workspace.review.check_file(file).warnings
        approved = workspace.review.approve(me, name, version, expires)
    say(f"{name} is approved in version {approved}")
    _warn(warnings)


def _warn(warnings: Sequence[str]) -> None:
    """What `query check` warns of too, once it is done: a refusal has its one line to itself."""
    for warning in warnings:
        note(f"Warning: {warning}")


def _from_file(workspace: Workspace, me: Identity, file: Path, version: str | None) -> tuple[str, str]:
    """Submits a file, once it is sure that it is what was reviewed; gives its name and version."""
    if version is not None:
        stands = workspace.review.check_file(file).analysis.version
        if stands != version:
            raise Conflict(f"{file} is version {stands}, not {version}: review it with `dpstats query check`")
    return _submitted(workspace, me, file)


def _submitted(workspace: Workspace, me: Identity, file: Path) -> tuple[str, str]:
    try:
        return workspace.review.submit(me, file)
    except QueryRefused as error:
        raise _in_short(error, file) from None


def _in_short(error: QueryRefused, file: Path) -> DpstatsError:
    """One line however many reasons there are."""
    if len(error.reasons) == 1:
        return error
    many = counted(len(error.reasons), "reason")
    return Conflict(f"query {error.query} cannot be answered, for {many}: `dpstats query check {file}` lists them")


@app.command("revoke")
def revoke(context: typer.Context, name: inputs.QueryName, version: Version = None) -> None:
    """End a query's approvals.

    It answers nothing then, not even what it answered before.
    """
    with session_of(context).opened() as (workspace, me):
        ended = workspace.review.revoke(me, name, version)
    say(f"{name} is revoked: it answers nothing now" if ended else f"{name} had no approval to revoke")


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List the queries, approved or not."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.review.all(me, approved_only=False)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("no queries yet: `dpstats query approve FILE` submits and approves one")
    else:
        heads = ("query", "dataset", "state", "parameters", "title")
        rows = (
            (
                q["query"],
                q["dataset"],
                state_of(q),
                _names(q["parameters"]),
                q["title"],
            )
            for q in items
        )
        show(Table(heads, tuple(rows)))


def _names(parameters: dict[str, object]) -> str:
    return " ".join(parameters) or "-"


@app.command("show")
def show_query(context: typer.Context, name: inputs.QueryName, as_json: inputs.AsJson = False) -> None:
    """Show a query's parameters, bounds, price, SQL and approvals."""
    with session_of(context).opened() as (workspace, me):
        query = workspace.review.one(me, name)
    if as_json:
        show_json(query)
        return
    tell(*query_lines(query))
    say("\n".join(sql_lines(query)))


app.command("preview")(asking.preview)
app.command("run")(asking.run)
