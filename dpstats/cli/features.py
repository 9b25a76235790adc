"""`dpstats features`: feature views, registered, looked at, given out and handed to a feature store."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.asking import Shape
from dpstats.cli.output import Table, destination, note, plain, say, show, show_json, tell
from dpstats.cli.session import session_of, working
from dpstats.cli.words import days_text, number

app = typer.Typer(help="Feature views for personalization jobs: add, list, show, get, segments, export, withdraw.")

ViewName = Annotated[str, typer.Argument(metavar="VIEW", parser=inputs.name_text, help="The view's name.")]


@app.command("add")
def add(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Views' YAML files.")],
) -> None:
    """Register feature views, or their files as they are now.

    A view names approved queries and approves none.
    """
    with session_of(context).opened() as (workspace, me):
        for file in files:
            say(f"{workspace.features.submit(me, file)} is registered: `dpstats refresh` releases what it needs")


@app.command("withdraw")
def withdraw(context: typer.Context, name: ViewName) -> None:
    """End a view: it is neither given nor renewed. What was released stays released, and paid."""
    with session_of(context).opened() as (workspace, me):
        workspace.features.withdraw(me, name)
        say(f"{name} is withdrawn: `dpstats features add FILE` begins it again")


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List the feature views."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.features.all(me)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("no feature views yet: `dpstats features add FILE` adds one")
    else:
        heads = ("view", "dataset", "segment", "queries", "renewed every", "title")
        rows = (
            (
                item["view"],
                item["dataset"],
                " ".join(item["segment"]),
                str(len(item["queries"])),
                days_text(item["refresh_s"]),
                item["title"],
            )
            for item in items
        )
        show(Table(heads, tuple(rows), frozenset({"queries"})))


@app.command("show")
def show_view(context: typer.Context, name: ViewName, as_json: inputs.AsJson = False) -> None:
    """Show a view: its queries, how often it is renewed, for how much, and how old it may be."""
    with session_of(context).opened() as (workspace, me):
        view = workspace.features.one(me, name)
    if as_json:
        show_json(view)
        return
    measure = "rho" if view["monthly"]["epsilon"] is None else "epsilon"
    tell(
        view["title"] or view["view"],
        f"{view['view']} of {view['dataset']}, a row for each {', '.join(view['segment'])}",
        f"Queries: {', '.join(view['queries'])}",
        f"Renewed every {days_text(view['refresh_s'])}, and given until it is {days_text(view['max_age_s'])} old.",
        f"Renewing it costs at most {measure} {number(view['monthly'][measure])} in a calendar month; "
        f"this month it was {measure} {number(view['spent_this_month'][measure] or 0)}.",
        f"Reliable: within {number(round(100 * (1 - view['reliability']), 6))} % of the value, 95 times in 100.",
    )


@app.command("get")
def get(
    context: typer.Context,
    name: ViewName,
    shape: Annotated[Shape, typer.Option("--format", help="How to write it.")] = Shape.TABLE,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here instead of stdout.")] = None,
) -> None:
    """Give out a view as it was last renewed; free."""
    if shape in {Shape.PARQUET, Shape.ARROW} and out is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{shape.value} is not for a terminal: add `--out FILE`", param_hint="--format")
    with destination(out) as write, session_of(context).opened() as (workspace, me):
        from dpstats.formats import Format
        from dpstats.workspace.features_table import encode, rows

        with workspace.asked.noting(me, "features get"):
            wide = workspace.features.wide(workspace.features.find(me, name))
        if shape is not Shape.TABLE:
            write(encode(wide, Format(shape.value)))
        elif out is not None:
            write(f"{plain(_table(wide.head, rows(wide)))}\n".encode())
        else:
            show(_table(wide.head, rows(wide)))
            tell("", *_foot(wide.head))


def _table(head: Any, rows: list[dict[str, Any]]) -> Table:
    keys, features = [key["name"] for key in head["keys"]], list(head["measures"])
    cells = (
        (*(str(row[key]) for key in keys), *(_cell(row[f], head["measures"][f]) for f in features)) for row in rows
    )
    return Table((*keys, *features), tuple(cells), frozenset(features))


def _cell(cell: dict[str, Any], measure: dict[str, Any]) -> str:
    """A number and its 95 % interval; `?` after one that is not reliable."""
    from dpstats.plan.display import display
    from dpstats.plan.estimating import Estimate

    if cell["value"] is None and measure.get("smallest_group"):
        below = f"withheld (below {measure['smallest_group']:,})"
        return below if measure["scale"] is not None else f"{below} or too noisy to tell"
    least = measure.get("least", -math.inf)
    shown = display(Estimate(cell["value"], cell["low"], cell["high"]), least=least)
    return shown + ("" if cell["reliable"] else " ?")


def _foot(head: Any) -> list[str]:
    stale = "; it was to be renewed: `dpstats refresh` says why it was not" if head["stale"] else ""
    return [
        "Brackets hold 95 % intervals of the bounded answer; ? marks what is not reliable.",
        f"Last renewed on {head['renewed_at'][:10]}, {days_text(head['age_s'])} old{stale}.",
    ]


@app.command("segments")
def segments(context: typer.Context, name: ViewName) -> None:
    """Print as JSON the rule that puts a customer into a segment, for customers of your own."""
    with session_of(context).opened() as (workspace, me), workspace.asked.noting(me, "features segments"):
        show_json(workspace.features.segments(me, name))


@app.command("export")
def export(
    context: typer.Context,
    name: ViewName,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The Parquet file.")],
) -> None:
    """Write a view as Parquet that a feature store reads: entity keys, features and event timestamps."""
    with destination(out) as write, session_of(context).opened() as (workspace, me), working("writing"):
        from dpstats.workspace.features_table import for_feature_store

        with workspace.asked.noting(me, "features export"):
            wide = workspace.features.wide(workspace.features.find(me, name))
        write(for_feature_store(wide))
    keys = ", ".join(key["name"] for key in wide.head["keys"])
    note(f"wrote {out}: entities by {keys}, timestamps in event_timestamp and created_timestamp")
