"""`dpstats bench`: the speed, measured here and now."""

from __future__ import annotations

from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, show, show_json
from dpstats.cli.session import working

app = typer.Typer(help="The speed, measured here and now: query, serve, features, ledger.")


@app.callback()
def top() -> None:
    """Measure the speed."""


@app.command("query")
def query(
    rows: Annotated[
        int, typer.Option("--rows", min=1000, max=1_000_000_000, metavar="N", help="Rows of the made table.")
    ] = 10_000_000,
    repeats: Annotated[
        int, typer.Option("--runs", min=1, max=1000, metavar="N", help="Times that each work is run.")
    ] = 5,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure approved queries in the engine, and a load, beside the plain ones on the same rows.

    Counts and sums by 20 segments and 50 regions, with bounded contributions. In a workspace of its own, with synthetic
    rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.query import measure, table

    with working("measuring"):
        found = measure(rows, repeats)
    if as_json:
        show_json({"rows": rows, "repeats": repeats} | asdict(found))
    else:
        show(
            Table(
                ("work", "seconds", "to plain", "peak MiB"),
                table(found),
                frozenset({"seconds", "to plain", "peak MiB"}),
            )
        )


@app.command("serve")
def serve(
    rows: Annotated[
        int, typer.Option("--rows", min=600, max=100_000_000, metavar="N", help="Rows of the made table.")
    ] = 1_500_000,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, metavar="S", help="How long each rate is measured.")
    ] = 5.0,
    workers: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Processes that serve.")] = 2,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure replays beside a trivial endpoint, new releases beside the engine, and memory.

    In a workspace of its own, with synthetic rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.serve import Size, measure, table

    size = Size(rows, seconds, workers)
    with working("measuring"):
        found = measure(size)
    if as_json:
        show_json(asdict(size) | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(size, found)), frozenset({"value"})))


@app.command("features")
def features(
    segments: Annotated[
        int, typer.Option("--segments", min=1, max=1_000_000, metavar="N", help="Segments of the wide table.")
    ] = 10_000,
    columns: Annotated[int, typer.Option("--features", min=1, max=400, metavar="N", help="Its features.")] = 20,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure how long a wide table that was released already takes as Arrow.

    In a workspace of its own, with synthetic rows, that is gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.features import measure, table

    with working("measuring"):
        found = measure(segments, columns)
    if as_json:
        show_json({"segments": segments, "features": columns} | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(segments, columns, found)), frozenset({"value"})))


@app.command("ledger")
def ledger(
    callers: Annotated[
        int, typer.Option("--callers", min=2, max=1000, metavar="N", help="Callers who charge at once.")
    ] = 32,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, metavar="S", help="How long each rate is measured.")
    ] = 5.0,
    entries: Annotated[
        int,
        typer.Option(
            "--entries", min=1000, max=100_000_000, metavar="N", help="Entries of the ledger that is set beside 1,000."
        ),
    ] = 20_000,
    as_json: inputs.AsJson = False,
) -> None:
    """Measure durable charges beside bare commits, and a long ledger beside a short one.

    In workspaces of its own, on SQLite, that are gone afterwards.
    """
    from dataclasses import asdict

    from dpstats.bench.ledger import Size, measure, table

    size = Size(callers, seconds, entries)
    with working("measuring"):
        found = measure(size)
    if as_json:
        show_json(asdict(size) | asdict(found))
    else:
        show(Table(("measured", "value"), tuple(table(size, found)), frozenset({"value"})))
