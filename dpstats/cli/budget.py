"""`dpstats budget`: what is left, and what a steward may do about it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, say, show, show_json, tell
from dpstats.cli.session import session_of, values_refused
from dpstats.cli.words import number

app = typer.Typer(help="Budgets: show, grant, freeze, thaw.")


@app.command("show")
def show_budget(context: typer.Context, dataset: inputs.DatasetName, as_json: inputs.AsJson = False) -> None:
    """Show what is spent and what is left of a dataset's budget, and until when it lasts."""
    with session_of(context).opened() as (workspace, me):
        budget = workspace.budgets.one(me, dataset)
        frozen = workspace.datasets.one(me, dataset)["frozen"]
        spending = workspace.spending.of(me, dataset)
    if as_json:
        show_json(budget | {name: spending[name] for name in ("forecast", "spent_by", "burn_down")})
        return
    say(f"{dataset}: {left_text(budget)}")
    if budget["rho"] is not None:
        spent, cap, left = (number(budget[key]) for key in ("rho_spent", "rho", "rho_remaining"))
        say(f"  rho {spent} of {cap} spent, {left} left")
        say(f"  delta {number(budget['delta_remaining'])} left for private keys")
    if "blocks" in budget:
        say(
            "  blocks, each with a budget of its own that never refills; epsilon is for the data of one unit that is in"
        )
        say("  this block alone, the line above for a unit's whole history:")
        show(_blocks_table(budget["blocks"]))
    for forecast in spending["forecast"].values():
        tell(f"  {forecast['says']}")
        tell(f"    {forecast['assumes']}")
    if frozen:
        say(f"  frozen: nobody can ask it anything until `dpstats budget thaw {dataset}`")


def _blocks_table(blocks: list[dict[str, Any]]) -> Table:
    pure = all(block["rho"] is None for block in blocks)
    zcdp = () if pure else ("rho_spent", "rho", "rho_remaining", "delta_remaining")
    shown = ("epsilon_spent", "epsilon", "epsilon_remaining", *zcdp)
    rows = tuple((block["block"], *(number(block[key]) for key in shown)) for block in blocks)
    heads = ("block", *(key.replace("_", " ").replace("remaining", "left") for key in shown))
    return Table(heads, rows, numeric=frozenset(heads[1:]))


def left_text(budget: dict[str, Any]) -> str:
    """What is spent and left, in a sentence: `epsilon 0.45 of 6 spent, 5.55 left (at delta 0.000001)`."""
    spent, cap, left = (number(budget[key]) for key in ("epsilon_spent", "epsilon", "epsilon_remaining"))
    at = f"at delta {number(budget['delta'])}" if budget["rho"] is not None else "pure, delta 0"
    return f"epsilon {spent} of {cap} spent, {left} left ({at})"


@app.command("grant")
def grant(
    context: typer.Context,
    dataset: inputs.DatasetName,
    reason: Annotated[str, typer.Option(help="Why; it is written in the ledger for good.")],
    rho: Annotated[
        Decimal | None, typer.Option(parser=inputs.amount, metavar="R", help="What is added, as rho.")
    ] = None,
    epsilon: Annotated[
        Decimal | None, typer.Option(parser=inputs.amount, metavar="E", help="What is added, as epsilon.")
    ] = None,
) -> None:
    """Raise a dataset's budget. There is no way back."""
    if (rho is None) == (epsilon is None):
        raise typer.BadParameter("give either --rho or --epsilon", param_hint="--rho")
    if not reason.strip() or not reason.isprintable():
        raise typer.BadParameter("say why, on one line", param_hint="--reason")
    with session_of(context).opened() as (workspace, me):
        with values_refused():
            entry = workspace.budgets.grant(me, dataset, rho=rho, epsilon=epsilon, reason=reason)
        budget = workspace.budgets.one(me, dataset)
    say(f"granted as entry {entry['seq']} of the ledger: {dataset}: {left_text(budget)}")


@app.command("freeze")
def freeze(context: typer.Context, dataset: inputs.DatasetName) -> None:
    """Freeze a dataset: nobody can ask it anything.

    Not even what was answered before.
    """
    with session_of(context).opened() as (workspace, me):
        workspace.budgets.freeze(me, dataset, frozen=True)
    say(f"{dataset} is frozen: nobody can ask it anything until `dpstats budget thaw {dataset}`")


@app.command("thaw")
def thaw(context: typer.Context, dataset: inputs.DatasetName) -> None:
    """End a freeze."""
    with session_of(context).opened() as (workspace, me):
        workspace.budgets.freeze(me, dataset, frozen=False)
    say(f"{dataset} is open: its approved queries can be run")
