"""`dpstats query preview` and `dpstats query run`: what an answer would cost, and the answer."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dpstats.cli import inputs
from dpstats.cli.answer import answer_text, costs_table, enough, for_people, price, show_answer, sure
from dpstats.cli.output import destination, json_bytes, note, say, show, show_json, tell
from dpstats.cli.session import session_of, working
from dpstats.cli.words import settings_text


class Shape(StrEnum):
    """How a release is written: `table` for people, the others as the service sends them."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


_BINARY = {Shape.PARQUET, Shape.ARROW}


def preview(
    context: typer.Context,
    name: inputs.QueryName,
    more: inputs.MoreParameters = None,
    given: inputs.Parameters = None,
    as_json: inputs.AsJson = False,
) -> None:
    """Say what an answer would cost, and how sure it would be.

    Reads no data and charges nothing.
    """
    parameters = inputs.parameters(given, more)
    with session_of(context).opened() as (workspace, me), workspace.asked.noting(me, "query preview", query=name):
        found = workspace.releases.preview(me, name, parameters)
    show_json(found) if as_json else _show_preview(found)


def _show_preview(found: dict[str, Any]) -> None:
    parameters = settings_text(found["parameters"])
    say(f"{found['query']}({parameters})" if parameters else found["query"])
    say(f"  It costs {price(found['cost'])}.")
    if found["free_replay"]:
        say("  It was answered already: running it shows that answer again, free.")
    say(f"  {_covered(found)}")
    say("  How sure, 95 times in 100:")
    for name, measure in found["measures"].items():
        tell(f"    {name}: {sure(measure)}")
    say("  Beyond the noise:")
    tell(*(f"    {line}" for line in found["notes"]))
    say("\n95 % errors at other costs")
    show(costs_table(found["costs"], found["measures"]))


def _covered(found: dict[str, Any]) -> str:
    if found["limited_by"] is None:
        return f"The budget is {enough(found['remaining_like_this'])}."
    from dpstats.workspace.budget_words import not_covering, way_out

    what = not_covering(found["limited_by"])
    return f"{what[:1].upper()}{what[1:]} is {enough(0)}. {way_out(found['limited_by'])}"


def run(
    context: typer.Context,
    name: inputs.QueryName,
    more: inputs.MoreParameters = None,
    given: inputs.Parameters = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Draw anew and pay, even if the answer was released before.")
    ] = False,
    shape: Annotated[Shape, typer.Option("--format", help="How to write it.")] = Shape.TABLE,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here instead of stdout.")] = None,
) -> None:
    """Release an answer: new and charged, or one given before and free."""
    parameters = inputs.parameters(given, more)
    if shape in _BINARY and out is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{shape.value} is not for a terminal: add `--out FILE`", param_hint="--format")
    with destination(out) as write, session_of(context).opened() as (workspace, me):
        from dpstats.release import Ask

        with workspace.asked.noting(me, "query run", query=name), working("computing the answer"):
            title = workspace.review.one(me, name)["title"]
            workspace.leave_out_erased()
            release, _ = workspace.releases.make(Ask(me, name, parameters, fresh=fresh))
        if shape is not Shape.TABLE:
            write(_written(release, shape))
        else:
            times = workspace.releases.remaining_like(me, release)
            release = for_people(release, workspace.datasets.one(me, release["dataset"]))
            told = (release, title, datetime.now().astimezone(), times)
            show_answer(*told) if out is None else write(answer_text(*told).encode())
    if out is not None:
        note(f"wrote release {release['release_id']} to {out}")


def _written(release: dict[str, Any], shape: Shape) -> bytes:
    if shape is Shape.JSON:
        return json_bytes(release)
    from dpstats.formats import Format, encode

    return encode(release, Format(shape.value))
