"""`dpstats budget`: what is left, and what a steward may do about it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, say, show, show_json, tell
from dpstats.cli.session import session_of, values_refused
from dpstats.cli.words import number
from dpstats.words import at_least, at_most

app = typer.Typer(
    help="Budgets: show, grant, cap, freeze, thaw; what takes two stewards, and what waits for the second."
)


@app.command("show")
def show_budget(context: typer.Context, dataset: inputs.DatasetName, as_json: inputs.AsJson = False) -> None:
    """Show what is spent and what is left of a dataset's budget, and until when it lasts."""
    with session_of(context).opened() as (workspace, me):
        budget = workspace.budgets.one(me, dataset)
        frozen = workspace.datasets.one(me, dataset)["frozen"]
        spending = workspace.spending.of(me, dataset)
        caps = workspace.capping.all(me, dataset)
    if as_json:
        show_json(budget | {name: spending[name] for name in ("forecast", "spent_by", "burn_down")} | {"caps": caps})
        return
    say(f"{dataset}: {left_text(budget)}")
    if budget["rho"] is not None:
        spent, cap, left = (number(budget[key]) for key in ("rho_spent", "rho", "rho_remaining"))
        say(f"  rho {spent} of {cap} spent, {left} left")
        say(f"  delta {number(budget['delta_remaining'])} left for private keys")
    if "blocks" in budget:
        tell(
            "  blocks, each with a budget of its own that never refills; epsilon is for the data of one unit that is "
            "in this block alone, the line above for a unit's whole history. Listed are those that a query's `window` "
            "can name; a query without one is charged to all that there are:"
        )
        show(_blocks_table(budget["blocks"]))
    for cap in caps["items"]:
        say(f"  {cap_text(cap)}")
    for forecast in spending["forecast"].values():
        tell(f"  {forecast['says']}")
        tell(f"    {forecast['assumes']}")
    if frozen:
        say(f"  frozen: nobody can ask it anything until `dpstats budget thaw {dataset}`")


def _rounded(key: str, value: float) -> str:
    """To four digits, so that a row fits a terminal; against us, as everything."""
    return at_most(value) if key.endswith("spent") else at_least(value)


def _blocks_table(blocks: list[dict[str, Any]]) -> Table:
    pure = all(block["rho"] is None for block in blocks)
    zcdp = () if pure else ("rho_spent", "rho", "rho_remaining", "delta_remaining")
    shown = ("epsilon_spent", "epsilon", "epsilon_remaining", *zcdp)
    rows = tuple((block["block"], *(_rounded(key, block[key]) for key in shown)) for block in blocks)
    heads = ("block", *(key.replace("_", " ").replace("remaining", "left") for key in shown))
    return Table(heads, rows, numeric=frozenset(heads[1:]))


def left_text(budget: dict[str, Any]) -> str:
    """What is spent and left, in a sentence: `epsilon 0.45 of 6 spent, 5.55 left (at delta 0.000001)`."""
    spent, cap, left = (number(budget[key]) for key in ("epsilon_spent", "epsilon", "epsilon_remaining"))
    at = f"at delta {number(budget['delta'])}" if budget["rho"] is not None else "pure, delta 0"
    return f"epsilon {spent} of {cap} spent, {left} left ({at})"


def cap_text(cap: dict[str, Any]) -> str:
    """A cap and what is left of it, in a line: `role analyst: rho 0.02 of 0.1 spent, 0.08 left`."""
    unit = "rho" if "rho_spent" in cap else "epsilon"
    cap_, spent, left = (number(cap[key]) for key in (unit, f"{unit}_spent", f"{unit}_remaining"))
    return f"{cap['scope']} {cap['name']}: {unit} {spent} of at most {cap_} spent, {left} left"


@app.command("cap")
def cap(
    context: typer.Context,
    dataset: inputs.DatasetName,
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")],
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Whose charges: analyst, job or steward.")] = None,
    purpose: Annotated[str | None, typer.Option(metavar="PURPOSE", help="Or the purpose that queries name.")] = None,
    rho: Annotated[
        Decimal | None, typer.Option(parser=inputs.amount, metavar="R", help="The most they may ever come to, as rho.")
    ] = None,
    epsilon: Annotated[
        Decimal | None,
        typer.Option(parser=inputs.amount, metavar="E", help="Or as epsilon, where the dataset's delta is 0."),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End the cap instead.")] = False,
) -> None:
    """Set, change or end what a role or a purpose may ever charge.

    A cap shares the budget out; it raises nothing. `budget show` lists those in force.
    """
    from dpstats.workspace.caps import NewCap

    if (role is None) == (purpose is None):
        raise typer.BadParameter("give either --role or --purpose", param_hint="--role")
    if [rho is not None, epsilon is not None, end].count(True) != 1:
        raise typer.BadParameter("give --rho, --epsilon or --end", param_hint="--rho")
    inputs.check_reason(reason)
    with session_of(context).opened() as (workspace, me), values_refused():
        caps = workspace.capping.change(me, dataset, NewCap(role, purpose, rho, epsilon, reason))["items"]
    for item in caps:
        say(cap_text(item))
    if not caps:
        say(f"no role and no purpose of {dataset} has a cap")


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
    """Raise a dataset's budget. There is no way back.

    Above what one steward may add alone it is proposed, and another one confirms it.
    """
    if (rho is None) == (epsilon is None):
        raise typer.BadParameter("give either --rho or --epsilon", param_hint="--rho")
    inputs.check_reason(reason)
    with session_of(context).opened() as (workspace, me):
        with values_refused():
            made = workspace.budgets.grant(me, dataset, rho=rho, epsilon=epsilon, reason=reason)
        budget = workspace.budgets.one(me, dataset)
    if "proposal_id" in made:
        say(f"nothing is granted yet: it takes two stewards to add so much. {_proposed(made)}")
        return
    say(f"granted as entry {made['seq']} of the ledger: {dataset}: {left_text(budget)}")


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


ProposalId = Annotated[str, typer.Argument(metavar="PROPOSAL", help="Its id, as `budget proposals` shows it.")]


@app.command("proposals")
def list_proposals(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List what stewards proposed, and what became of it."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.stewards.all(me)
    if as_json:
        show_json({"items": found, "next": None})
        return
    if not found:
        tell("nothing was proposed: `dpstats budget policy` says what takes two stewards")
        return
    show(Table(("proposal", "kind", "subject", "asks", "by", "until", "outcome"), tuple(map(_proposal_row, found))))


def _proposal_row(item: dict[str, Any]) -> tuple[str, ...]:
    asks = item["asks"]
    what = policy_text(asks) if item["kind"] == "policy" else f"epsilon {number(asks['epsilon'])}"
    decided = f"{item['outcome']} by {item['decided_by']}" if item["decided_by"] else item["outcome"]
    proposed = (item["proposal_id"], item["kind"], item["subject"], what, item["proposed_by"])
    return (*proposed, item["expires_at"][:10], decided)


def _proposed(proposal: dict[str, Any]) -> str:
    name, proposer, until = proposal["proposal_id"], proposal["proposed_by"], proposal["expires_at"][:10]
    return (
        f"proposal {name} waits until {until} for another steward than {proposer}: "
        f"`dpstats budget confirm {name}` on the host, or POST /v1/proposals/{name}/confirm with a token"
    )


@app.command("confirm")
def confirm(context: typer.Context, proposal: ProposalId) -> None:
    """Do what another steward proposed, in the name of both."""
    with session_of(context).opened() as (workspace, me):
        made = workspace.stewards.confirm(me, proposal)
    say(f"confirmed: the {made['kind']} of {made['subject']} that {made['proposed_by']} proposed is done")


@app.command("decline")
def decline(context: typer.Context, proposal: ProposalId) -> None:
    """End a proposal, one's own or another's."""
    with session_of(context).opened() as (workspace, me):
        ended = workspace.stewards.decline(me, proposal)
    say(f"declined: nothing comes of the {ended['kind']} of {ended['subject']} that {ended['proposed_by']} proposed")


@app.command("policy")
def policy(
    context: typer.Context,
    grants_above: Annotated[
        Decimal | None,
        typer.Option(
            parser=inputs.limit, metavar="E", help="Grants past this epsilon, one steward's added up, or `never`."
        ),
    ] = None,
    approvals_above: Annotated[
        Decimal | None,
        typer.Option(parser=inputs.limit, metavar="E", help="Queries dearer than this epsilon, or `never`."),
    ] = None,
    new_lineages: Annotated[
        bool | None, typer.Option("--new-lineages/--no-new-lineages", help="New lineages, each a new pool of budget.")
    ] = None,
    sensitive: Annotated[
        bool | None, typer.Option("--sensitive/--no-sensitive", help="Queries that read sensitive columns.")
    ] = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Show or set what takes two stewards.

    Nothing does until it is said. What lets one steward do more than before takes two itself.
    """
    from dpstats.workspace.stewards import NewPolicy

    new = NewPolicy(grants_above, approvals_above, new_lineages, sensitive)
    with session_of(context).opened() as (workspace, me), values_refused():
        told = workspace.stewards.policy(me) if new == NewPolicy() else workspace.stewards.set_policy(me, new)
    if as_json:
        show_json(told)
    elif "proposal_id" in told:
        say(f"nothing is changed yet: it lets one steward do more than before. {_proposed(told)}")
    else:
        say(f"two stewards for: {policy_text(told)}")


def policy_text(policy: dict[str, Any]) -> str:
    """What takes two stewards, in a line: `grants above epsilon 1, new lineages`."""
    limits = {"grants": policy["grants_above"], "approvals": policy["approvals_above"]}
    parts = [f"{what} above epsilon {number(limit)}" for what, limit in limits.items() if limit is not None]
    parts += ["new lineages"] * policy["new_lineages"] + ["approvals that read sensitive columns"] * policy["sensitive"]
    return ", ".join(parts) or "nothing"
