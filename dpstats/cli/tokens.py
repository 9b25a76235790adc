"""`dpstats token`: who may ask over the network."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, note, say, show, show_json
from dpstats.cli.session import session_of, values_refused
from dpstats.cli.words import number, utc

app = typer.Typer(help="Tokens: create, list, revoke.")


class RoleName(StrEnum):
    """The roles by name, as `dpstats.ledger.tokens.Role` has them, which is too heavy to import for a help text."""

    ANALYST = "analyst"
    JOB = "job"
    STEWARD = "steward"
    COLLECTOR = "collector"


TokenName = Annotated[str, typer.Argument(metavar="NAME", parser=inputs.name_text, help="The token's name.")]


@app.command("create")
def create(
    context: typer.Context,
    name: TokenName,
    role: Annotated[RoleName, typer.Option(help="What it may do.")],
    dataset: Annotated[
        list[str] | None, typer.Option(metavar="D", help="A dataset that it may see; once for each. None: all.")
    ] = None,
    cap_rho: Annotated[
        Decimal | None,
        typer.Option(parser=inputs.amount, metavar="R", help="The most that it may ever charge, as rho."),
    ] = None,
) -> None:
    """Make a token. It is printed once, alone on stdout."""
    datasets = tuple(inputs.name_text(one) for one in dataset or ())
    with session_of(context).opened() as (workspace, me), values_refused():
        text = workspace.tokens.create(me, name, role.value, datasets=datasets, cap_rho=cap_rho)
    say(text)
    note(f"token {name} of role {role.value}: keep it safe, it cannot be shown again")


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List every token ever made; never its text."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.tokens.all(me)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("no tokens yet: `dpstats token create NAME --role analyst` makes one")
    else:
        heads = ("name", "role", "datasets", "cap rho", "begins with", "made (UTC)", "state")
        show(Table(heads, tuple(_row(item) for item in items), numeric=frozenset({"cap rho"})))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    state = f"revoked {utc(item['revoked_at'])}" if item["revoked_at"] else "live"
    seen = ", ".join(item["datasets"]) or "all"
    made = utc(item["created_at"])
    return item["name"], item["role"], seen, number(item["cap_rho"]), item["prefix"] + "...", made, state


@app.command("revoke")
def revoke(context: typer.Context, name: TokenName) -> None:
    """End a token, at once and for good."""
    with session_of(context).opened() as (workspace, me):
        workspace.tokens.revoke(me, name)
    say(f"token {name} is revoked: whoever holds it can do nothing with it now")
