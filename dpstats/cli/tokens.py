"""`dpstats token`: who may ask over the network."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, note, say, show, show_json
from dpstats.cli.session import session_of, values_refused
from dpstats.cli.words import number, utc

app = typer.Typer(help="Tokens: create, list, rotate, revoke.")


class RoleName(StrEnum):
    """The roles by name, as `dpstats.ledger.tokens.Role` has them, which is too heavy to import for a help text."""

    ANALYST = "analyst"
    JOB = "job"
    STEWARD = "steward"
    COLLECTOR = "collector"


TokenName = Annotated[str, typer.Argument(metavar="NAME", parser=inputs.name_text, help="The token's name.")]
Grace = Annotated[
    timedelta | None,
    typer.Option(parser=inputs.span, metavar="SPAN", help="How long the old secret is still taken: 1h, 2d. None: not."),
]
NewEnd = Annotated[
    timedelta | None, typer.Option("--expires", parser=inputs.span, metavar="SPAN", help="A new end, from now on: 90d.")
]


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
    expires: Annotated[
        str | None,
        typer.Option(
            parser=inputs.life_text, metavar="SPAN", help="How long it lives: 90d, 12h, never. None: a setting."
        ),
    ] = None,
    accepts_terms: Annotated[
        bool, typer.Option("--accepts-terms", help="Its holder accepted the recipients' terms in force, on paper say.")
    ] = False,
) -> None:
    """Make a token. It is printed once, alone on stdout."""
    datasets = tuple(inputs.name_text(one) for one in dataset or ())
    session = session_of(context)
    life = inputs.life(expires or session.settings().token_expires)
    with session.opened() as (workspace, me), values_refused():
        text = workspace.tokens.create(me, name, role.value, datasets=datasets, cap_rho=cap_rho, life=life)
        if accepts_terms:
            workspace.terms.accept_for(me, name)
    say(text)
    note(f"token {name} of role {role.value}: keep it safe, it cannot be shown again")


@app.command("rotate")
def rotate(context: typer.Context, name: TokenName, grace: Grace = None, expires: NewEnd = None) -> None:
    """Give a token a new secret, printed once.

    Its cap and what it spent stay. The old one ends at once, unless `--grace` says otherwise.
    """
    with session_of(context).opened() as (workspace, me), values_refused():
        text = workspace.tokens.rotate(me, name, grace=grace or timedelta(0), life=expires)
    say(text)
    note(f"token {name} has a new secret: keep it safe, it cannot be shown again")


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List every token ever made, and the day (UTC) of its last request; never its text."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.tokens.all(me)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("no tokens yet: `dpstats token create NAME --role analyst` makes one")
    else:
        heads = ("name", "role", "datasets", "cap rho", "begins with", "made (UTC)", "last used", "state")
        show(Table(heads, tuple(_row(item) for item in items), numeric=frozenset({"cap rho"})))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    seen = ", ".join(item["datasets"]) or "all"
    made = utc(item["created_at"])
    own = item["name"], item["role"], seen, number(item["cap_rho"]), item["prefix"] + "..."
    return *own, made, item["last_used"] or "-", _state(item)


def _state(item: dict[str, Any]) -> str:
    match item["state"]:
        case "revoked":
            return f"revoked {utc(item['revoked_at'])}"
        case "expired":
            return f"expired {utc(item['expires_at'])}"
        case _:
            until = f" until {utc(item['expires_at'])}" if item["expires_at"] else ""
            earlier = f", the old secret until {utc(item['earlier_until'])}" if item["earlier_until"] else ""
            return f"live{until}{earlier}"


@app.command("revoke")
def revoke(context: typer.Context, name: TokenName) -> None:
    """End a token, at once and for good."""
    with session_of(context).opened() as (workspace, me):
        workspace.tokens.revoke(me, name)
    say(f"token {name} is revoked: whoever holds it can do nothing with it now")
