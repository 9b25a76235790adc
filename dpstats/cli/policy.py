"""`dpstats plan` and `dpstats apply`: the files of a folder against what is registered and approved."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dpstats.cli import inputs
from dpstats.cli.answer import sure
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, note, say, show, show_json, tell
from dpstats.cli.session import session_of, working
from dpstats.cli.words import days_text, moment_text, number
from dpstats.errors import Conflict
from dpstats.words import counted

if TYPE_CHECKING:
    from dpstats.ledger.tokens import Identity
    from dpstats.workspace import Workspace
    from dpstats.workspace.policy import PolicyPlan

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with a folder for each dataset.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before anything is done.")]
Prune = Annotated[bool, typer.Option("--prune", help="Revoke queries, and withdraw views, that have no file any more.")]

QUERIES = Path("queries")
PARTS_SHOWN = 6
"""Keys that differ are told up to so many; `--json` has all."""


def plan(context: typer.Context, folder: Folder = QUERIES, as_json: inputs.AsJson = False) -> None:
    """Show what the files of a folder would change.

    Datasets, queries and feature views, new, changed and withdrawn: prices, errors, and what a year of them costs.
    Exit status 1 if `dpstats apply` would refuse them.
    """
    with session_of(context).opened() as (workspace, me):
        _, told = _planned(workspace, me, folder)
    show_json(told) if as_json else _show(told)
    if told["refusals"]:
        _refuse(told, "nothing would be applied")


def apply(
    context: typer.Context,
    folder: Folder = QUERIES,
    prune: Prune = False,
    yes: Yes = False,
    as_json: inputs.AsJson = False,
) -> None:
    """Carry out what `dpstats plan` shows.

    Nothing is done if anything is refused. Data are not loaded, and what was revoked stays revoked.
    """
    with session_of(context).opened() as (workspace, me):
        made, told = _planned(workspace, me, folder)
        if not as_json:
            _show(told, prune=prune)
        if told["refusals"]:
            if as_json:
                show_json({"done": [], "plan": told})
            _refuse(told, "nothing is changed")
        if _anything_to_do(told, prune=prune) and not yes:
            _ask()
        done = workspace.applying.apply(me, made, prune=prune)
        if as_json:
            show_json({"done": [item.view() for item in done], "plan": told})
            return
        say()
        for item in done:
            say(_done_text(item.view()))
    if not _anything_to_do(told, prune=prune):
        say("nothing to do")


def _planned(workspace: Workspace, me: Identity, folder: Path) -> tuple[PolicyPlan, dict[str, Any]]:
    from dpstats.workspace.policy_view import policy_view

    with working(f"reading {folder}"):
        made = workspace.planning.plan(me, folder)
        return made, policy_view(made, workspace.store.ledger)


def _refuse(told: Mapping[str, Any], what: str) -> NoReturn:
    note(f"dpstats: {what}: {counted(len(told['refusals']), 'refusal')}, see above or `dpstats plan`")
    raise typer.Exit(FAILED)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise Conflict("nothing is changed: there is no terminal to ask on, so say --yes")
    typer.confirm("Carry this out?", abort=True, err=True)


def _anything_to_do(told: Mapping[str, Any], *, prune: bool) -> bool:
    done = {"new", "changed", "submitted", "expired"} | ({"withdrawn"} if prune else set())
    return any(item["change"] in done for item in (*told["datasets"], *told["queries"], *told["views"]))


def _done_text(done: Mapping[str, Any]) -> str:
    match done["done"]:
        case "registered":
            return f"dataset {done['name']} is registered"
        case "revoked":
            return f"query {done['name']} is revoked: it answers nothing now"
        case "view registered":
            return f"feature view {done['name']} is registered: `dpstats refresh` releases what it needs"
        case "view withdrawn":
            return f"feature view {done['name']} is withdrawn: it is neither given nor renewed"
        case "view left":
            return f"feature view {done['name']} is not registered yet: a query of it cannot be asked; apply again then"
        case "proposed":
            way = f"another steward confirms proposal {done['proposal_id']}"
            return f"query {done['name']} is not approved yet: it takes two stewards, and {way}"
        case _:
            until = f" until {moment_text(done['expires_at'])}" if done["expires_at"] else ""
            return f"query {done['name']} is approved{until} in version {done['query_version'][:19]}..."


# -- what is shown -----------------------------------------------------------------------------------------------


def _show(told: Mapping[str, Any], *, prune: bool = False) -> None:
    tell(*_dataset_lines(told))
    if told["queries"]:
        say()
        heads = ("query", "change", "rho", "epsilon", "delta", "asked", "charges a year", "95 % error")
        numeric = frozenset({"rho", "epsilon", "delta", "charges a year"})
        show(Table(heads, tuple(_query_row(item) for item in told["queries"]), numeric))
    if told["views"]:
        say()
        show(_view_table(told["views"]))
    for head, lines in (
        ("Refused", told["refusals"]),
        ("Not done by applying", list(_left_lines(told, prune=prune))),
        ("Warnings", list(_warning_lines(told))),
        ("A year at these cadences", [_budget_line(budget) for budget in told["budgets"]]),
    ):
        if lines:
            say(f"\n{head}")
            tell(*(f"  {line}" for line in lines))
    say(f"\n{_summary(told)}")


def _dataset_lines(told: Mapping[str, Any]) -> Iterator[str]:
    for item in told["datasets"]:
        load = "; its data must be loaded before it answers" if item["load"] else ""
        yield f"dataset {item['dataset']}: {item['change']}{_parts_text(item)}{load}"
        if item["ends_approval_of"]:
            yield f"  ends the approval of {', '.join(item['ends_approval_of'])}"


def _parts_text(item: Mapping[str, Any]) -> str:
    """` (tables.visits.columns.spent.bounds, title)`: what differs, or nothing."""
    shown = [*item["parts"][:PARTS_SHOWN], *(["..."] if len(item["parts"]) > PARTS_SHOWN else [])]
    return f" ({', '.join(shown)})" if shown and item["change"] == "changed" else ""


def _price_cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Rho, epsilon and delta of one release, and what they were where they were others."""
    now, before = item["cost"], item["cost_before"]
    if now is None:
        return ("-",) * 3
    return tuple(
        number(now[name]) if before in (None, now) or before[name] == now[name] else _moved(before[name], now[name])
        for name in ("rho", "epsilon", "delta")
    )


def _moved(before: float | None, now: float | None) -> str:
    return f"{number(before)} -> {number(now)}"


def _query_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    year = item["year"]
    errors = "; ".join(f"{name} {sure(measure).partition('; ')[0]}" for name, measure in item["measures"].items())
    charges = "-" if year is None else f"{year['charges']:,}"
    change = item["change"] + _parts_text(item)
    return (item["query"], change, *_price_cells(item), item["cadence"] or "-", charges, errors or "-")


def _view_table(items: Sequence[Mapping[str, Any]]) -> Table:
    """Feature views, and what renewing each costs."""
    heads = ("feature view", "change", "rho", "epsilon", "delta", "renewed every", "releases a year", "epsilon a year")
    numeric = frozenset({"rho", "epsilon", "delta", "releases a year", "epsilon a year"})
    return Table(heads, tuple(_view_row(item) for item in items), numeric)


def _view_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    year, every = item["year"], item["refresh_s"]
    releases = "-" if year is None else f"{year['releases']:,}"
    most = (
        "-" if year is None else number(year["epsilon"]) + (" by its monthly limit" if year["held_by_monthly"] else "")
    )
    change = item["change"] + _parts_text(item)
    return (item["view"], change, *_price_cells(item), days_text(every) if every else "-", releases, most)


def _warning_lines(told: Mapping[str, Any]) -> Iterator[str]:
    for what, items in (("query", told["queries"]), ("view", told["views"])):
        yield from (f"{item[what]}: {warning}" for item in items for warning in item["warnings"])


def _left_lines(told: Mapping[str, Any], *, prune: bool) -> Iterator[str]:
    for item in told["views"]:
        if item["change"] == "withdrawn" and not prune:
            yield f"feature view {item['view']} has no file and stays, unless --prune is given"
        if item["change"] == "waiting":
            yield f"feature view {item['view']}: {item['reasons'][0]}"
    for item in told["queries"]:
        match item["change"]:
            case "withdrawn" if not prune:
                yield f"{item['query']} has no file and stays approved, unless --prune is given"
            case "revoked":
                yield f"{item['query']} was revoked: `dpstats query approve {item['file']}` approves it again"
            case "waiting":
                yield f"{item['query']}: {item['reasons'][0]}"


def _budget_line(budget: Mapping[str, Any]) -> str:
    """`complete_journey: rho 0.12 (0.1 as approved now) of 0.61 left; epsilon 0.4 spent now, 2.8 of 6 after it`."""
    measure = budget["measure"]
    before, year, left = (number(budget[name]) for name in ("year_before", "year", "remaining"))
    line = f"{budget['lineage']}: {measure} {year} ({before} as approved now) of {left} left"
    delta = f", delta {number(budget['delta_year'])} of {number(budget['delta_remaining'])}"
    line += delta if budget["delta_year"] else ""
    now, later, cap = (number(budget[name]) for name in ("epsilon_spent", "epsilon_after_year", "epsilon_cap"))
    line += f"; epsilon {now} spent now, {later} of {cap} after it"
    if budget["covered"]:
        return line
    return f"{line}: more than is left, which does for {counted(budget['days'], 'day')}"


def _summary(told: Mapping[str, Any]) -> str:
    changes = [item["change"] for item in told["queries"]]
    datasets = sum(item["change"] in {"new", "changed"} for item in told["datasets"])
    parts = [f"{counted(datasets, 'dataset')} to register"] if datasets else []
    parts += [f"{counted(changes.count(change), 'query', 'queries')} {change}" for change in dict.fromkeys(changes)]
    changes = [item["change"] for item in told["views"]]
    parts += [f"{counted(changes.count(change), 'feature view')} {change}" for change in dict.fromkeys(changes)]
    parts += [f"{counted(len(told['refusals']), 'refusal')}: nothing is applied"] if told["refusals"] else []
    return "; ".join(parts) or "nothing to change"
