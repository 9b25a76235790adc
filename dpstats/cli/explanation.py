"""`dpstats query check`: whether a query can be answered, step by step why, or every reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.answer import costs_table, price
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, note, say, show, show_json, tell
from dpstats.cli.session import session_of, working
from dpstats.cli.words import number, sureness
from dpstats.errors import FileError, QueryRefused
from dpstats.words import counted

if TYPE_CHECKING:
    from dpstats.plan.plan import Draw, Plan, Quantiles
    from dpstats.workspace.review import Check

QueryPath = Annotated[Path, typer.Argument(metavar="FILE", help="The query's YAML file.")]


def check(context: typer.Context, file: QueryPath, as_json: inputs.AsJson = False) -> None:
    """Say whether a query can be answered, or why not.

    Prints why it is safe, how sure it will be and what it costs, or every reason why it cannot be answered.
    """
    try:
        with session_of(context).opened_or_passing() as (workspace, _), working(f"checking {file}"):
            found = workspace.review.check_file(file)
    except QueryRefused as error:
        reasons = [str(reason) for reason in error.reasons]
        _refuse(f"query {error.query} cannot be answered", reasons, as_json=as_json)
    except FileError as error:
        _refuse(*_problems(error), as_json=as_json)
    else:
        _show_json(found) if as_json else _show(found)


def _problems(error: FileError) -> tuple[str, list[str]]:
    """The file at fault, and each problem in it with its place."""
    first, *others = error.what.split(" | ")
    place = f"line {error.line}: " if error.line else ""
    return f"{error.file} cannot be used", [f"{place}{error.key}: {first}" if error.key else f"{place}{first}", *others]


def _refuse(summary: str, reasons: list[str], *, as_json: bool) -> None:
    if as_json:
        show_json({"answerable": False, "reasons": reasons})
    if len(reasons) == 1:
        note(f"dpstats: {summary}: {reasons[0]}")
    else:
        note(f"dpstats: {summary}, for {counted(len(reasons), 'reason')}:")
        for reason in reasons:
            note(f"  {reason}")
    raise typer.Exit(FAILED)


def _show(found: Check) -> None:
    query, plan = found.analysis.query, found.plan
    say(f"{query.query} can be answered: {query.title or 'it has no title'}")
    say(f"  dataset  {query.dataset}")
    say(f"  version  {found.analysis.version}")
    if plan is None:
        say("  price    known once the dataset is added: the values of its keys come from a public table")
    else:
        _show_plan(found, plan)
    tell(*(f"Warning: {warning}" for warning in found.warnings))


def _show_plan(found: Check, plan: Plan) -> None:
    from dpstats.plan.answer import measures

    expected = measures(plan)
    keys = ", ".join(key.name for key in plan.keys) or "no keys"
    say(f"  price    {price(_cost(found, plan))}")
    groups = "groups found in the data" if plan.private_keys else counted(plan.groups, "group")
    say(f"  answer   {groups} ({keys})")
    say("\nHow sure the answer will be")
    rows = tuple(
        (name, sureness(item), item.get("unit", ""), item["mechanism"], item["bounding"])
        for name, item in expected.items()
    )
    show(Table(("measure", "95 % error", "unit", "noise", "bounded by"), rows, frozenset({"95 % error"})))
    say("\nAt other costs")
    show(costs_table(found.costs, expected))
    _tell_all("What the bounds do beyond the noise", found.notes)
    _tell_all("Advice", found.advice)
    say("\nHow far one unit can move it")
    heads = ("draw", "by at most", "in groups", "noise scale")
    show(Table(heads, tuple(_sensitivity(draw) for draw in plan.draws), frozenset(heads[1:])))
    _tell_all("Why it is safe", plan.proof)


def _tell_all(head: str, lines: Sequence[str]) -> None:
    if lines:
        say(f"\n{head}")
        tell(*(f"  {line}" for line in lines))


def _sensitivity(draw: Draw) -> tuple[str, ...]:
    sensitivity, grid = draw.mechanism.sensitivity, float(draw.grid)
    if draw.quantiles is not None:
        return _rows_moved(draw, draw.quantiles)
    most = sensitivity.per_cell if sensitivity.norm is None else min(sensitivity.per_cell, sensitivity.norm)
    groups = f"{sensitivity.cells:,}" + (" together" if sensitivity.norm is not None else "")
    return draw.name, number(float(most * draw.grid)), groups, f"{draw.mechanism.scale * grid:.6g}"


def _rows_moved(draw: Draw, quantiles: Quantiles) -> tuple[str, ...]:
    """The same for a quantile, which is moved in ranks: so many rows, in so many groups."""
    sensitivity, share = draw.mechanism.sensitivity, quantiles.share
    steps, times = (1, quantiles.tree.levels) if share is None else (share.denominator, 1)
    moved, scale = sensitivity.per_cell / steps, draw.mechanism.scale / steps
    return draw.name, f"{number(moved)} rows", f"{sensitivity.cells // times:,}", f"{scale:.6g} rows"


def _cost(found: Check, plan: Plan) -> dict[str, Any]:
    from dpstats import views

    return views.cost(plan.loss, found.analysis.dataset.conversion_delta)


def _show_json(found: Check) -> None:
    from dpstats.plan.answer import measures

    plan, query = found.plan, found.analysis.query
    body: dict[str, Any] = {
        "answerable": True,
        "query": query.query,
        "dataset": query.dataset,
        "query_version": found.analysis.version,
        "warnings": list(found.warnings),
    }
    if plan is not None:
        body |= {
            "cost": _cost(found, plan),
            "groups": None if plan.private_keys else plan.groups,
            "keys": [key.name for key in plan.keys],
            "measures": measures(plan),
            "costs": list(found.costs),
            "notes": list(found.notes),
            "advice": list(found.advice),
            "draws": list(plan.events),
            "proof": list(plan.proof),
        }
    show_json(body)
