"""`dpstats log`: who asked what, and with what outcome."""

from __future__ import annotations

from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, note, show, show_json
from dpstats.cli.session import HOST, session_of
from dpstats.cli.words import utc

app = typer.Typer(help="Who asked what of the service: list.")


@app.callback()
def top() -> None:
    """Who asked what."""


@app.command("list")
def list_(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, max=2**62, metavar="N", help="Only lines after this one.")] = 0,
    actor: Annotated[str, typer.Option(metavar="NAME", help="Only what this token's holder asked.")] = "",
    query: Annotated[str, typer.Option(metavar="NAME", help="Only what was asked of this query.")] = "",
    as_json: inputs.AsJson = False,
) -> None:
    """List requests of known callers over HTTP and on the pages, oldest first: who, what, when, and the outcome.

    So are the commands of this host that ask: `query preview` and `run`, `features get`, `segments` and `export`, and
    `refresh`. A line holds no parameter, no value and nobody's id.
    """
    with session_of(context).opened() as (workspace, me):
        page = workspace.asked.after(me, after, actor=actor, query=query)
        items = page["items"]
        while page["next"] is not None:
            page = workspace.asked.after(me, int(page["next"]), actor=actor, query=query)
            items += page["items"]
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("nobody asked anything yet" if not (after or actor or query) else "nobody asked that")
    else:
        heads = ("line", "at (UTC)", "who", "role", "what", "of", "status", "outcome")
        show(Table(heads, tuple(map(_row, items)), numeric=frozenset({"line", "status"})))


def _row(line: dict[str, object]) -> tuple[str, ...]:
    told = [str(line[name]) or "-" for name in ("actor", "role")]
    what = f"{line['method']} {line['route'] or '-'}".strip()
    of = str(line["query"] or line["dataset"] or "-")
    gone = line["status"] == 0 and line["method"] != HOST
    outcome = str(line["outcome"]) or ("went away" if gone else "ok")
    return str(line["number"]), utc(str(line["at"])), *told, what, of, str(line["status"]), outcome
